"""What is proposed for items that people have seen follows how often they take the same item again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from es_recsys.dataset import Interactions
from es_recsys.training.seen_proposal import seen_proposal

HOUR = 3_600.0


def taken(sequences: Sequence[Sequence[int]], hours: float | None = None) -> Interactions:
    """Events of users who take the numbered items one after the other; hours: between two of them, None for no time."""
    sizes = [len(own) for own in sequences]
    places = np.concatenate([np.arange(size, dtype=np.float64) for size in sizes])
    return Interactions(
        np.array([f"u{user}" for user in range(len(sizes))]),
        np.array([f"i{item}" for item in range(1 + max(map(max, sequences)))]),
        np.repeat(np.arange(len(sizes)), sizes).astype(np.int32),
        np.concatenate([np.array(own) for own in sequences]).astype(np.int32),
        np.ones(sum(sizes), np.float32),
        places if hours is None else places * hours * HOUR,
        timed=hours is not None,
    )


@pytest.mark.parametrize(
    ("own", "hours", "again", "proposed"),
    [
        (tuple(range(11)), None, 0.0, "exclude"),
        ((0, 1, 0, *range(2, 40)), None, 0.025, "demote"),
        ((0, 1, 0, 1, 2, 3), None, 0.4, "keep"),
        # The same thing looked at twice before it is bought is one take, and so is one met again in the same session.
        ((0, 0, 0, 1, 1, 2, 2, 3), None, 0.0, "exclude"),
        ((0, 1, 0, 1, 2), 0.1, 0.0, "exclude"),
        ((0, 1, 0, 1, 2), 24.0, 0.5, "keep"),
        ((0, 0, 0, 0), 24.0, 1.0, "keep"),
    ],
)
def test_the_share_of_what_is_taken_again_decides(own: Sequence[int], hours: float | None, again: float, proposed: str) -> None:
    found = seen_proposal(taken([own] * 200, hours), 1_800.0)
    assert found is not None
    assert found.again == pytest.approx(again)
    assert found.seen == proposed
    assert f'search.seen = "{proposed}"' in found.line()


def test_a_few_events_say_nothing() -> None:
    assert seen_proposal(taken([(0, 1, 2)] * 10), 1_800.0) is None
    assert seen_proposal(taken([(0,)] * 1_000), 1_800.0) is None
