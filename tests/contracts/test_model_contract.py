"""What every collaborative model keeps to, run on each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.errors import ModelError
from es_recsys.models import ALS, MODELS, ALSConfig, CoVisitation, Model, Popularity
from es_recsys.models.aligned import Aligned, AlignedConfig
from es_recsys.models.base import TrainingCallback, unit
from es_recsys.models.ease import EASE, EASEConfig
from es_recsys.models.fused import Fused, FusedConfig
from es_recsys.models.lsa import LSA, LSAConfig
from es_recsys.models.sasrec import SASRec, SASRecConfig
from es_recsys.models.types import HistoryBatch

GROUPS, SIZE = 4, 10
NONE: NDArray[np.int64] = np.zeros(0, np.int64)


def shop(seed: int = 1) -> Interactions:
    """60 shoppers who each like one of four groups of ten items, look elsewhere now and then and dislike something."""
    rng = np.random.default_rng(seed)
    users, items, weights, times = [], [], [], []
    for user in range(60):
        own = user % GROUPS * SIZE + rng.choice(SIZE, 7, replace=False)
        seen = [*own.tolist(), *rng.integers(0, GROUPS * SIZE, 2).tolist()]
        users += [user] * len(seen)
        items += seen
        weights += [*rng.choice([1.0, 3.0], len(seen) - 1).tolist(), -1.0]
        times += (1e9 + 86_400 * np.sort(rng.uniform(0, 20, len(seen)))).tolist()
    data = Interactions(
        user_ids=np.array([f"u{user:02}" for user in range(60)]),
        item_ids=np.array([name(place) for place in range(GROUPS * SIZE)]),
        users=np.array(users, np.int32),
        items=np.array(items, np.int32),
        weights=np.array(weights, np.float32),
        times=np.array(times),
    )
    for array in (data.user_ids, data.item_ids, data.users, data.items, data.weights, data.times):
        array.flags.writeable = False  # whoever writes to an argument fails
    return data


def name(place: int) -> str:
    return f"item é{place:02}"


def group(number: int) -> list[str]:
    return [name(place) for place in range(number * SIZE, (number + 1) * SIZE)]


def catalogue(seed: int = 11) -> ItemTable:
    """The items of `shop` and two more that nobody has seen; an item's words, category, brand and picture tell its group."""
    rng = np.random.default_rng(seed)
    places = range(GROUPS * SIZE + 2)
    groups = [place // SIZE % GROUPS for place in places]
    words = (("red", "shoe"), ("blue", "hat"), ("green", "scarf"), ("warm", "coat"))
    vectors = rng.normal(0, 0.1, (len(groups), 16)) + np.eye(16)[groups]
    vectors[3] = 0.0
    shown = rng.normal(0, 0.1, (len(groups), 24)) + np.eye(24)[groups]
    shown[[3, 17]] = 0.0
    return ItemTable(
        item_ids=np.array([name(place) for place in places]),
        texts=[f"{' '.join(words[group])} number {place + seed}" for place, group in zip(places, groups, strict=True)],
        titles=[" ".join(words[group]) for group in groups],
        categories=[("wear", words[group][1]) for group in groups],
        brands=[f"brand {group}" for group in groups],
        prices=np.array([10.0 * (group + 1) for group in groups]),
        created=np.full(len(groups), 1e9),
        vectors={"text_vector": unit(vectors), "image_vector": unit(shown)},
    )


# Settings with which a model learns the little shop within a second; a model that isn't here has its own.
SMALL: dict[str, Callable[[], Model]] = {
    "als": lambda: ALS(ALSConfig(factors=8, iterations=5, threads=1, half_life=5.0)),
    "ease": lambda: EASE(EASEConfig(regularization=5.0, neighbours=20)),
    "lsa": lambda: LSA(LSAConfig(dims=20, min_df=1)),
    "aligned": lambda: Aligned(AlignedConfig(dims=12, batch_size=32, epochs=30)),
    "fused": lambda: Fused(FusedConfig(dims=12)),
    "sasrec": lambda: SASRec(
        SASRecConfig(
            dims=16, blocks=1, dropout=0.2, negatives=40, batch_events=128, learning_rate=3e-3, epochs=12, validation_users=0
        )
    ),
}


def untrained(kind: str) -> Model:
    return SMALL.get(kind, MODELS[kind])()


def trained(kind: str, data: Interactions, items: ItemTable | None = None) -> Model:
    return untrained(kind).fit(data, np.random.default_rng(3), catalogue() if items is None else items)


def history(item_ids: Sequence[str], weights: Sequence[float] | None = None) -> History:
    values = np.ones(len(item_ids), np.float32) if weights is None else np.array(weights, np.float32)
    ages = np.arange(len(item_ids) - 1, -1, -1, dtype=np.float64)
    values.flags.writeable = ages.flags.writeable = False
    return History(tuple(item_ids), values, ages)


HISTORIES = {
    "usual": history([name(3), name(1), name(4)]),
    "repeats": history([name(12), name(15), name(12), name(12)]),
    "of two groups": history([name(1), name(33), name(7), name(31)], [1, 3, 2, 1]),
    "with dislikes": history([name(21), name(22), name(25)], [1, -1, 1]),
    "dislikes alone": history([name(21), name(22)], [-1, -2]),
    "one item": history([name(18)]),
    "nothing": history([]),
    "all unknown": history(["?", "item", ""]),
    "unknown between": history([name(2), "?", name(5)]),
    "very long": history([name(place % 40) for place in range(700)]),
}


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> Model:
    kind: str = request.param
    return trained(kind, shop())


@pytest.fixture(scope="module")
def other(model: Model) -> Model:
    """The same kind, trained on something else; the last test that it is given trains it again."""
    return trained(model.name, shop(seed=2), catalogue(seed=12))


def personal(model: Model) -> bool:
    return not isinstance(model, Popularity)


def test_it_says_what_it_is(model: Model) -> None:
    assert MODELS[model.name] is type(model)
    assert (model.kind, model.field is None) in {("vector", False), ("neighbours", True)}
    # What nobody has seen yet has a place where the catalogue is read.
    assert list(model.item_ids) == (catalogue() if model.reads_items else shop()).item_ids.tolist()
    assert len(model.fingerprint) == 16 and int(model.fingerprint, 16) >= 0


def test_untrained_it_refuses_to_answer(model: Model) -> None:
    with pytest.raises(ModelError, match=rf"{model.name} was asked before it was trained.*fit"):
        untrained(model.name).recommend(HISTORIES["usual"])


@pytest.mark.parametrize("case", HISTORIES)
def test_lists_are_the_best_scores_in_order(model: Model, case: str) -> None:
    listed = model.recommend(HISTORIES[case], 12)
    scores = model.score(HISTORIES[case], list(model.item_ids))
    assert scores.shape == (len(model.item_ids),) and scores.dtype == np.float32
    order = np.lexsort((np.arange(len(scores)), -scores))
    expected = [(model.item_ids[int(place)], scores[place]) for place in order if scores[place] > 0][:12]
    assert [score for _, score in listed] == pytest.approx([score for _, score in expected], rel=1e-5)
    assert len({item_id for item_id, _ in listed}) == len(listed)
    assert all(scores[model.item_ids.find([item_id])[0]] == pytest.approx(score, rel=1e-5) for item_id, score in listed)


def test_a_batch_equals_its_parts(model: Model) -> None:
    histories = list(HISTORIES.values())
    rng = np.random.default_rng(5)
    excluded = [rng.choice(40, count, replace=False) for count in range(len(histories))]
    places = [rng.integers(0, 40, count) for count in range(len(histories))]
    batch = HistoryBatch.of(histories, model.item_ids)
    lists, scores = model.recommend_idx(batch, 9, excluded), model.score_idx(batch, places)
    named = model.recommend_batch(histories, 9, [frozenset(model.item_ids.take(each)) for each in excluded])
    assert len(lists) == len(scores) == len(histories)
    for user, one in enumerate(histories):
        single = model.recommend(one, 9, frozenset(model.item_ids.take(excluded[user])))
        assert model.item_ids.take(lists[user][0]) == [item_id for item_id, _ in single]
        assert named[user] == list(zip(model.item_ids.take(lists[user][0]), lists[user][1].tolist(), strict=True))
        np.testing.assert_allclose(lists[user][1], [score for _, score in single], rtol=1e-4)
        alone = model.score(one, model.item_ids.take(places[user]))
        np.testing.assert_allclose(scores[user], alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", HISTORIES)
def test_a_scorer_says_what_the_model_does(model: Model, case: str) -> None:
    ids = [*group(0), "?", *group(1)]
    scorer = model.scorer(HISTORIES[case])
    for asked in (ids, ids[::-1], [], ["?"]):
        np.testing.assert_allclose(scorer(asked), model.score(HISTORIES[case], asked), rtol=1e-6)
        assert scorer(asked).dtype == np.float32


def test_an_empty_batch_has_no_answers(model: Model) -> None:
    batch = HistoryBatch.of([], model.item_ids)
    assert model.recommend_idx(batch, 5, []) == [] and model.score_idx(batch, []) == []


def test_saving_again_replaces_and_leaves_nothing_beside(model: Model, other: Model, tmp_path: Path) -> None:
    other.save(tmp_path / "model")
    mapped = type(model).load(tmp_path / "model")
    before = mapped.recommend(HISTORIES["usual"])
    model.save(tmp_path / "model")
    assert mapped.recommend(HISTORIES["usual"]) == before
    assert type(model).load(tmp_path / "model").fingerprint == model.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_same_training_learns_the_same_and_another_something_else(model: Model, other: Model) -> None:
    assert other.fingerprint != model.fingerprint
    usual, some = HISTORIES["usual"], group(0)
    other.recommend(usual), other.score(usual, some)
    data, before = shop(), shop()
    other.fit(data, np.random.default_rng(3), catalogue())
    # Nor is anything left of what it was asked before.
    assert other.fingerprint == model.fingerprint
    assert other.recommend(usual) == model.recommend(usual)
    assert other.score(usual, some).tolist() == model.score(usual, some).tolist()
    for column in ("users", "items", "weights", "times", "item_ids", "user_ids"):
        np.testing.assert_array_equal(getattr(data, column), getattr(before, column))


def test_loaded_again_it_answers_the_same_from_mapped_files(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model")
    assert loaded.fingerprint == model.fingerprint and list(loaded.item_ids) == list(model.item_ids)
    for one in HISTORIES.values():
        assert loaded.recommend(one) == model.recommend(one)
        assert loaded.explain(one, name(5)) == model.explain(one, name(5))
        np.testing.assert_array_equal(loaded.score(one, group(1)), model.score(one, group(1)))
    arrays = {**loaded.item_ids.arrays(), **loaded._arrays}  # type: ignore[attr-defined]
    assert {f"{array}.npy" for array in arrays} == {path.name for path in (tmp_path / "model").glob("*.npy")}
    assert all(isinstance(array.base, np.memmap) and not array.flags.writeable for array in arrays.values())


def test_unknown_items_score_nothing_and_change_nothing(model: Model) -> None:
    assert model.score(HISTORIES["usual"], ["?", name(2), ""]).tolist()[::2] == [0, 0]
    assert model.score(HISTORIES["usual"], []).shape == (0,)
    older = history(["?", *HISTORIES["usual"].item_ids])
    np.testing.assert_allclose(model.score(older, group(0)), model.score(HISTORIES["usual"], group(0)), rtol=1e-6)


@pytest.mark.parametrize("case", ["nothing", "all unknown", "dislikes alone"])
def test_a_history_that_says_nothing_gets_nothing(model: Model, case: str) -> None:
    assert model.user_vector(HISTORIES[case]) is None
    assert model.explain(HISTORIES[case], name(5)) == ()
    if personal(model):
        assert model.recommend(HISTORIES[case]) == []
    else:
        assert model.recommend(HISTORIES[case]) == model.recommend(HISTORIES["usual"]) != []


def test_a_user_whom_the_training_never_saw_gets_what_goes_with_one_item(model: Model) -> None:
    listed = [item_id for item_id, _ in model.recommend(HISTORIES["one item"], 6, {name(18)})]
    assert len(listed) == 6
    if personal(model):
        assert len(set(listed) & set(group(1))) >= 5


def test_a_dislike_lowers_what_it_speaks_of(model: Model) -> None:
    if not personal(model):
        pytest.skip("popularity is the same for everybody")
    others = [item_id for item_id in group(2) if item_id not in {name(20), name(21)}]
    neutral, disliked, liked = (
        float(model.score(one, others).mean())
        for one in (
            history(["?", name(20)]),
            history([name(21), name(20)], [-1, 1]),
            history([name(21), name(20)], [1, 1]),
        )
    )
    assert disliked < neutral and disliked < liked


def test_exclusions_leave_the_rest_in_order(model: Model) -> None:
    everything = model.recommend(HISTORIES["of two groups"], 50)
    excluded = {item_id for item_id, _ in everything[::2]} | {"?"}
    assert model.recommend(HISTORIES["of two groups"], 50, excluded) == everything[1::2]
    assert model.recommend(HISTORIES["of two groups"], 3, excluded) == everything[1::2][:3]
    assert model.recommend(HISTORIES["of two groups"], 50, list(model.item_ids)) == []
    assert model.recommend(HISTORIES["of two groups"], 0) == []


def test_reasons_are_items_of_the_history(model: Model) -> None:
    for one in HISTORIES.values():
        asked = [*group(0), *group(2), "?"]
        for item_id, together in zip(asked, model.explain_items(one, asked, 2), strict=True):
            reasons = model.explain(one, item_id, 2)
            assert together == reasons
            assert len(reasons) <= 2 and len(set(reasons)) == len(reasons)
            assert set(reasons) <= set(one.item_ids) - {item_id}
    if personal(model):
        assert set(model.explain(HISTORIES["of two groups"], name(5), 2)) == {name(1), name(7)}
        assert name(22) not in model.explain(HISTORIES["with dislikes"], name(28))


def test_no_argument_is_changed(model: Model) -> None:
    batch = HistoryBatch.of(list(HISTORIES.values()), model.item_ids)
    copies = [array.copy() for array in (batch.starts, batch.items, batch.weights, batch.recency_rank, batch.ages)]
    model.recommend_idx(batch, 5, [NONE] * len(batch))
    model.score_idx(batch, [np.array([2, 1])] * len(batch))
    for array, copy in zip((batch.starts, batch.items, batch.weights, batch.recency_rank, batch.ages), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    scores = model.score(HISTORIES["usual"], group(0))
    scores[:] = -1  # an answer is the caller's own
    assert model.recommend(HISTORIES["usual"], 3) == model.recommend(HISTORIES["usual"], 40)[:3]
    assert (model.score(HISTORIES["usual"], group(0)) >= 0).any()


def _pickled(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([{"a": 1}], object), allow_pickle=True)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def _other_type(path: Path) -> None:
    np.save(path, np.load(path).astype(bool))


def _other_shape(path: Path) -> None:
    array = np.load(path)
    np.save(path, np.concatenate([array, array]))


def _archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, array=np.zeros(3))


def _text(path: Path) -> None:
    path.write_text("not an array")


DAMAGE = [_pickled, _cut, _other_type, _other_shape, _archive, _text, Path.unlink]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda one: one.__name__.strip("_"))
def test_a_damaged_array_is_refused_by_name(model: Model, tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    model.save(tmp_path / "model")
    for path in sorted((tmp_path / "model").glob("*.npy")):
        whole = path.read_bytes()
        path.unlink()  # what is mapped keeps its own file
        path.write_bytes(whole)
        damage(path)
        with pytest.raises(ModelError, match=rf"{path.name} .*es-recsys train"):
            type(model).load(tmp_path / "model")
        path.write_bytes(whole)
    assert type(model).load(tmp_path / "model").fingerprint == model.fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        {"format": 99},
        {"model": "another"},
        {"params": {"no": "setting"}},
        {"params": 3},
        {"arrays": []},
        {"arrays": {}},
        {"arrays": {"x": 1}},
    ],
    ids=str,
)
def test_a_manifest_that_does_not_fit_is_refused(model: Model, tmp_path: Path, changed: dict[str, object]) -> None:
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(ModelError, match="es-recsys train"):
        type(model).load(tmp_path / "model")


@pytest.mark.parametrize("content", ["", "[]", "3", "{}", '{"format": 1', "\x00"])
def test_a_manifest_that_is_none_is_refused(model: Model, tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ModelError, match=r"manifest\.json"):
        type(model).load(tmp_path)
    with pytest.raises(ModelError, match=r"manifest\.json"):
        type(model).load(tmp_path / "nowhere")


def test_where_it_cannot_be_written_the_error_names_the_folder(model: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match=r"file.*writable"):
        model.save(tmp_path / "file" / "model")


def test_asking_a_loaded_model_needs_numpy_alone(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    code = f"""
import sys
from pathlib import Path
from es_recsys.models import MODELS
from es_recsys.dataset import History
model = MODELS[{model.name!r}].load(Path({str(tmp_path / "model")!r}))
history = History.of([{name(3)!r}, {name(4)!r}])
assert model.recommend(history, 5) and len(model.score(history, [{name(5)!r}])) == 1
model.explain(history, {name(5)!r})
print(sorted({{"scipy", "sklearn", "torch", "implicit", "polars", "sqlalchemy", "elasticsearch"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_covisitation_and_popularity_use_no_chance() -> None:
    for kind in (CoVisitation, Popularity):
        one, other = (kind().fit(shop(), np.random.default_rng(seed)) for seed in (1, 2))
        assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize(("kind", "parts"), [("als", 5), ("ease", 3)])
def test_what_is_told_of_its_parts_changes_nothing(kind: str, parts: int) -> None:
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int, figures: Mapping[str, float]) -> None:
        assert not figures
        told.append((done, total))

    watched = untrained(kind).fit(shop(), np.random.default_rng(3), None, TrainingCallback(tell))
    assert told == [(part, parts) for part in range(1, parts + 1)]
    assert watched.fingerprint == trained(kind, shop()).fingerprint
