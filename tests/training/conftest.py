"""Interactions that tests of trainings share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from es_recsys.dataset import Interactions

ITEMS = 30


@pytest.fixture(scope="session")
def ring_walks(interactions: Callable[..., Interactions]) -> Interactions:
    """A hundred users who walk along a ring, in steps of one and five in turn, which only who sees two steps can foretell."""
    rng = np.random.default_rng(4)

    def walk() -> list[str]:
        begin, first = int(rng.integers(ITEMS)), int(rng.choice([1, 5]))
        steps = [first, 6 - first] * 9
        return [f"i{(begin + sum(steps[:place])) % ITEMS:02}" for place in range(9)]

    return interactions({f"u{user}": walk() for user in range(100)})
