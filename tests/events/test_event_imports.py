from __future__ import annotations

import subprocess
import sys

import pytest

_HEAVY = ("sqlalchemy", "polars", "alembic", "torch", "elasticsearch")


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("es_recsys.events", ()),
        ("es_recsys.events.profiles", ()),
        ("es_recsys.events.actors", ()),
        ("es_recsys.events.store", ("sqlalchemy",)),
        ("es_recsys.events.interactions", ("sqlalchemy",)),
        ("es_recsys.events.cleaning", ("sqlalchemy", "polars")),
        ("es_recsys.events.cleaning_report", ()),
        ("es_recsys.serving.refresh", ("sqlalchemy", "elasticsearch")),
    ],
)
def test_importing_is_light(module: str, allowed: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print(*[m for m in {_HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= set(allowed)
