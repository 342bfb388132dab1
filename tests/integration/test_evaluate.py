"""Evaluation on a real engine: nothing held out leaks into the store that answers, and nothing is left of it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from es_recsys import Client, Event, Settings, artefact
from es_recsys.cli import main
from es_recsys.errors import InputError, ModelError
from es_recsys.evaluation import query_split
from es_recsys.events.interactions import read_interactions
from es_recsys.index.item_digests import catalogue_digest
from es_recsys.index.stored_metadata import write_metadata
from es_recsys.jobs.eval_run import EvalRun
from es_recsys.jobs.evaluate import evaluate
from es_recsys.jobs.evaluate_log import evaluate_log
from es_recsys.jobs.evaluate_options import EvaluateOptions
from es_recsys.jobs.load_events import load_events
from es_recsys.models import MODELS
from es_recsys.models.als import ALS
from es_recsys.sample import SampleStore
from es_recsys.search.forest import Forest
from es_recsys.search.ranker import Ranker
from es_recsys.search.retriever_weights import SEARCH_KINDS
from es_recsys.serving.refresh import build_profiles
from es_recsys.serving.snapshot_cache import RANKING, ranking_folder
from es_recsys.settings import FusionWeights, SearchSettings
from es_recsys.training.scratch_store import copy_events, scratch_store
from es_recsys.training.served_ranker import ServedRanker, only_retriever
from es_recsys.training.training_record import record_tuned
from es_recsys.training.tune_model import tune_model
from es_recsys.training.tune_weights import tune_weights
from es_recsys.training.tuned_settings import load_tuned, save_tuned, tuning_histories

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings], sample: SampleStore, sample_events: Path) -> Iterator[Client]:
    """The sample store, trained with one model, so that what changes is told."""
    with Client(settings=module_settings()) as client:
        client.insert_items(sample.items)
        load_events(client.workspace, [sample_events])
        yield client


def _scratch_indices(client: Client) -> list[str]:
    return list(client.workspace.es.indices.get(index=f"{client.settings.index}_evaluation_*"))


@pytest.fixture(autouse=True)
def nothing_left(client: Client) -> Iterator[None]:
    before = client.workspace.snapshots.latest().metadata.version
    yield
    assert not _scratch_indices(client)
    assert client.workspace.snapshots.latest().metadata.version in (before, before + 1)


def test_profiles_of_the_scratch_store_know_what_the_questions_say(client: Client) -> None:
    data = read_interactions(client.workspace.events)
    split = query_split("last", data, np.random.default_rng(0), 60)
    with scratch_store(client.workspace) as work:
        assert work.settings.index != client.settings.index
        given = copy_events(work, client.workspace.events.scan(), split.rule, "train")
        assert 0 < given < client.workspace.events.count()
        build_profiles(work)
        with Client(settings=work.settings) as asked:
            for query in split.queries:
                profile = asked.get_user_profile(query.actor)
                assert profile.history.item_ids == query.history.item_ids
                assert profile.history.weights.tolist() == query.history.weights.tolist()
                assert profile.seen == query.seen
                assert not profile.seen & query.grades.keys()
        with Client(settings=work.settings) as asked:
            assert {hit.item_id for hit in asked.recommend(split.queries[0].actor, n=50).hits}


def test_users_held_out_are_known_when_they_ask_but_not_in_training(client: Client) -> None:
    split = query_split("user", read_interactions(client.workspace.events), np.random.default_rng(0))
    with scratch_store(client.workspace) as work:
        copy_events(work, client.workspace.events.scan(), split.rule, "train")
        trained = set(read_interactions(work.events).user_ids.tolist())
        assert not trained & split.rule.learned.keys()
        assert copy_events(work, client.workspace.events.scan(), split.rule, "known") > 0
        build_profiles(work)
        with Client(settings=work.settings) as asked:
            query = split.queries[0]
            assert asked.get_user_profile(query.actor).history.item_ids == query.history.item_ids


def test_a_failure_leaves_nothing_behind(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def fail(*_: object, **__: object) -> None:
        made.extend(_scratch_indices(client))
        raise ZeroDivisionError

    monkeypatch.setattr("es_recsys.jobs.eval_served.train", fail)
    with pytest.raises(ZeroDivisionError):
        evaluate(client.workspace, EvaluateOptions(models=("popularity",), users=5))
    assert made


@pytest.mark.long
def test_memory_and_the_served_path_agree_side_by_side(client: Client) -> None:
    plain = SearchSettings(interests=0, weights=FusionWeights(no_query={"covisitation": 1.0, "als": 0.5}))
    with Client(settings=client.settings.model_copy(update={"search": plain})) as bare:
        found = evaluate(bare.workspace, EvaluateOptions(models=("covisitation", "als"), users=50, budget=0.0))
    by_name = {one.name: one for one in found.techniques}
    assert set(by_name) == {"popularity", "covisitation", "als", "ensemble", "served"}
    assert {one.path for one in found.techniques} == {"memory", "served"}
    for metric in ("NDCG", "Recall", "MRR"):
        # Without what only serving adds (what is popular and fresh, places kept for interests) the same models say the same.
        assert by_name["served"].figures[metric].mean == pytest.approx(by_name["ensemble"].figures[metric].mean, abs=0.01)
    assert by_name["covisitation"].figures["NDCG"].mean > by_name["popularity"].figures["NDCG"].mean
    assert by_name["served"].training_s is not None
    assert by_name["served"].ms["p50"] > by_name["covisitation"].ms["p50"] > 0
    assert all(one.failed == 0 for one in found.techniques)
    assert found.queries == 50


def _lowest_first() -> Ranker:
    """Puts what the weighted sum likes least first."""
    leaf = [{"leaf_value": value, "leaf_weight": 1.0, "leaf_count": 1} for value in (1.0, 0.0)]
    split = {"split_feature": 0, "threshold": 0.9, "decision_type": "<=", "default_left": True, "missing_type": "None"}
    root = {
        **split,
        "internal_value": 0.5,
        "internal_weight": 2.0,
        "internal_count": 2,
        "left_child": leaf[0],
        "right_child": leaf[1],
    }
    dump = {"max_feature_idx": 0, "tree_info": [{"tree_structure": root}]}
    return Ranker(Forest.from_dump(dump), ("sum/score",), 100)


def test_served_is_as_users_get_it_and_each_part_is_left_out_once(client: Client) -> None:
    if not client.workspace.snapshots.latest().models:
        client.train(["covisitation"], budget=0.0)
    work, own = client.workspace, client.workspace.snapshots.latest().metadata
    ranker = _lowest_first()
    artefact.save(ranking_folder(work.settings, "mark"), RANKING, ranker.params(), ranker.forest.arrays())
    weights = {**own.retriever_weights, "no_query": {"covisitation": 0.0, "popularity": 1.0, "recency": 0.0}}
    notes = record_tuned(own.notes, ["no_query"])
    write_metadata(work.es, replace(own, retriever_weights=weights, ranker_fingerprints={"no_query": "mark"}, notes=notes))
    try:
        found = evaluate(work, EvaluateOptions(models=("covisitation",), users=25, budget=0.0))
    finally:
        write_metadata(work.es, own)
        shutil.rmtree(ranking_folder(work.settings, "mark"))
    by_name = {one.name: one for one in found.techniques}
    names = ("served", "served, without the learned ranking", "served, with the weights of the training")
    assert {"popularity", "covisitation", "ensemble", *names, "served, without interests"} == set(by_name)
    served, unranked, untuned = (by_name[name].figures["NDCG"].mean for name in names)
    # The tuned table is what is popular and nothing else; the ranking turns its order round.
    assert unranked == pytest.approx(by_name["popularity"].figures["NDCG"].mean, abs=0.01)
    assert served != unranked and served != untuned
    assert by_name["served"].figures["novelty"].mean > by_name[names[1]].figures["novelty"].mean
    assert all(one.failed == 0 for one in found.techniques)
    assert sum("tuned weights and its learned ranking" in note and "flatters" in note for note in found.notes) == 1


def test_searches_are_asked_in_words_and_by_whom(client: Client) -> None:
    found = evaluate(
        client.workspace, EvaluateOptions(models=("covisitation",), split="search", users=40, retrievers=True, budget=0.0)
    )
    names = {one.name for one in found.techniques}
    assert {"served", "served, neutral", "served, lexical alone", "served, covisitation alone"} <= names
    assert not any("text_vector" in name or "taste" in name for name in names)
    assert all(one.path == "served" for one in found.techniques)
    assert max(one.figures["NDCG"].mean for one in found.techniques) > 0.05


def test_one_retriever_alone_is_alone(client: Client) -> None:
    if not client.workspace.snapshots.latest().models:
        client.train(["covisitation"], budget=0.0)
    ranker = ServedRanker(client.workspace, [], only_retriever("covisitation"))
    user = client.workspace.events.users()
    from es_recsys.query import Query

    hits = ranker(Query(user_id=next(iter(user)))).hits
    assert hits
    assert all(set(hit.parts) <= {"covisitation"} for hit in hits)


@pytest.mark.parametrize(
    "options",
    [
        EvaluateOptions(models=("nonsense",)),
        EvaluateOptions(split="nonsense"),
        EvaluateOptions(split="search", served=False),
        EvaluateOptions(judgments=Path("gone.jsonl")),
    ],
)
def test_what_cannot_be_done_is_said(client: Client, options: EvaluateOptions) -> None:
    with pytest.raises(InputError) as caught:
        evaluate(client.workspace, options)
    assert caught.value.remedy


def test_a_model_that_cannot_be_trained_is_left_out_unless_it_was_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModelError("No.", "Never.")

    monkeypatch.setattr(ALS, "fit", fail)
    with pytest.raises(ModelError):
        evaluate(client.workspace, EvaluateOptions(models=("als",), users=5, served=False))
    monkeypatch.setattr(
        "es_recsys.jobs.eval_in_memory.MODELS", {name: MODELS[name] for name in ("als", "covisitation", "popularity")}
    )
    monkeypatch.setattr(EvalRun, "seconds_left", lambda _: 0.5)  # however slow the machine
    found = evaluate(client.workspace, EvaluateOptions(users=5, budget=5.0, served=False))
    assert any("als is left out" in note for note in found.notes)


def test_a_model_is_tuned_and_trained_so_from_then_on(client: Client) -> None:
    report = tune_model(client.workspace, "covisitation", trials=6, users=40)
    assert len([trial for trial in report.result.trials if trial.value is not None]) == 6
    again = tune_model(client.workspace, "covisitation", trials=7, users=40)
    assert again.result.resumed == 6
    # What the check doesn't confirm is not kept.
    assert (load_tuned(client.settings, "covisitation") is not None) == (report.kept or again.kept)
    assert all(one.kept == (one.test[1] > one.test[0] and one.p < 0.05) for one in (report, again))
    assert again.result.best is not None
    save_tuned(client.settings, "covisitation", again.result.best.settings, ordered=True, timed=True)
    client.train(["covisitation"], budget=0.0)
    trained = client.workspace.snapshots.latest().models["covisitation"].config
    assert trained == load_tuned(client.settings, "covisitation")
    found = evaluate(client.workspace, EvaluateOptions(models=("covisitation",), users=5, served=False, budget=5.0))
    assert len(found.tuning["covisitation"]["trials"]) == 7
    metadata = client.workspace.snapshots.latest().metadata
    write_metadata(client.workspace.es, replace(metadata, event_weights={"view": 0.5}))
    try:
        assert tune_model(client.workspace, "covisitation", trials=1, users=40).result.resumed == 0
    finally:
        write_metadata(client.workspace.es, metadata)
    with pytest.raises(InputError):
        tune_model(client.workspace, "nonsense")
    with pytest.raises(InputError):
        tune_model(client.workspace, "als", split="user")


def test_another_catalogue_has_another_digest(client: Client, sample: SampleStore) -> None:
    work, item = client.workspace, sample.items[0]
    metadata = work.snapshots.latest().metadata
    before = catalogue_digest(work.es, metadata.index)
    client.insert_items([item.model_copy(update={"title": "something else", "image": None})])
    assert catalogue_digest(work.es, metadata.index) != before
    client.insert_items([item])
    assert catalogue_digest(work.es, metadata.index) == before


class Shown:
    """What a tuning shows."""

    def __init__(self) -> None:
        self.trials: list[tuple[float, float | None]] = []
        self.parts: list[tuple[str, float, float]] = []

    def __call__(self, done: float, total: float | None) -> None:
        self.trials.append((done, total))

    def line(self, text: str) -> None:
        raise AssertionError(text)

    def part(self, what: str, done: float, total: float) -> None:
        self.parts.append((what, done, total))


def test_a_tuning_shows_its_trainings_and_looks_after_them(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    watches: list[Any] = []
    fit = ALS.fit

    def watched(self: ALS, data: Any, rng: Any, items: Any, watch: Any) -> ALS:
        watches.append(watch)
        return fit(self, data, rng, items, watch)

    monkeypatch.setattr(ALS, "fit", watched)
    shown = Shown()
    report = tune_model(client.workspace, "als", trials=3, users=40, budget=300.0, progress=shown)
    assert shown.trials == [(1, 3), (2, 3), (3, 3)]
    stages = [what for what, done, _ in shown.parts if done == 1]
    assert set(stages) == {"als, trial", "als, check"} and len(stages) == len(watches)
    trials = [watch for watch, stage in zip(watches, stages, strict=True) if stage == "als, trial"]
    # The settings until now are the first trial, and aren't trained for themselves.
    assert len(trials) <= 3 and report.result.trials[0].value == report.validation[0]
    assert all(watch.checkpoints.name == "als-tune" and watch.deadline < float("inf") for watch in trials)
    assert [watch.required for watch in trials] == [True] + [False] * (len(trials) - 1)
    assert all(watch.checkpoints is None and watch.deadline == float("inf") for watch in watches[len(trials) :])


@pytest.mark.long
def test_weights_are_tuned_and_stored(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    client.train(["covisitation"], budget=0.0)
    metadata = client.workspace.snapshots.latest().metadata
    before = metadata.retriever_weights
    report = tune_weights(client.workspace, trials=15, users=60)
    after = client.workspace.snapshots.latest().metadata.retriever_weights
    assert {one.name for one in report.situations} <= {"no_query", *SEARCH_KINDS}
    for one in report.situations:
        words = set() if one.name == "no_query" else {"lexical"}
        assert {"covisitation", "popularity", "recency"} | words == set(one.weights)
        assert (one.over_neutral is None) == (one.name == "no_query")
        assert len(one.trials) == 15
        if one.kept:
            assert one.after > one.before
            assert {retriever: after[one.name][retriever] for retriever in one.weights} == dict(one.weights)
        else:
            assert after.get(one.name) == before.get(one.name)
    write_metadata(client.workspace.es, metadata)

    def fail(*_: object) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr("es_recsys.training.tune_weights.scratch_store", fail)
    _environment(client, monkeypatch)
    out, page = tmp_path / "weights.json", tmp_path / "report.html"
    code, text = _run(monkeypatch, capsys, "tune", "weights", "--trials", 15, "--users", 60, "--json", "--out", out)
    assert code == 0
    told = json.loads(text)
    assert told == json.loads(out.read_text())
    for one in report.situations:
        again = told["situations"][one.name]
        assert again["weights"] == dict(one.weights)
        assert again["after"] == one.after
        assert [row["value"] for row in again["history"]["trials"]] == [row.value for row in one.trials]
    assert _run(monkeypatch, capsys, "report", out, "--out", page)[0] == 0
    assert page.read_text().count("Best of 15 trials") == len(report.situations)
    assert {f"weights_{one.name}" for one in report.situations} <= set(tuning_histories(client.settings))


@pytest.mark.long
def test_weights_that_the_settings_fix_are_not_weighed(client: Client) -> None:
    """They count as they are served, and the others are chosen beside them."""
    client.train(["covisitation"])
    search = client.settings.search.model_copy(update={"fixed_weights": {"popularity": 0.5}})
    with Client(settings=client.settings.model_copy(update={"search": search})) as fixed:
        report = tune_weights(fixed.workspace, trials=15, users=60, situations=("no_query",))
    (found,) = report.situations
    assert "popularity" not in found.weights and {"covisitation", "recency"} <= set(found.weights)


def test_the_log_tells_what_other_orders_would_have_brought(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    users = list(client.workspace.events.users())[:30]
    for user in users:
        answer = client.search("shoes", user_id=user)
        liked = answer.hits[-1].item_id
        now = datetime.now(UTC)
        client.put_events(Event(event_type="click", user_id=user, item_id=liked, query_id=answer.answer_id, timestamp=now))
    report = evaluate_log(client.workspace, kinds=("search",))
    assert report.answers >= 30
    assert report.rewarded >= 30
    assert report.values["as served"].ips.mean == pytest.approx(report.values["as served"].logged.mean)
    assert {"lexical alone", "without lexical"} <= set(report.values)
    assert report.store == client.settings.index
    _environment(client, monkeypatch)
    out, page = tmp_path / "logged.json", tmp_path / "report.html"
    assert _run(monkeypatch, capsys, "evaluate", "--logged", "--out", out)[0] == 0
    assert _run(monkeypatch, capsys, "report", out, "--out", page)[0] == 0
    assert '<th scope="row">without lexical</th>' in page.read_text()


def _environment(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    own = client.settings
    values: dict[str, Any] = {"URL": own.url, "INDEX": own.index, "HOME": own.home, "CACHE": own.cache}
    for name, value in (values | {"ENCODERS__TEXT": "none", "ENCODERS__IMAGE": "none"}).items():
        monkeypatch.setenv(f"ES_RECSYS_{name}", str(value))


def _run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["es-recsys", *map(str, words)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main()
    code = caught.value.code
    return (code if isinstance(code, int) else 0), capsys.readouterr().out


def test_the_commands(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _environment(client, monkeypatch)
    out, page = tmp_path / "found.json", tmp_path / "report.html"
    common = ("--users", 20, "--budget", 1, "--no-served", "--out", out)
    code, text = _run(monkeypatch, capsys, "evaluate", "covisitation", "--target", "purchase", *common)
    assert code == 0
    assert "NDCG@10" in text
    assert "covisitation" in text
    assert str(out) in text
    code, text = _run(monkeypatch, capsys, "evaluate", "covisitation", "--split", "time", "--json", *common)
    assert code == 0
    assert json.loads(text)["split"].startswith("the next 5")
    assert _run(monkeypatch, capsys, "report", out, "--out", page)[0] == 0
    assert page.read_text().startswith("<!doctype html>")
    code, text = _run(monkeypatch, capsys, "tune", "model", "bspm", "--trials", 2, "--users", 30, "--json")
    assert code == 0
    assert len(json.loads(text)["trials"]) == 2
    assert _run(monkeypatch, capsys, "evaluate", "nonsense")[0] == 2
    assert _run(monkeypatch, capsys, "tune", "model", "nonsense")[0] == 2
    assert _run(monkeypatch, capsys, "report", tmp_path / "gone.json")[0] == 2
