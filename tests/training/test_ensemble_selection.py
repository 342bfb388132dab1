"""The weights of an ensemble: found on held-out events, and on few of them not by chance alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from es_recsys.dataset import Interactions
from es_recsys.evaluation.holdout import leave_last_out
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.models import MODELS
from es_recsys.training import ensemble_selection as weighing
from es_recsys.training.ensemble_selection import select_ensemble

Make = Callable[..., Interactions]
NAMES = ("covisitation", "als", "bspm")


@pytest.fixture
def part(interactions: Make) -> HoldoutSplit:
    rng = np.random.default_rng(2)
    users = {f"u{n}": [f"i{int(place)}" for place in (n % 5 * 8 + rng.permutation(8)[:6])] for n in range(80)}
    return leave_last_out(interactions(users), np.random.default_rng(0), 80)


def test_of_few_users_the_mean_over_samples_is_taken(part: HoldoutSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    models = {name: MODELS[name]().fit(part.train, np.random.default_rng(0)) for name in NAMES}
    mixed, again = select_ensemble(models, part), select_ensemble(models, part)
    assert mixed.weights == again.weights and mixed.score == again.score
    assert sum(mixed.weights.values()) == pytest.approx(1.0, abs=0.02)
    assert min(mixed.weights.values()) >= 0.05
    monkeypatch.setattr(weighing, "SURE", 0)
    plain = select_ensemble(models, part)
    # What was found for all users at once is the path's last step but one, and can't be worse on these users.
    assert dict(plain.weights) == dict(mixed.path[-2][0]) and plain.score >= mixed.score
    assert mixed.alone == plain.alone


def test_a_single_model_needs_no_samples(part: HoldoutSplit) -> None:
    model = MODELS["covisitation"]().fit(part.train, np.random.default_rng(0))
    found = select_ensemble({"covisitation": model}, part)
    assert found.weights == {"covisitation": 1.0} and len(found.path) == 1


def test_users_of_an_earlier_moment_count_as_well(part: HoldoutSplit) -> None:
    models = {name: MODELS[name]().fit(part.train, np.random.default_rng(0)) for name in NAMES}
    alone, twice = select_ensemble(models, part), select_ensemble(models, part, earlier=[(models, part)])
    # The same users twice change no mean.
    assert twice.alone == pytest.approx(alone.alone)
    few = part.first(5)
    both = select_ensemble({"als": models["als"]}, few, earlier=[({"als": models["als"]}, part)])
    one, other = (select_ensemble({"als": models["als"]}, each).score * len(each) for each in (few, part))
    assert both.score == pytest.approx((one + other) / (len(few) + len(part)))


def test_everything_asked_for_by_name_keeps_its_least_share(part: HoldoutSplit) -> None:
    models = {name: MODELS[name]().fit(part.train, np.random.default_rng(0)) for name in NAMES}
    found = select_ensemble(models, part, 0.05)
    assert set(found.weights) == set(NAMES) and min(found.weights.values()) >= 0.04
