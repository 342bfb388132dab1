"""The Chinese pages say what the English ones say: whoever changes one is asked for the other."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
CHINESE = DOCS / "zh"
PAGES = sorted(str(path.relative_to(CHINESE)) for path in CHINESE.glob("**/*.md"))
_FENCE = re.compile(r"^(<!-- not run: [^\n]+ -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#:]+)(#[^)]*)?\)")
_CODE = re.compile(r"`[^`\n]+`")
_NUMBER = re.compile(r"-?(?<![\w])(?:\d+(?:,\d{3})*(?:\.\d+)?|\.\d+)(?![\w])")
_CHARACTER = re.compile(r"[\u3400-\u9fff]")


@pytest.mark.parametrize("page", PAGES)
def test_a_chinese_page_is_built_as_its_english_one(page: str) -> None:
    """The same headings, paragraphs, lists and tables, in the same order."""
    assert outline(read(CHINESE / page)) == outline(read(DOCS / page))


@pytest.mark.parametrize("page", PAGES)
def test_a_chinese_page_has_the_same_code(page: str) -> None:
    """All but the comments, which are translated, too."""
    assert blocks(CHINESE / page) == blocks(DOCS / page)
    assert names(CHINESE / page) == names(DOCS / page)


@pytest.mark.parametrize("page", PAGES)
def test_a_chinese_page_has_the_same_figures(page: str) -> None:
    assert figures(CHINESE / page) == figures(DOCS / page)


@pytest.mark.parametrize("page", PAGES)
def test_a_chinese_page_links_to_the_same_pages(page: str) -> None:
    """To the Chinese one where there is one; the first link is that to the English page itself."""
    first, *links = targets(CHINESE / page)
    assert first == (page, "")
    assert sorted(links) == sorted(targets(DOCS / page))


@pytest.mark.parametrize("page", PAGES)
def test_a_chinese_page_is_in_chinese(page: str) -> None:
    """No paragraph was left as it is, and none broken, which would show as a blank between two characters."""
    assert re.findall(r"^(?!#).*[\u3000-\u9fff\uff01-\uff5e]\n[\u3000-\u9fff]", prose(CHINESE / page), re.MULTILINE) == []
    for line in prose(CHINESE / page).splitlines():
        words = re.sub(r"[^A-Za-z ]+", " ", _CODE.sub("", _LINK.sub("", line))).split()
        assert len(words) < 12 or len(_CHARACTER.findall(line)) > len(words), line


def test_the_pages_that_a_newcomer_reads_are_there() -> None:
    scenarios = {str(path.relative_to(DOCS)) for path in DOCS.glob("scenarios/*.md")}
    assert set(PAGES) == {"start.md", "concepts.md"} | scenarios


def read(path: Path) -> str:
    """Return a page without the line that leads to the page in the other language."""
    return re.sub(r"^\[English\]\([^)]+\)\n\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


def outline(text: str) -> list[str]:
    """Return what follows what on a page: headings by level, paragraphs, items of lists, rows by their cells, pictures, code."""
    found: list[str] = []
    before = ""
    for line in _FENCE.sub("```", text).splitlines():
        mark = re.match(r"#+(?= )|```|\||-(?= )|!(?=\[)", line)
        kind = mark.group() if mark else "text" if line.strip() else ""
        # A paragraph or an item goes on in the next line.
        if kind and not (kind == "text" and before in ("text", "-")):
            found.append(f"{line.count('|')} bars" if kind == "|" else kind)
        before = before if kind == "text" and before == "-" else kind
    return found


def blocks(path: Path) -> list[tuple[str, ...]]:
    """Return the fenced blocks without comments."""
    found = _FENCE.findall(path.read_text(encoding="utf-8"))
    return [(*before, "\n".join(re.sub(r"\s+# .*$", "", line) for line in text.splitlines())) for *before, text in found]


def prose(path: Path) -> str:
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def names(path: Path) -> Counter[str]:
    """Return the code within sentences, and how often each is there."""
    return Counter(_CODE.findall(re.sub(r"(`[^`\n]*)\n([^`\n]*`)", r"\1 \2", prose(path))))


def figures(path: Path) -> Counter[str]:
    """Return the numbers in sentences and tables, without those in code and links."""
    text = _CODE.sub("", re.sub(r"\]\([^)]*\)", "]", prose(path)))
    return Counter(_NUMBER.findall(text))


def targets(path: Path) -> list[tuple[str, str]]:
    """Return the English pages, or other files, that a page leads to, and the places on them."""
    found = []
    for link, anchor in _LINK.findall(prose(path)):
        target = os.path.relpath((path.parent / link).resolve(), DOCS)
        found.append((target.removeprefix("zh/"), anchor))
    return found
