"""Draw docs/structure.svg: the packages of es_recsys in the layers that pyproject.toml holds, and what each imports.

An arrow is left out where it follows from others: what a package imports through one that it imports. Run after a change of
imports between packages: make structure.
"""

from __future__ import annotations

import ast
import sys
import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import grimp

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "structure.svg"
PACKAGE = "es_recsys"
WIDTH, BOX_HEIGHT, ROW = 1_080, 48, 96
ALONE, LONGEST = 560, 84


def layers() -> list[list[str]]:
    """Return the rows of packages, the highest first; a row of leaf modules is one box."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    rows = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    names = [[name.strip().removeprefix(f"{PACKAGE}.") for name in row.split("|")] for row in rows]
    return [[name for name in row if (ROOT / PACKAGE / name).is_dir()] for row in names]


def imports(packages: Sequence[str]) -> dict[str, set[str]]:
    """Return package -> the packages that any of its modules imports."""
    graph = grimp.build_graph(PACKAGE)
    found: dict[str, set[str]] = {name: set() for name in packages}
    for importer in graph.modules:
        of = importer.split(".")[1:2]
        for imported in graph.find_modules_directly_imported_by(importer) if of and of[0] in found else ():
            to = imported.split(".")[1:2]
            if to and to[0] in found and to != of:
                found[of[0]].add(to[0])
    return found


def reduced(edges: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the edges without those that follow from others."""

    def reached(start: str) -> set[str]:
        return edges[start].union(*(reached(name) for name in edges[start]))

    return {name: targets - set().union(*(reached(target) for target in targets)) for name, targets in edges.items()}


def purpose(name: str) -> str:
    """Return the first sentence of a package's docstring."""
    text = ast.get_docstring(ast.parse((ROOT / PACKAGE / name / "__init__.py").read_text(encoding="utf-8")))
    return (text or "").split("\n\n")[0].replace("\n", " ").split(". ")[0].rstrip(".")


def draw() -> str:
    """Return the picture."""
    rows = [row for row in layers() if row]
    names = [name for row in rows for name in row]
    boxes: dict[str, tuple[float, float, float]] = {}
    for level, row in enumerate(rows):
        wide = ALONE if len(row) == 1 else (WIDTH - 40) / len(row) - 16
        left = (WIDTH - len(row) * (wide + 16) + 16) / 2
        for column, name in enumerate(row):
            boxes[name] = left + column * (wide + 16), 20 + level * ROW, wide
    height = 20 + len(rows) * ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
        '<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#6b7a90"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for name, targets in reduced(imports(names)).items():
        x, y, wide = boxes[name]
        for target in sorted(targets):
            to_x, to_y, to_wide = boxes[target]
            begin, end = (x + wide / 2, y + BOX_HEIGHT), (to_x + to_wide / 2, to_y)
            bend = (end[1] - begin[1]) / 2
            points = (begin, (begin[0], begin[1] + bend), (end[0], end[1] - bend), end)
            first, *rest = (f"{across:.0f} {down:.0f}" for across, down in points)
            lines.append(
                f'<path d="M{first}C{" ".join(rest)}" fill="none" stroke="#6b7a90" stroke-width="1.2" marker-end="url(#a)"/>'
            )
    for name, (x, y, wide) in boxes.items():
        told, middle = purpose(name), x + wide / 2
        lines.append(
            f'<g><title>{escape(told)}</title><rect x="{x:.0f}" y="{y:.0f}" width="{wide:.0f}" height="{BOX_HEIGHT}" rx="6" '
            f'fill="#eef3fb" stroke="#4a6fa5"/>{_text(name, middle, y + (20 if wide == ALONE else 30), 17)}'
            f"{_text(textwrap.shorten(told, LONGEST, placeholder='...'), middle, y + 38, 11) if wide == ALONE else ''}</g>"
        )
    return "\n".join([*lines, "</svg>", ""])


def _text(text: str, x: float, y: float, size: int) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="middle" fill="#1d2b40">{escape(text)}</text>'


def main() -> int:
    picture = draw()
    PICTURE.write_text(picture, encoding="utf-8")
    print(f"{PICTURE.relative_to(ROOT)} drawn")
    return 0


if __name__ == "__main__":
    sys.exit(main())
