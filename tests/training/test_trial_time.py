"""How the time of a training is shared by the models that it tries."""

from __future__ import annotations

import time

import pytest

from es_recsys.training.trial_time import TrialTime

NAMES = ("covisitation", "als", "sasrec", "affinity", "lsa", "ease")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "process_time", lambda: now[0])
    return now


def test_later_models_get_what_the_earlier_ones_left(clock: list[float]) -> None:
    budget = TrialTime(480.0, 100.0)
    assert budget.deadline == 580.0
    shares = []
    for place in range(len(NAMES)):
        shares.append(budget.share(NAMES[place:]))
        clock[0] += shares[-1]
    assert shares[2] > 1.9 * max(shares[3:]) and shares[0] > 1.2 * shares[1]
    assert min(shares) > 40.0 and sum(shares) < 480.0
    clock[0] = 600.0
    assert budget.share(NAMES[-1:]) == 0.0


def test_a_training_in_epochs_is_tried_for_a_third_at_most(clock: list[float]) -> None:
    """As it is made twice more."""
    budget = TrialTime(480.0, 100.0)
    assert budget.share(("sasrec",)) == pytest.approx(160.0)
    assert budget.share(("ease",)) == pytest.approx(0.9 * 480.0)


def test_time_is_left_to_ask_all_models_at_the_end(clock: list[float]) -> None:
    budget = TrialTime(480.0, 100.0)
    budget.asked(20.0, 2)
    clock[0] = 400.0
    assert budget.share(("ease",)) == pytest.approx(180.0 - 3 * 10.0 * 4)


def test_a_model_that_would_overrun_is_not_begun(clock: list[float]) -> None:
    budget = TrialTime(480.0, 100.0)
    budget.asked(20.0, 2)
    assert budget.refusal("als", 0.0, 1) is None
    assert budget.refusal("ease", 60.0, 5) == "the time ran out: it has 60 s, and it takes 60 s at least"
    assert budget.refusal("ease", 61.0, 5) is None
    assert budget.refusal("sasrec", 14.0, 2) is not None and budget.refusal("sasrec", 31.0, 2) is None
    assert budget.refusal("lsa", 0.0, 4) == "the time ran out"
    budget.asked(0.0, 0)
    assert budget.refusal("sasrec", 14.0, 2) is not None


def test_many_events_in_order_have_more_time_and_the_sequence_model_most_of_it(clock: list[float]) -> None:
    few, many = (TrialTime.of(NAMES, events, events, began=100.0) for events in (200_000, 1_000_000))
    assert few == TrialTime(480.0, 100.0, 0.0, True) and many == TrialTime(800.0, 100.0, 1.0, True)
    assert many.share(NAMES) < few.share(NAMES) * 1.1
    assert many.share(NAMES[2:]) == pytest.approx(0.55 * 800.0) and many.share(NAMES[3:]) == pytest.approx(0.9 * 800.0 / 3.0)
    assert TrialTime.of(NAMES, 600_000, 600_000, began=100.0).budget == pytest.approx(640.0)
    without = tuple(name for name in NAMES if name != "sasrec")
    assert TrialTime.of(without, 1_000_000, 1_000_000, began=100.0).budget == 480.0
    assert TrialTime.of(NAMES, 1_000_000, 1_000_000, began=100.0, seconds=300.0).budget == 300.0


def test_what_is_learned_twice_more_is_tried_for_less(clock: list[float]) -> None:
    """Where much is held out, the last training begins anew, and where there are few events."""
    budget = TrialTime.of(NAMES, 900_000, 1_000_000, began=100.0)
    assert not budget.goes_on and budget.share(NAMES[2:]) == pytest.approx(budget.budget / 3.0)
    assert not TrialTime.of(NAMES, 190_000, 190_000, began=100.0).goes_on
