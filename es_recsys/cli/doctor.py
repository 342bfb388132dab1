"""The command doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from es_recsys.cli.options import JsonFlag, with_settings
from es_recsys.cli.printing import print_json, say

if TYPE_CHECKING:
    from es_recsys.settings import Settings

__all__ = ["doctor"]


@with_settings
def doctor(settings: Settings, json: JsonFlag = False) -> None:
    """Check the set-up and say how to fix problems. Exits with 3 if there are any."""
    from es_recsys.doctor import diagnose

    found = list(diagnose(settings))
    if json:
        print_json([{"name": c.name, "ok": c.ok, "what": c.what, "remedy": c.remedy} for c in found])
    else:
        for check in found:
            say(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.what}")
            if not check.ok and check.remedy:
                say(f"     {check.remedy}")
    if not all(check.ok for check in found):
        raise typer.Exit(3)
