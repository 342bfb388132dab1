"""The command segments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from es_recsys.cli.common import JsonFlag, open_workspace, print_json, say, table, with_settings

if TYPE_CHECKING:
    from es_recsys.models.portraits import Portrait
    from es_recsys.settings import Settings

__all__ = ["segments"]

_COLUMNS = ["", "label", "users", "share", "categories", "words", "popular items", "days since", "events a day", "spent"]


@with_settings
def segments(settings: Settings, json: JsonFlag = False) -> None:
    """List user segments: size, typical categories and words, popular items, habits."""
    from es_recsys.jobs.segments import segments as run

    with open_workspace(settings) as work:
        report = run(work)
    if json:
        print_json(report.to_dict())
        return
    rows = [_row(one, report.titles) for one in report.segments]
    table(f"Segments of {settings.index}", _COLUMNS, rows, right=("", "users", "share", "days since", "events a day", "spent"))
    for line in report.lines():
        say(line)


def _row(one: Portrait, titles: Mapping[str, str]) -> list[str]:
    popular = "; ".join(titles.get(item, item) for item in one.popular[:3])
    typical = (("recency", 1), ("frequency", 2), ("value", 2))
    figures = [f"{one.typical[name]:,.{digits}f}" if name in one.typical else "" for name, digits in typical]
    marks = [", ".join(one.categories), ", ".join(one.words), popular]
    return [str(one.segment), one.label, f"{one.users:,}", f"{one.share:.0%}", *marks, *figures]
