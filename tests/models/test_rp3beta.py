"""The walk of three steps against matrices of its probabilities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from es_recsys.models.rp3beta import RP3beta, RP3betaConfig
from es_recsys.types import History, Interactions

X = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [1, 0, 0, 1]], float)


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (1.0, 0.5), (0.7, 0.3)])
def test_weights_are_the_probabilities_of_the_walk(interactions: Callable[..., Interactions], alpha: float, beta: float) -> None:
    data = interactions({f"u{user}": [f"i{item}" for item in np.flatnonzero(row)] for user, row in enumerate(X)})
    to_user = (X / X.sum(0)).T ** alpha  # from item to user
    to_item = (X / X.sum(1, keepdims=True)) ** alpha
    walk = to_user @ to_item / X.sum(0) ** beta
    np.fill_diagonal(walk, 0)
    model = RP3beta(RP3betaConfig(alpha, beta)).fit(data, np.random.default_rng(0))
    for item in range(4):
        scores = model.score(History.of([f"i{item}"]), [f"i{other}" for other in range(4)])
        np.testing.assert_allclose(scores, walk[item], rtol=1e-5, atol=1e-7)


def test_where_order_tells_the_memory_is_short() -> None:
    assert RP3beta.default_config(True, True).half_life < RP3beta.default_config(False, True).half_life
    assert "half_life_days" in RP3beta.search_space(True, True) and "half_life" not in RP3beta.search_space(False, True)
