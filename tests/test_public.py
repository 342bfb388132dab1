"""What the package offers, and what it must not load: a search waits for no heavy library."""

from __future__ import annotations

import subprocess
import sys

import pytest

import es_recsys

HEAVY = ("torch", "polars", "sqlalchemy", "sentence_transformers", "open_clip", "timm", "implicit", "sklearn", "pyarrow")
SEARCH_PATH = (
    "es_recsys",
    "es_recsys.client",
    "es_recsys.serving.answering",
    "es_recsys.serving.recording",
    "es_recsys.serving.workspace",
    "es_recsys.search",
    "es_recsys.models",
    "es_recsys.encoders",
    "es_recsys.cli.app",
    "es_recsys.cli.answer",
)


@pytest.mark.parametrize("name", es_recsys.__all__)
def test_every_public_name_is_there(name: str) -> None:
    found = getattr(es_recsys, name)
    assert found.__name__ == name
    assert found.__doc__ or name == "load_settings"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        es_recsys.nonsense  # noqa: B018


def _loaded(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(','.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.strip().split(","))


def test_the_search_path_loads_nothing_heavy() -> None:
    loaded = _loaded("\n".join(f"import {name}" for name in SEARCH_PATH))
    assert "es_recsys" in loaded
    assert not loaded & set(HEAVY)


def test_importing_the_package_loads_next_to_nothing() -> None:
    loaded = _loaded("import es_recsys")
    assert not loaded & {*HEAVY, "elasticsearch", "numpy", "pydantic", "scipy"}


def test_help_loads_no_client() -> None:
    code = (
        "import sys, contextlib, io\n"
        "from es_recsys.cli import main\n"
        "sys.argv = ['es-recsys', '--help']\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    main()"
    )
    assert not _loaded(code) & {*HEAVY, "elasticsearch", "numpy", "scipy"}
