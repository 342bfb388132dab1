"""Weights of event types, chosen on held-out purchases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.event_types import EVENT_TYPES
from es_recsys.models.covisitation import CoVisitation
from es_recsys.training.event_weights import EventWeightsReport, Trial, search_weights

TYPES = tuple(EVENT_TYPES)
CONFIGS: dict[str, Any] = {"covisitation": CoVisitation.default_config(False, False)}
SHARES = {"covisitation": 1.0}


def shop(seed: int = 0, users: int = 240, honest: str = "cart", noisy: str = "view", looks: int = 12) -> Interactions:
    """Twelve families of ten items; everybody buys and puts into the cart out of one, and looks at anything, `looks` times."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        family = user % 12
        own = rng.permutation(10) + 10 * family
        rows += [(user, item, "purchase") for item in own[:2]]
        rows += [(user, item, honest) for item in own[2:7]]
        rows += [(user, item, noisy) for item in rng.integers(0, 120, looks)]
    kinds = np.array([TYPES.index(kind) for _, _, kind in rows], np.int8)
    n = len(rows)
    return Interactions(
        np.array([f"u{place:03d}" for place in range(users)]),
        np.array([f"i{place:03d}" for place in range(120)]),
        np.array([user for user, _, _ in rows], np.int32),
        np.array([item for _, item, _ in rows], np.int32),
        np.array([EVENT_TYPES[kind].weight for _, _, kind in rows], np.float32),
        np.arange(n, dtype=np.float64),
        False,
        kinds,
        TYPES,
        np.full(n, np.nan, np.float32),
    )


def test_what_tells_of_purchases_counts_and_what_is_noise_does_not() -> None:
    found = search_weights(shop(looks=60), "purchase", CONFIGS, SHARES, np.random.default_rng(3))
    assert found.weights["purchase"] == 5.0
    assert found.weights["cart"] / 3.0 > found.weights["view"] / 1.0
    assert found.weights["view"] < 1.0
    assert found.after > found.before > 0.0
    assert found.kept
    assert found.gain.low > 0.0
    assert found.worth.low > 0.0
    assert found.alone < found.after


def test_the_names_of_the_types_do_not_matter() -> None:
    found = search_weights(shop(honest="view", noisy="cart"), "purchase", CONFIGS, SHARES, np.random.default_rng(3))
    assert found.weights["view"] / 1.0 > found.weights["cart"] / 3.0


def test_the_search_sets_out_from_the_weights_that_the_store_has() -> None:
    first = search_weights(shop(), "purchase", CONFIGS, SHARES, np.random.default_rng(3))
    again = search_weights(shop(), "purchase", CONFIGS, SHARES, np.random.default_rng(3), first.weights)
    assert again.before == first.after
    assert again.after >= first.after
    assert again.weights == first.weights or again.after > first.after


def test_what_only_looks_better_to_those_who_chose_it_is_not_kept() -> None:
    """With few looks the usual weights are as good as any, and the best of many trials is better by chance."""
    kept = [search_weights(shop(), "purchase", CONFIGS, SHARES, np.random.default_rng(seed)).kept for seed in range(6)]
    assert sum(kept) <= 1


def test_the_same_seed_finds_the_same() -> None:
    one, two = (search_weights(shop(), "purchase", CONFIGS, SHARES, np.random.default_rng(5)) for _ in range(2))
    assert one == two


def test_without_time_for_more_the_weights_stay() -> None:
    found = search_weights(shop(), "purchase", CONFIGS, SHARES, np.random.default_rng(3), budget=0.0)
    assert (found.trials, found.kept) == (1, False)
    assert found.after == found.before


def test_too_few_users_are_refused() -> None:
    with pytest.raises(InputError, match="it takes 50"):
        search_weights(shop(users=30), "purchase", CONFIGS, SHARES, np.random.default_rng(0))


def test_the_report_says_what_was_done() -> None:
    found = search_weights(shop(looks=60), "purchase", CONFIGS, SHARES, np.random.default_rng(3))
    text = "\n".join(EventWeightsReport("purchase", found, 3.0).lines())
    assert "each pair of user and item out of all events" in text
    assert "Train again" in text
    assert EventWeightsReport("purchase", found, 3.0).to_dict()["gain"]["mean"] == pytest.approx(found.gain.mean, abs=1e-6)


def test_a_search_that_was_broken_off_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, each = tmp_path / "tuned" / "event_weights.sqlite3", Trial.each
    calls: list[None] = []

    def breaking(self: Trial, weights: Any) -> Any:
        calls.append(None)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return each(self, weights)

    def found(name: str = "a") -> Any:
        return search_weights(shop(), "purchase", CONFIGS, SHARES, np.random.default_rng(3), file=file, name=name)

    monkeypatch.setattr(Trial, "each", breaking)
    with pytest.raises(KeyboardInterrupt):
        found()
    monkeypatch.setattr(Trial, "each", each)
    whole = search_weights(shop(), "purchase", CONFIGS, SHARES, np.random.default_rng(3))
    rest = found()
    assert rest.resumed == 4
    assert (rest.weights, rest.after, rest.trials) == (whole.weights, whole.after, whole.trials)
    assert found().resumed == whole.trials
    assert found("b").resumed == 0
