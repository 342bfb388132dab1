"""Estimates from a log whose truth is known: drawn by a ranker that shuffles, looked at by people who tire."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from es_recsys.errors import InputError
from es_recsys.evaluation.counterfactual import Impressions, estimate, impressions
from es_recsys.evaluation.examination import examination

ITEMS = tuple("abcdef")
LIKED = {"a": 0.05, "b": 0.1, "c": 0.2, "d": 0.3, "e": 0.5, "f": 0.7}
LOOKED = np.array([1.0, 0.7, 0.5, 0.35])
PLACES = len(LOOKED)
CHANCES = {"propensity": 1 / len(ITEMS), "inclusion_probability": PLACES / len(ITEMS)}


def _log(answers: int, seed: int) -> Impressions:
    """Each answer shows four of the six items, in any order with the same chance: each item is at each place with 1 / 6, and
    shown at all with 4 / 6."""
    rng = np.random.default_rng(seed)
    records, rewards = [], {}
    for number in range(answers):
        order = rng.permutation(ITEMS)[:PLACES].tolist()
        hits = [{"item_id": item, "position": place, **CHANCES} for place, item in enumerate(order, 1)]
        records.append({"answer_id": str(number), "kind": "recommend", "query": None, "hits": hits})
        for place, item in enumerate(order):
            if rng.random() < LIKED[item] * LOOKED[place]:
                rewards[str(number), item] = 1.0
    return impressions(records, rewards)


def _truth(order: Sequence[str]) -> float:
    return float(sum(LIKED[item] * LOOKED[place] for place, item in enumerate(order)))


BEST, WORST = ("f", "e", "d", "c"), ("a", "b", "c", "d")


@pytest.mark.parametrize("examination", [None, LOOKED], ids=["item-position", "position-based"])
def test_both_estimates_find_the_truth_of_orders_that_were_never_served(examination: NDArray[np.float64] | None) -> None:
    log = _log(20_000, 0)
    for order in (BEST, WORST):
        value = estimate(log, lambda _, order=order: order, examination)  # type: ignore[misc]
        for found in (value.ips, value.snips):
            assert found.mean == pytest.approx(_truth(order), abs=0.05)
            assert found.low - 0.01 <= _truth(order) <= found.high + 0.01
            assert found.high - found.low < 0.15
        assert value.clipped == 0.0
    assert value.logged.mean == pytest.approx(float(np.mean(list(LIKED.values())) * LOOKED.sum()), rel=0.05)


def test_knowing_what_is_looked_at_makes_more_of_the_log() -> None:
    log = _log(2_000, 1)
    strict, lenient = estimate(log, lambda _: BEST), estimate(log, lambda _: BEST, LOOKED)
    assert lenient.shown > 3 * strict.shown
    assert lenient.ips.high - lenient.ips.low < strict.ips.high - strict.ips.low


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    values = [estimate(_log(400, seed), lambda _: BEST, LOOKED) for seed in range(60)]
    for held in (
        [value.ips.low <= _truth(BEST) <= value.ips.high for value in values],
        [value.snips.low <= _truth(BEST) <= value.snips.high for value in values],
    ):
        assert np.mean(held) >= 0.85


def test_what_was_served_is_worth_what_it_brought() -> None:
    hits = [{"item_id": item, "position": place} for place, item in enumerate("abcd", 1)]
    records = [{"answer_id": str(n), "kind": "search", "query": "q", "hits": hits} for n in range(50)]
    log = impressions(records, {(str(n), "b"): 1.0 for n in range(10)})
    for chances in (None, LOOKED):
        value = estimate(log, lambda record: [hit["item_id"] for hit in record["hits"]], chances)
        assert value.ips.mean == value.logged.mean == pytest.approx(0.2)
        assert value.shown == 1.0


def test_a_later_page_is_a_later_page_for_the_new_ranker_too() -> None:
    """What was served at places 3 and 4 is not weighed as if it were to be shown at 1 and 2."""
    hits = [{"item_id": item, "position": place} for place, item in enumerate("cd", 3)]
    records = [{"answer_id": str(n), "kind": "search", "query": "q", "offset": 2, "hits": hits} for n in range(50)]
    log = impressions(records, {(str(n), "c"): 1.0 for n in range(10)})
    for chances in (None, LOOKED):
        value = estimate(log, lambda record: [hit["item_id"] for hit in record["hits"]], chances)
        for found in (value.ips, value.snips):
            assert found.mean == pytest.approx(value.logged.mean) == pytest.approx(0.2)
        assert value.shown == 1.0


def test_clipping_lowers_and_is_told() -> None:
    log = _log(2_000, 3)
    free, cut = estimate(log, lambda _: BEST, LOOKED), estimate(log, lambda _: BEST, LOOKED, clip=1.0)
    assert cut.ips.mean < free.ips.mean
    assert cut.clipped > 0.0
    assert cut.effective > free.effective


def test_snips_does_not_move_with_a_constant() -> None:
    log = _log(400, 4)
    shifted = Impressions(
        log.answers, log.positions, log.propensities, log.shown, log.rewards + 1.0, log.item_ids, log.contexts, log.asked
    )
    before, after = (estimate(one, lambda _: BEST).snips.mean for one in (log, shifted))
    assert after - before == pytest.approx(len(BEST))


def test_examination_is_found_in_the_log_alone() -> None:
    found = examination(_log(30_000, 5), PLACES)
    assert found == pytest.approx(LOOKED, abs=0.06)
    assert (np.diff(found) <= 0).all()


def test_what_people_like_is_not_taken_for_what_they_look_at() -> None:
    """Recommendations put first what their user likes most; all places are looked at."""
    rng = np.random.default_rng(8)
    records, rewards = [], {}
    for number in range(6_000):
        user = number % 2
        order = list("abcd" if user else "dcba")
        if rng.random() < 0.5:
            place = int(rng.integers(3))
            order[place], order[place + 1] = order[place + 1], order[place]
        hits = [{"item_id": item, "position": place} for place, item in enumerate(order, 1)]
        key = f"key of {user}"
        records.append({"answer_id": str(number), "kind": "recommend", "query": None, "user_key": key, "hits": hits})
        for place, item in enumerate("abcd" if user else "dcba"):
            if rng.random() < (0.6, 0.4, 0.2, 0.1)[place]:
                rewards[str(number), item] = 1.0
    assert examination(impressions(records, rewards), 4) == pytest.approx(np.ones(4), abs=0.12)


def test_a_log_in_which_nothing_moved_says_nothing_of_positions() -> None:
    hits = [{"item_id": item, "position": place} for place, item in enumerate("abcd", 1)]
    records = [{"answer_id": str(n), "kind": "search", "query": "q", "hits": hits} for n in range(50)]
    log = impressions(records, {(str(n), "a"): 1.0 for n in range(50)})
    assert examination(log, 4).tolist() == [1.0] * 4


def test_only_the_kinds_named_and_answers_with_hits_count() -> None:
    hit = {"item_id": "a", "position": 1}
    records = [
        {"answer_id": "1", "kind": "search", "query": "Q ", "hits": [hit]},
        {"answer_id": "2", "kind": "recommend", "query": None, "hits": [hit]},
        {"answer_id": "3", "kind": "search", "query": "q", "hits": []},
    ]
    log = impressions(records, {("1", "a"): 2.0}, kinds=("search",))
    assert log.rewards.tolist() == [2.0]
    assert log.contexts == ("search\0q",)


def test_what_cannot_be_weighed_is_refused() -> None:
    with pytest.raises(InputError, match="no answer"):
        estimate(impressions([], {}), lambda _: ["a"])
    bad = {"answer_id": "1", "kind": "search", "hits": [{"item_id": "a", "position": 1, "propensity": 0.0}]}
    with pytest.raises(InputError, match="propensity"):
        impressions([bad], {})
    with pytest.raises(InputError, match="examination"):
        estimate(_log(5, 0), lambda _: ["a"], np.array([1.0, 0.0]))
