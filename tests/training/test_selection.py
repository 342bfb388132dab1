"""What the selection chooses on data with a planted answer."""

from __future__ import annotations

import gzip
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from es_recsys.cooccurrence import CooccurrenceConfig
from es_recsys.dataset import History, Interactions
from es_recsys.errors import ModelError
from es_recsys.models import ALSConfig, CoVisitation, CoVisitationConfig, Popularity, recommend
from es_recsys.models.confidence import Confidence
from es_recsys.training import model_selection as module
from es_recsys.training import validation
from es_recsys.training.model_selection import Selection, TrainSpec, select, small_store_defaults, suitable_models
from es_recsys.training.selection_report import config_words
from es_recsys.training.training_record import TrainingRecord

Make = Callable[..., Interactions]
USERS, ITEMS = 160, 60
Users = dict[str, list[str]]


def walks(seed: int = 5) -> tuple[Users, dict[str, str]]:
    """Each user goes from an item to the one after it, now and then to a popular one; and where each goes next."""
    rng = np.random.default_rng(seed)
    users, following = {}, {}
    for user in range(USERS):
        at, path = int(rng.integers(ITEMS)), []
        for _ in range(int(rng.integers(6, 12))):
            path.append(at)
            at = (at + 1) % ITEMS if rng.random() < 0.85 else int(rng.zipf(1.5) % ITEMS)
        users[f"u{user:03}"] = [f"i{item:02}" for item in path]
        following[f"u{user:03}"] = f"i{(path[-1] + 1) % ITEMS:02}"
    return users, following


def tastes(seed: int = 5) -> Users:
    """Each user likes one tenth of the items, in any order."""
    rng = np.random.default_rng(seed)
    size = ITEMS // 6
    return {f"u{user:03}": [f"i{user % 6 * size + item:02}" for item in rng.permutation(size)[:8]] for user in range(USERS)}


def chosen(data: Interactions, seed: int = 1, budget: float = 1_000.0) -> Selection:
    return select(data, np.random.default_rng(seed), budget)


@pytest.fixture(scope="module")
def sequential(interactions: Make) -> Selection:
    return chosen(interactions(walks()[0]))


def covisitation_of(selection: Selection) -> CoVisitation:
    model = selection.models["covisitation"]
    assert isinstance(model, CoVisitation)
    return model


def test_where_order_tells_it_chooses_what_knows_of_order(sequential: Selection) -> None:
    config = covisitation_of(sequential).config
    assert sequential.report.figures["holdout"] == "last"
    assert config.counting.window is not None and config.counting.backward < 1 and config.half_life <= 3
    assert sum(sequential.weights.values()) == pytest.approx(1) and sequential.weights["covisitation"] >= 0.5
    assert any("the order of events tells" in line for line in sequential.report.lines)


def test_it_finds_what_comes_next_where_popularity_does_not(sequential: Selection) -> None:
    users, following = walks()
    hits = popular = 0
    asked = [user for user in users if following[user] not in users[user]]
    for user in asked:
        known = frozenset(users[user])
        answer = recommend(sequential.models, sequential.weights, History.of(users[user]), 3, known)
        hits += following[user] in {item_id for item_id, _ in answer}
        top = sequential.models["popularity"].recommend(History(), 3, known)
        popular += following[user] in {item_id for item_id, _ in top}
    assert hits > 0.8 * len(asked) and popular < 0.5 * len(asked)


def test_where_order_tells_nothing_it_looks_at_whole_histories(interactions: Make) -> None:
    selection = chosen(interactions(tastes()), seed=2)
    assert selection.report.figures["holdout"] == "random"
    assert np.isinf(covisitation_of(selection).config.half_life)
    assert any("the order of events tells nothing" in line for line in selection.report.lines)


def test_the_same_seed_chooses_the_same(sequential: Selection, interactions: Make) -> None:
    again = chosen(interactions(walks()[0]))
    assert again.weights == sequential.weights
    assert {name: model.fingerprint for name, model in again.models.items()} == {
        name: model.fingerprint for name, model in sequential.models.items()
    }
    untimed = {name: value for name, value in again.report.figures.items() if not name.endswith("_s")}
    assert untimed == {name: value for name, value in sequential.report.figures.items() if not name.endswith("_s")}


def test_what_it_says_is_told_as_it_comes_and_kept(interactions: Make) -> None:
    told: list[str] = []
    selection = select(interactions({"u": ["a", "b"]}), np.random.default_rng(0), on_line=told.append)
    assert tuple(told) == selection.report.lines and told


def shoppers(buyers: int, users: int = USERS) -> dict[str, list[tuple[str, float, float, str]]]:
    """Everybody looks at one item after the other, and each buyer now and then buys what its kind of people buy, without
    having looked at it."""
    rng = np.random.default_rng(3)
    found = {}
    for user in range(users):
        start, ware = int(rng.integers(ITEMS)), rng.permutation(10)
        events = [(f"i{(start + day) % ITEMS:02}", 1.0, float(day), "view") for day in range(20)]
        if user < buyers:
            events += [(f"b{user % 4}{ware[n]}", 5.0, day, "purchase") for n, day in enumerate((3.5, 8.5, 13.5, 17.5, 18.5))]
        found[f"u{user:03}"] = sorted(events, key=lambda event: event[2])
    return found


def test_settings_are_named_where_they_are_not_the_defaults() -> None:
    assert config_words(ALSConfig()) == "default settings"
    config = ALSConfig(factors=128, confidence=Confidence(scale=60.0), half_life=4.0)
    assert config_words(config) == "factors=128, confidence.scale=60.0, half_life=4.0"


def test_where_purchases_are_what_counts_it_chooses_by_them(interactions: Make) -> None:
    data = interactions(shoppers(USERS), timed=True)
    rng = np.random.default_rng
    looking = select(data, rng(1), 1_000.0, spec=TrainSpec(("covisitation", "als")))
    buying = select(data, rng(1), 1_000.0, spec=TrainSpec(("covisitation", "als"), targets=("purchase",)))
    assert "targets" not in looking.report.figures and buying.report.figures["targets"] == ["purchase"]
    assert any("after a split in time with purchase" in line for line in buying.report.lines)
    # What they look at next only the newest events tell; what they buy as well the oldest.
    assert covisitation_of(looking).config.counting.window is not None
    assert covisitation_of(buying).config.counting.window is None


def test_few_users_are_asked_of_the_time_before_too(interactions: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    data = interactions(shoppers(USERS), timed=True)
    said = "Ensemble weights come from 160 users of an earlier split as well."
    for seconds, sure, names, expected in [
        (1_000.0, 2_000, ("covisitation", "als"), True),
        (1_000.0, 160, ("covisitation", "als"), False),
        (1_000.0, 2_000, ("covisitation",), False),
        (0.0, 2_000, ("covisitation", "als"), False),
    ]:
        monkeypatch.setattr(module, "SURE", sure)
        report = select(data, np.random.default_rng(1), seconds, spec=TrainSpec(names)).report
        assert (said in report.lines, "earlier_users" in report.figures) == (expected, expected)
        assert ("Ensemble weights come from these users alone (the time ran out)." in report.lines) == (seconds == 0.0)


def test_similar_users_are_tried_for_purchases(interactions: Make) -> None:
    data = interactions(shoppers(USERS), timed=True)
    assert "userknn" in suitable_models(data, True, None, ("purchase",)) and "userknn" not in suitable_models(data, True)
    selection = select(data, np.random.default_rng(1), 1_000.0, spec=TrainSpec(targets=("purchase",)))
    assert "userknn" in selection.report.figures


def test_too_few_purchases_to_choose_by_are_said(interactions: Make) -> None:
    data = interactions(shoppers(20, 320), timed=True)
    selection = select(data, np.random.default_rng(1), 0.0, spec=TrainSpec(("covisitation",), targets=("purchase",)))
    assert "That is too few to choose by, it takes 50: chosen by events of any type." in selection.report.lines
    assert selection.report.figures["targets"] == [] and selection.report.figures["holdout"] == "time"
    assert selection.report.figures["validation_users"] == 256
    # What is expected of it is of another kind than what it is to be held to, so it isn't kept.
    assert TrainingRecord.on(data, 0.0, (), {}, selection.report.figures, targets=("purchase",)).expected_quality is None
    expected = TrainingRecord.on(data, 0.0, (), {}, selection.report.figures).expected_quality
    # It is of users who chose nothing: one of five.
    assert expected is not None and expected.users == 64


def test_long_trainings_are_shown_as_they_go(interactions: Make) -> None:
    shown: list[tuple[str, int, int]] = []
    spec = TrainSpec(("als",), part=lambda *part: shown.append(part))
    select(interactions(walks()[0]), np.random.default_rng(0), 0.0, spec=spec)
    assert shown == [(f"als, {stage}", done, 10) for stage in ("trial", "final") for done in range(1, 11)]
    # No curve where nothing is measured.
    assert spec.curves == {}
    tell = spec.watch("sasrec", "trial").on_epoch
    assert tell is not None
    tell(2, 5, {"loss": 0.5})
    assert spec.curves == {"sasrec": [{"epoch": 2, "of": 5, "loss": 0.5}]}
    assert shown[-1] == ("sasrec, trial", 2, 5)


def test_too_little_data_gets_defaults_and_says_so(interactions: Make) -> None:
    data = interactions({f"u{user}": ["a", "b", "c", "d"][user % 2 :] for user in range(12)})
    selection = chosen(data)
    line = "42 events of 12 users are too few to tune on (200 events of 50 users are needed): the default settings are taken."
    assert line in selection.report.lines
    assert selection.report.figures["holdout"] == "none"
    covisitation, als, weights = small_store_defaults(data)
    assert covisitation_of(selection).config == covisitation and dict(selection.weights) == weights
    assert set(selection.models) == {"covisitation", "als", "popularity"} and als.factors == 4
    assert recommend(selection.models, selection.weights, History.of(["a"]), 2, frozenset("a"))


def test_many_events_of_users_with_one_item_each_get_defaults(interactions: Make) -> None:
    selection = chosen(interactions({f"u{user}": ["a"] * 5 for user in range(60)}))
    assert any("defaults" in line for line in selection.report.lines)


@pytest.mark.parametrize("events", [[], [("a", -1.0)]], ids=["none", "dislikes"])
def test_without_a_positive_event_it_refuses(interactions: Make, events: list[tuple[str, float]]) -> None:
    with pytest.raises(ModelError, match=r"no positive events to train on.*es-recsys events load"):
        chosen(interactions({"u": events}))


def test_without_time_it_still_answers(interactions: Make) -> None:
    selection = chosen(interactions(walks()[0]), budget=0.0)
    assert any("(the time ran out)" in line for line in selection.report.lines)
    assert covisitation_of(selection).recommend(History.of(["i05"]), 1)[0][0] == "i06"


def test_a_busy_machine_chooses_the_same(interactions: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at a clock costs a second of work, and where others use the processors too, an hour goes by meanwhile."""
    data, found = interactions(walks()[0]), []
    for elapsed in (1.0, 3_600.0):
        work, wall = itertools.count(), itertools.count(0.0, elapsed)
        monkeypatch.setattr(time, "process_time", lambda work=work: float(next(work)))
        monkeypatch.setattr(time, "monotonic", lambda wall=wall: next(wall))
        found.append(chosen(data, budget=100.0))
    idle, busy = found
    assert any("(the time ran out)" in line for line in idle.report.lines)
    assert idle.report == busy.report and idle.weights == busy.weights
    assert {name: model.fingerprint for name, model in idle.models.items()} == {
        name: model.fingerprint for name, model in busy.models.items()
    }


def test_without_the_library_covisitation_answer_alone(interactions: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    for users in (walks()[0], {"u": ["a", "b"]}):
        selection = chosen(interactions(users), budget=0.0)
        assert set(selection.models) == {"covisitation", "popularity"} and selection.weights == {"covisitation": 1.0}
        assert any("als is left out" in line and "implicit" in line for line in selection.report.lines)


def test_with_times_it_looks_ahead(interactions: Make) -> None:
    users = {
        user: [(item, 1.0, 2.0 * place + number / USERS) for place, item in enumerate(path)]
        for number, (user, path) in enumerate(walks()[0].items())
    }
    selection = chosen(interactions(users, timed=True), budget=0.0)
    assert selection.report.figures["holdout"] == "time"


def test_a_large_store_is_tried_on_part_of_its_users(interactions: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "_SEARCH_EVENTS", 700)
    data = interactions(walks()[0])
    selection = chosen(data, budget=0.0)
    share = 700 / len(data.items)
    assert f"Settings are tried on a random {share:.0%} of the users." in selection.report.lines
    assert 0.3 * USERS < selection.report.figures["validation_users"] < 0.8 * USERS
    assert list(selection.models["popularity"].item_ids) == data.item_ids.tolist()


def test_defaults_grow_with_the_store(interactions: Make) -> None:
    factors = [
        small_store_defaults(interactions({f"u{user}": [f"i{user}"] for user in range(n)}))[1].factors for n in (1, 40, 400)
    ]
    assert factors == [4, 10, 32]
    assert isinstance(small_store_defaults(interactions({"u": ["a"]}))[1], ALSConfig)


@pytest.mark.long
def test_on_real_purchases_it_beats_popularity_and_unordered_pairs(interactions: Make, shared_data: Path) -> None:
    with gzip.open(shared_data / "beauty" / "Beauty.txt.gz", "rt") as file:
        rows = [line.split()[1:] for line in file][::4]
    users = {f"u{n}": items for n, items in enumerate(rows)}
    data = interactions({user: items[:-1] for user, items in users.items()})
    selection = chosen(data, budget=60.0)
    plain = CoVisitation(CoVisitationConfig(CooccurrenceConfig(), 0.8, 0.2)).fit(data, np.random.default_rng(0))
    popular = Popularity().fit(data, np.random.default_rng(0))
    hits = np.zeros(3)
    for items in list(users.values())[::3]:
        history, known = History.of(items[:-1]), frozenset(items[:-1])
        lists = (
            recommend(selection.models, selection.weights, history, 10, known),
            plain.recommend(history, 10, known),
            popular.recommend(history, 10, known),
        )
        hits += [items[-1] in {item_id for item_id, _ in one} for one in lists]
    assert hits[0] > 1.05 * hits[1] and hits[0] > 3 * hits[2]
