"""How many files of the package a reader opens to understand a model: `python scripts/model_files.py [--write]`.

Counts, for each model, the modules of es_recsys/models that its class reads, by all that they import in turn, without base.py
and types.py, which every model shares, and without files that only pass names on. --write puts the table into docs/techniques.md.
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
LIMITS = {"sasrec": 6}
"""Most files of a model, 4 where it isn't here: attention has its settings, network, training and model, what it learns from, and
the counts that its item vectors begin with."""
BEGIN, END = "<!-- model files -->", "<!-- end of model files -->"


def path_of(module: str) -> Path:
    """File of a module, the `__init__.py` of a package."""
    path = ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imported(module: str) -> set[str]:
    """Modules of the room that a module names in its imports, also in those inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path_of(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith(f"{PACKAGE}."):
            found.add(node.module)
    return found


def files(model: str) -> list[Path]:
    """Files to open for a model, its own first."""
    pending, seen = [inspect.getmodule(MODELS[model]).__name__], dict[str, None]()  # type: ignore[union-attr]
    while pending:
        module = pending.pop(0)
        if module not in seen and module not in SHARED:
            seen[module] = None
            pending += sorted(imported(module))
    return [path for path in map(path_of, seen) if path.name != "__init__.py"]


def table() -> str:
    """Markdown rows: model, how many files, which."""
    rows = ["| model | files | which, beside `models/base.py` and `models/types.py` |", "|---|---|---|"]
    for model in sorted(MODELS):
        own = [str(path.relative_to(ROOT / "es_recsys")) for path in files(model)]
        rows.append(f"| `{model}` | {len(own)} | {', '.join(f'`{name}`' for name in own)} |")
    return "\n".join(rows)


def written(page: str) -> str:
    """The page with the table between its markers."""
    before, rest = page.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END, 1)[1]}"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(table())
    sys.exit(any(len(files(model)) > LIMITS.get(model, 4) for model in MODELS))
