"""The formats that `--format` knows, as the table of docs/data.md: `python scripts/format_table.py [--write]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from es_recsys.sources.named_formats import FORMATS, Form

PAGE = Path(__file__).parents[1] / "docs" / "data.md"
BEGIN, END = "<!-- formats by name -->", "<!-- end of formats by name -->"


def table() -> str:
    """Markdown rows: name, what it is, its files of items and of events."""
    rows = ["| `--format` | what | items | events |", "|---|---|---|---|"]
    for name, row in FORMATS.items():
        rows.append(f"| `{name}` | {row.title} | {_files(row.items)} | {_files(row.events)} |")
    return "\n".join(rows)


def _files(forms: Sequence[Form]) -> str:
    return "; ".join(form.file.replace("*", r"\*").replace("_", r"\_") for form in forms) or "none"


def main() -> None:
    """Print the table, or put it into the page."""
    if "--write" not in sys.argv[1:]:
        print(table())
        return
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
