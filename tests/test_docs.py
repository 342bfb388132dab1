"""The docs name what there is: every folder and file, and nothing that is gone."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "es_recsys"
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
_FILE = re.compile(r"`((?:[a-z0-9_]+/)*[a-z0-9_]+\.py)`")
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    lost = [name for name in _FILE.findall(text) if not any((base / name).exists() for base in (ROOT, PACKAGE, ROOT / "tests"))]
    lost += [link for link in _LINK.findall(text) if not (page.parent / link).exists()]
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lists_and_tables_begin_after_an_empty_line(page: Path) -> None:
    """Code hosts don't need it; the site's Markdown takes them for a part of the paragraph otherwise."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    begun = re.findall(r"^(?![-*|#>]|\d+\. |  |<!--)\S.*\n(?=[-*] |\|)(.*)", text, flags=re.MULTILINE)
    assert begun == []


def test_contributing_names_every_part() -> None:
    table = (
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Where things are")[1].split("## Where to add what")[0]
    )
    named = set(re.findall(r"`([a-z_]+(?:\.py|/))`", table))
    folders = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py"}
    assert named == folders | modules


def test_the_picture_of_the_structure_is_that_of_the_imports() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "draw_structure.py"))
    assert (ROOT / "docs" / "structure.svg").read_text(encoding="utf-8") == script["draw"](), "make structure"
