"""How many files of the package a reader opens to understand a model: `python scripts/model_files.py [--write]`.

Counts, for each model, the modules of es_recsys/models that its class reads, by all that they import in turn, without base.py
and types.py, which every model shares, and without files that only pass names on. Not counted, but named, are the tools that
these call: they know no model (`make lint` holds it), take and give arrays, and their docstrings say what a caller needs. --write
puts the table into docs/techniques.md.
"""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path

from es_recsys.models import MODELS

ROOT = Path(__file__).parents[1]
PACKAGE = "es_recsys.models"
SHARED = {f"{PACKAGE}.base", f"{PACKAGE}.types"}
PAGE = ROOT / "docs" / "techniques.md"
LIMIT = 4
TOOLS = ("cooccurrence", "data_digest", "features.aggregates", "linear_algebra", "sequences", "torch_functions", "torch_training")
"""Modules of the package beside models/ that count, digest, decompose, batch and train for them."""
BEGIN, END = "<!-- model files -->", "<!-- end of model files -->"


def path_of(module: str) -> Path:
    """File of a module, the `__init__.py` of a package."""
    path = ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported(path: Path) -> set[str]:
    """Modules that a file names in its imports, also in those inside functions."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module is not None}


def files(model: str) -> list[Path]:
    """Files to open for a model, its own first."""
    pending, seen = [inspect.getmodule(MODELS[model]).__name__], dict[str, None]()  # type: ignore[union-attr]
    while pending:
        module = pending.pop(0)
        if module not in seen and module not in SHARED:
            seen[module] = None
            pending += sorted(name for name in imported(path_of(module)) if name.startswith(f"{PACKAGE}."))
    return [path for path in map(path_of, seen) if path.name != "__init__.py"]


def tools(model: str) -> list[str]:
    """Files of the tools that a model's own files call."""
    called = set().union(*map(imported, files(model)))
    return [f"{name.replace('.', '/')}.py" for name in TOOLS if f"es_recsys.{name}" in called]


def table() -> str:
    """Markdown rows: model, how many files, which, and the tools that they call."""
    rows = [
        "| model | files | which, beside `models/base.py` and `models/types.py` | tools that they call |",
        "|---|---|---|---|",
    ]
    for model in sorted(MODELS):
        own = [str(path.relative_to(ROOT / "es_recsys")) for path in files(model)]
        which, called = (", ".join(f"`{name}`" for name in names) for names in (own, tools(model)))
        rows.append(f"| `{model}` | {len(own)} | {which} | {called} |")
    return "\n".join(rows)


def written(page: str) -> str:
    """The page with the table between its markers."""
    before, rest = page.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END, 1)[1]}"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(table())
    sys.exit(any(len(files(model)) > LIMIT for model in MODELS))
