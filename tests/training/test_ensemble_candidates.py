"""What is tried of an ensemble is what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.dataset import History, Interactions
from es_recsys.evaluation.holdout import leave_last_out, random_holdout
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.models import MODELS, Model, recommend
from es_recsys.training import ensemble_selection as weighing
from es_recsys.training.ensemble_candidates import Candidates, _first
from es_recsys.training.ensemble_selection import MarginalGain, select_ensemble
from es_recsys.training.model_trials import DEPTH

Make = Callable[..., Interactions]
NAMES = ("covisitation", "als", "bspm")
WEIGHTS: tuple[dict[str, float], ...] = (
    {"covisitation": 1.0},
    {"als": 1.0},
    {"covisitation": 0.5, "als": 0.3, "bspm": 0.2},
    {"covisitation": 0.0, "als": 0.4, "bspm": 0.6},
)


@pytest.fixture(scope="module")
def part(interactions: Make) -> HoldoutSplit:
    rng = np.random.default_rng(4)
    users = {}
    for n in range(90):
        own = rng.choice(30, 7, replace=False) + n % 3 * 30
        users[f"u{n:02}"] = [f"i{place:02}" for place in [*own.tolist(), *rng.integers(0, 90, 2).tolist()]]
    part = random_holdout(interactions(users), np.random.default_rng(9), 90)
    return replace(part, gains=tuple(rng.choice([1.0, 5.0], len(one)) for one in part.targets))


@pytest.fixture(scope="module")
def models(part: HoldoutSplit) -> Mapping[str, Model]:
    return {name: MODELS[name]().fit(part.train, np.random.default_rng(0)) for name in NAMES}


def _answered(models: Mapping[str, Model], part: HoldoutSplit, weights: Mapping[str, float]) -> list[np.ndarray]:
    """The lists that the ensemble answers with, by way of ids and histories."""
    names = part.train.item_ids.tolist()
    lists = []
    for user in range(len(part)):
        past = part.histories.one(user)
        history = History.of([names[place] for place in past.items.tolist()])
        hits = recommend(models, weights, history, DEPTH, frozenset(names[place] for place in part.seen[user].tolist()))
        lists.append(np.array([names.index(item_id) for item_id, _ in hits], np.int64))
    return lists


@pytest.mark.parametrize("weights", WEIGHTS)
def test_the_trial_of_weights_is_the_answer_with_them(
    part: HoldoutSplit, models: Mapping[str, Model], weights: Mapping[str, float]
) -> None:
    found = Candidates.of(models, part)
    answered = _answered(models, part, weights)
    assert found.each(weights) == pytest.approx(part.ndcg(answered, DEPTH))
    assert found.each(weights).mean() > 0.05
    first = replace(part, targets=tuple(one[:1] for one in part.targets), gains=())
    assert found.next(weights) == pytest.approx(first.ndcg(answered, DEPTH))


def test_one_model_beside_others_weighs_as_all_together(part: HoldoutSplit, models: Mapping[str, Model]) -> None:
    whole = Candidates.of(models, part)
    more = Candidates.of({name: models[name] for name in NAMES[:2]}, part).beside(NAMES[2], models[NAMES[2]])
    for weights in WEIGHTS:
        # In a catalogue as small as this every list has all that it can have.
        assert more.each(weights) == pytest.approx(whole.each(weights), abs=0.02)
    assert more.each({NAMES[2]: 1.0}) == pytest.approx(whole.each({NAMES[2]: 1.0}))


def test_what_only_the_new_model_lists_is_among_the_candidates(interactions: Make) -> None:
    data = interactions({**{f"u{n}": ["a", "b"] for n in range(9)}, **{f"v{n}": ["c", "d"] for n in range(9)}})
    part = leave_last_out(data, np.random.default_rng(0), 30)
    blind = MODELS["bspm"]().fit(interactions({"x": ["a", "c"]}), np.random.default_rng(0))
    popular = MODELS["als"]().fit(data, np.random.default_rng(0))
    before = Candidates.of({"bspm": blind}, part)
    assert before.each({"bspm": 1.0}).max() == 0.0
    assert before.beside("als", popular).each({"als": 1.0}).min() > 0.0


def test_a_model_is_worth_what_it_adds(part: HoldoutSplit, models: Mapping[str, Model]) -> None:
    beside = MarginalGain({"covisitation": models["covisitation"]}, part)
    assert beside.without == pytest.approx(Candidates.of(models, part).each({"covisitation": 1.0}).mean())
    other, alone = beside.asked("als", models["als"])
    pair = {name: models[name] for name in ("covisitation", "als")}
    assert other >= select_ensemble(pair, part).score - 0.01
    assert other > beside.without
    assert alone == pytest.approx(Candidates.of(models, part).each({"als": 1.0}).mean())
    # Of few users, what it answers alone is told apart from luck better than what it adds.
    assert beside("als", models["als"]) == pytest.approx(other + 0.1 * (1.0 - len(part) / 2_000) * alone)
    # What was best is remembered, so that it need not be asked again.
    assert (beside.ensemble_ndcg, beside.alone) == (other, alone)
    rng = np.random.default_rng(0)
    blind = MODELS["bspm"]().fit(replace(part.train, items=rng.permutation(part.train.items)), rng)
    assert beside("bspm", blind) < beside("als", models["als"])
    assert (beside.ensemble_ndcg, beside.alone) == (other, alone)


def test_of_many_users_only_what_is_added_counts(
    part: HoldoutSplit, models: Mapping[str, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weighing, "SURE", len(part))
    beside = MarginalGain({"covisitation": models["covisitation"]}, part)
    assert beside("als", models["als"]) == beside.asked("als", models["als"])[0]


def test_a_model_that_adds_nothing_is_worth_what_it_answers_alone(part: HoldoutSplit, models: Mapping[str, Model]) -> None:
    rng = np.random.default_rng(0)
    beside = MarginalGain({"covisitation": models["covisitation"]}, part)
    shuffled = replace(part.train, items=rng.permutation(part.train.items))
    blind = MODELS["bspm"]().fit(shuffled, rng)
    poor = float(Candidates.of({"bspm": blind}, part).each({"bspm": 1.0}).mean())
    assert poor < 0.7 * beside.without
    doubt = 0.1 * (1.0 - len(part) / 2_000)
    assert beside("bspm", blind) == pytest.approx((1.0 + doubt) * poor)
    # What others say already adds nothing either, and counts no more than the ensemble without it.
    assert beside("twin", models["covisitation"]) == pytest.approx((1.0 + doubt) * beside.without)


ROWS = st.lists(st.lists(st.sampled_from([-np.inf, 0.0, 0.5, 1.0]), min_size=7, max_size=7), min_size=1, max_size=4)


@given(ROWS, st.integers(1, 7))
def test_the_first_are_those_of_a_stable_sort(rows: list[list[float]], n: int) -> None:
    total = np.array(rows)
    assert (_first(total, n) == np.argsort(-total, axis=1, kind="stable")[:, :n]).all()
