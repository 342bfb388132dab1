"""Choosing on stores that hold next to nothing, or all the same: a training ends with a model wherever there are events."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.errors import ModelError
from es_recsys.models import recommend
from es_recsys.models.als import ALS
from es_recsys.models.covisitation import CoVisitation
from es_recsys.models.ease import EASE
from es_recsys.models.lsa import LSA
from es_recsys.models.popularity import Popularity
from es_recsys.training import model_selection as module
from es_recsys.training import trial_time
from es_recsys.training.model_selection import Selection, TrainSpec, select
from es_recsys.training.validation import Validation

USERS, ITEMS, EACH = 80, 40, 6


@pytest.fixture(autouse=True)
def every_model_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little time there is."""
    monkeypatch.setattr(trial_time, "_ALWAYS", 99)


def store(
    users: int = USERS,
    items: int = ITEMS,
    each: int = EACH,
    *,
    times: Callable[[int], Any] = lambda n: np.arange(n, dtype=float),
    item_name: str = "i{:03}",
    user_name: str = "u{:04}",
    liked: float = 1.0,
) -> Interactions:
    """Each of the users does something with so many random items, of which the share `liked` is liked."""
    rng = np.random.default_rng(2)
    n = users * each
    ids = np.array([item_name.format(item) for item in range(items)])
    order = np.argsort(ids)
    return Interactions(
        user_ids=np.array([user_name.format(user) for user in range(users)]),
        item_ids=ids[order],
        users=np.repeat(np.arange(users), each).astype(np.int32),
        items=rng.integers(0, items, n).astype(np.int32),
        weights=np.where(rng.random(n) < liked, 1.0, -1.0).astype(np.float32),
        times=np.asarray(times(n), np.float64),
        type_idx=np.zeros(n, np.int8),
        event_types=("view",),
    )


def catalogue(data: Interactions, text: Callable[[int], str], **more: Any) -> ItemTable:
    n = len(data.item_ids)
    texts = [text(place) for place in range(n)]
    nothing = np.full(n, math.nan)
    table: dict[str, Any] = {"categories": [()] * n, "brands": [""] * n, "vectors": {}, "attributes": {}, **more}
    return ItemTable(data.item_ids, texts, texts, prices=nothing, created=nothing, **table)


def trained(data: Interactions, items: ItemTable | None = None, seconds: float = 0.0, **spec: Any) -> Selection:
    return select(data, np.random.default_rng(1), seconds, spec=TrainSpec(items=items, **spec))


PLAIN = store()
STORES: dict[str, tuple[Interactions, ItemTable | None]] = {
    "one user": (store(users=1, each=300), None),
    "one item": (store(items=1), None),
    "one item, one event each": (store(items=1, each=1, users=300), None),
    "one event": (store(users=1, items=1, each=1), None),
    "two items": (store(items=2), None),
    "no text": (PLAIN, catalogue(PLAIN, lambda place: "")),
    "equal texts": (PLAIN, catalogue(PLAIN, lambda place: "the same text", categories=[("a",)] * ITEMS, brands=["b"] * ITEMS)),
    "titles that share no words": (PLAIN, catalogue(PLAIN, "product {}".format)),
    "no two words alike": (PLAIN, catalogue(PLAIN, "word{}".format)),
    "texts without letters": (PLAIN, catalogue(PLAIN, lambda place: "!?")),
    "another catalogue": (PLAIN, catalogue(store(item_name="z{:03}"), "product {}".format)),
    "one instant": (store(times=lambda n: np.full(n, 1.7e9)), None),
    "two instants": (store(times=lambda n: np.arange(n) % 2 * 86_400.0), None),
    "any script": (store(item_name="商品 {} 🜁/é", user_name="यूज़र-{}"), None),
    "long ids": (store(item_name="i{:0500}", users=60), None),
    "dislikes beside few likes": (store(liked=0.05), None),
    "dislikes beside one like": (store(users=1, each=8, liked=0.4), None),
    "one event a user": (store(users=400, each=1), None),
}


@cache
def trained_on(name: str) -> Selection:
    return trained(*STORES[name])


@pytest.mark.parametrize("name", STORES)
def test_there_is_a_model_wherever_there_are_events(name: str) -> None:
    data, _ = STORES[name]
    found = trained_on(name)
    assert found.weights and sum(found.weights.values()) == pytest.approx(1.0)
    assert np.isfinite(list(found.weights.values())).all()
    expected = found.report.figures.get("expected_quality", {"ndcg": 0.0})
    assert math.isfinite(expected["ndcg"])
    # It answers anybody, too.
    recommend(found.models, found.weights, History.of(data.item_ids[:2].tolist()), 5, frozenset())


@pytest.mark.parametrize("name", ["titles that share no words", "no two words alike", "equal texts", "texts without letters"])
def test_a_catalogue_without_a_vocabulary_leaves_lsa_out_and_says_so(name: str) -> None:
    found = trained_on(name)
    said = [line for line in found.report.lines if line.startswith("lsa is left out. ")]
    assert len(said) == 1 and "lsa" not in found.models
    assert "lsa" in found.report.figures["left_out"]


FAULTS = [MemoryError(), np.linalg.LinAlgError("SVD did not converge"), ValueError("array must not contain infs or NaNs")]


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("kind", "error"), [*zip([CoVisitation, ALS, EASE], FAULTS, strict=True), (LSA, FAULTS[1])], ids=lambda one: str(one)[:40]
)
def test_whichever_model_fails_the_others_serve(kind: Any, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "fit_counts" if kind is CoVisitation else "fit", failing(error))
    found = trained(PLAIN, catalogue(PLAIN, lambda place: f"red blue shoe {place % 3}"))
    assert kind.name not in found.models and found.weights
    line = next(line for line in found.report.lines if line.startswith(f"{kind.name} is left out. "))
    assert type(error).__name__ in line


@pytest.mark.parametrize("kind", [CoVisitation, ALS, LSA])
def test_a_model_that_was_asked_for_fails_with_its_reason(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "fit_counts" if kind is CoVisitation else "fit", failing(MemoryError()))
    with pytest.raises(ModelError, match=f"{kind.name} can't be trained: There is not enough memory"):
        trained(PLAIN, catalogue(PLAIN, lambda place: f"red blue shoe {place % 3}"), names=(kind.name,))
    # One that is only trained again beside it is left out.
    found = trained(PLAIN, None, names=(kind.name, "ease"), optional=frozenset({kind.name}))
    assert list(found.weights) == ["ease"]


def test_lsa_that_was_asked_for_says_that_there_is_no_vocabulary() -> None:
    with pytest.raises(ModelError, match="have no words for lsa to learn from"):
        trained(*STORES["no two words alike"], names=("lsa",))
    with pytest.raises(ModelError, match="There are no texts to train lsa on"):
        trained(*STORES["no text"], names=("lsa",))


@pytest.mark.parametrize(
    ("where", "name", "said"),
    [
        (Validation, "of", "No setting is tried: "),
        (module, "select_ensemble", "The models are not weighed against each other: "),
        (module, "_earlier", "Ensemble weights come from these users alone: "),
    ],
    ids=["validation", "weighing", "earlier"],
)
def test_a_step_that_fails_costs_that_step(where: Any, name: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where, name, failing(RuntimeError("a library's own")))
    found = trained(PLAIN)
    assert found.weights
    assert any(line == f"{said}RuntimeError: a library's own" for line in found.report.lines)


def test_a_model_that_can_only_be_tried_but_not_trained_on_everything_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, fit = len(PLAIN.items), ALS.fit

    def small_only(self: ALS, data: Interactions, *rest: Any) -> ALS:
        if len(data.items) == whole:
            raise MemoryError
        return fit(self, data, *rest)

    monkeypatch.setattr(ALS, "fit", small_only)
    found = trained(PLAIN)
    assert "als" in found.report.figures and "als" not in found.weights
    assert any(line.startswith("als is left out at the last training. There is not enough memory") for line in found.report.lines)


def test_settings_that_can_not_be_tried_cost_these_settings_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, fit = ALS.default_config(True, True).factors, ALS.fit

    def few_factors(self: ALS, *rest: Any) -> ALS:
        if self.config.factors > usual:
            raise MemoryError
        return fit(self, *rest)

    monkeypatch.setattr(ALS, "fit", few_factors)
    found = trained(PLAIN, seconds=60.0, names=("als",), optional=frozenset({"als"}))
    told = next(line for line in found.report.lines if line.startswith("als: "))
    assert "could not be tried: MemoryError" in told and "als" in found.report.figures


def test_what_comes_to_no_numbers_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = ALS.fit

    def broken(self: ALS, *rest: Any) -> ALS:
        made = fit(self, *rest)
        made._arrays = {name: array * np.nan if name == "vectors" else array for name, array in made._arrays.items()}
        return made

    monkeypatch.setattr(ALS, "fit", broken)
    found = trained(PLAIN)
    assert "als" not in found.weights
    assert any("values that are no numbers" in line for line in found.report.lines)


def test_where_nothing_else_can_be_trained_what_is_popular_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (CoVisitation, ALS, EASE):
        monkeypatch.setattr(kind, "fit", failing(MemoryError()))
    monkeypatch.setattr(CoVisitation, "fit_counts", failing(MemoryError()))
    found = trained(PLAIN)
    assert dict(found.weights) == {} and list(found.models) == ["popularity"]
    assert found.report.lines[-1].startswith("Nothing but what is popular could be trained")


def test_nothing_at_all_fails() -> None:
    with pytest.raises(ModelError, match="no positive events"):
        trained(store(liked=0.0))


def test_what_everything_rests_on_still_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Popularity, "fit", failing(MemoryError()))
    with pytest.raises(MemoryError):
        trained(PLAIN)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_ends_it(stop: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ALS, "fit", failing(stop()))
    with pytest.raises(stop):
        trained(PLAIN)


def test_the_users_of_a_look_up_are_not_told() -> None:
    from es_recsys.training.attempts import reason_of

    assert reason_of(KeyError("u17")) == "KeyError."
    assert reason_of(RuntimeError("x\nsecond line")) == "RuntimeError: x"


@pytest.mark.long
def test_a_million_users_with_one_event_each_are_chosen_for() -> None:
    data, began = store(users=1_000_000, items=5_000, each=1), time.process_time()
    found = trained(data, seconds=30.0)
    assert found.weights and time.process_time() - began < 120.0
    assert any(line.startswith("Too few users came to a second item") for line in found.report.lines)
