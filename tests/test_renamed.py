"""Old names are read as the new ones."""

from __future__ import annotations

import pytest

from es_recsys.renamed import current, current_keys, warn_renamed

RENAMED = {"old": "new"}


def test_both_names_are_read_and_the_present_one_counts() -> None:
    assert [current(name, RENAMED) for name in ("old", "new", "other")] == ["new", "new", "other"]
    assert current_keys({"old": 1, "other": 2}, RENAMED) == {"new": 1, "other": 2}
    assert current_keys({"old": 1, "new": 3}, RENAMED) == {"new": 3}


def test_who_types_an_old_name_is_told() -> None:
    def caller() -> None:
        warn_renamed("old", "new")

    with pytest.warns(DeprecationWarning, match=r"old is called new now; the old name goes away with 0\.3"):
        caller()
