"""Shares for users of whom one event is known: other than the usual ones only where they surely answer better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from es_recsys.dataset import Interactions
from es_recsys.evaluation.holdout import leave_last_out
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.models import MODELS
from es_recsys.models.als import ALSConfig
from es_recsys.models.base import Model
from es_recsys.training.first_event import first_event_shares
from es_recsys.training.model_selection import TrainSpec, select
from es_recsys.training.selection_report import Notes
from es_recsys.training.validation import Validation

USERS = 240


@pytest.fixture(scope="module")
def part(interactions: Callable[..., Interactions]) -> HoldoutSplit:
    """What users like is by chance, what most like more often than the rest: a first event tells nothing."""
    rng = np.random.default_rng(2)
    liking = 1.0 / np.arange(1, 31)
    users = {f"u{user:03}": [f"i{place}" for place in rng.choice(30, 8, False, liking / liking.sum())] for user in range(USERS)}
    return leave_last_out(interactions(users), np.random.default_rng(0), USERS)


@pytest.fixture(scope="module")
def models(part: HoldoutSplit) -> dict[str, Model]:
    return {name: MODELS[name]().fit(part.train, np.random.default_rng(0)) for name in ("covisitation", "als")}


def test_what_tells_more_after_one_event_gets_its_share(part: HoldoutSplit, models: dict[str, Model]) -> None:
    weights = {"covisitation": 0.3, "als": 0.7}
    notes = Notes(None)
    shares = first_event_shares(models, weights, part, notes)
    assert set(shares) == {"covisitation", "als", "popularity"} and sum(shares.values()) == pytest.approx(1.0, abs=0.02)
    assert shares["popularity"] > 0.5
    figures = notes.figures["first_event"]
    assert figures["kept"] and figures["gain"]["low"] > 0.0 and figures["gain"]["n"] == USERS
    assert notes.lines[0].startswith("After a first event: ") and f"popularity {shares['popularity']:.0%}" in notes.lines[0]
    assert first_event_shares(models, weights, part, Notes(None)) == shares


def test_without_a_sure_gain_all_users_have_the_same_shares(ring_walks: Interactions) -> None:
    """One step of a walk tells of the next."""
    part, notes = leave_last_out(ring_walks, np.random.default_rng(0), 100), Notes(None)
    model = MODELS["covisitation"]().fit(part.train, np.random.default_rng(0))
    assert first_event_shares({"covisitation": model}, {"covisitation": 1.0}, part, notes) == {}
    assert not notes.figures["first_event"]["kept"]
    assert notes.lines[0].startswith("After a first event no other shares are surely better (NDCG@20 ")


def test_a_training_has_them_and_one_with_all_decided_keeps_to_them(part: HoldoutSplit) -> None:
    rng, spec = np.random.default_rng, TrainSpec(("als",), {"als": ALSConfig(factors=4)})
    chosen = select(part.train, rng(1), 5.0, spec=spec)
    assert set(chosen.first_event) == {"als", "popularity"} and chosen.first_event["popularity"] > 0.5
    decided = replace(spec, names=(), shares=chosen.weights, first_event=chosen.first_event)
    again = select(part.train, rng(1), 5.0, spec=decided)
    assert again.first_event == pytest.approx(dict(chosen.first_event))
    assert again.without("als").first_event == {"popularity": 1.0}
    assert not select(part.train, rng(1), 5.0, spec=replace(decided, first_event={})).first_event


def test_where_events_have_times_who_came_after_the_split_chooses(interactions: Callable[..., Interactions]) -> None:
    rng = np.random.default_rng(0)
    users = {f"u{user}": [(f"i{rng.integers(40)}", 1.0, user / 30 + place) for place in range(5)] for user in range(3_000)}
    validation = Validation.of(interactions(users, timed=True), np.random.default_rng(0), Notes(None))
    part = validation.new_users(1, 120)
    assert part is not None and len(part) == 120 == len(part.histories.items)
    assert not set(part.users.tolist()) & set(part.train.users.tolist())
    assert np.array_equal(part.train.times, validation.whole.train.times)
    assert validation.new_users(1, 99) is None
    plain = Validation.of(interactions({user: own[:4] for user, own in users.items()}), np.random.default_rng(0), Notes(None))
    assert plain.method != "time" and plain.new_users(1, 120) is None


def test_too_few_users_choose_nothing(part: HoldoutSplit, models: dict[str, Model]) -> None:
    notes = Notes(None)
    assert first_event_shares(models, {"covisitation": 0.3, "als": 0.7}, part.first(99), notes) == {}
    assert not notes.lines and not notes.figures
