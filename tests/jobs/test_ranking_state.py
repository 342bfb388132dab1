"""What the temporary store of an evaluation has of the live one's ranking, and what its answers are without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from es_recsys.index_metadata import IndexMetadata
from es_recsys.jobs import ranking_state
from es_recsys.jobs.ranking_state import RankingState, copy_ranking_state
from es_recsys.search.request import RankingPolicy
from es_recsys.serving.snapshot_cache import ranking_folder
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import Settings
from es_recsys.training.served_ranker import only_retriever, without_interests
from es_recsys.training.training_record import TrainingRecord, record_tuned, tuned_situations

TRAINED = {"als": 1.0, "popularity": 0.001}
TUNED = {"als": 0.3, "popularity": 0.5, "taste_text": 0.2}
IN_SEARCH = {"lexical": 0.7, "als": 0.2, "taste_text": 0.1}


def _meta(weights: Mapping[str, Mapping[str, float]], notes: Mapping[str, Any]) -> IndexMetadata:
    return IndexMetadata("s", 1, models=("als",), retriever_weights=weights, ranker_fingerprints={"query": "m"}, notes=notes)


def _policy() -> RankingPolicy:
    weights = {"no_query": TUNED, "query": IN_SEARCH}
    return RankingPolicy(metadata=_meta(weights, {}), retriever_weights=weights, rankers={"query": None})


RANKING, TABLE = "without the learned ranking", "with the weights of the training"


@pytest.mark.parametrize(
    ("tuned", "ranked", "recommending", "searching"),
    [
        ((), (), [], []),
        (("no_query",), (), [TABLE], [TABLE]),
        (("query",), ("query",), [], [RANKING, TABLE]),
        ((), ("new_user",), [RANKING], []),
    ],
)
def test_each_part_that_such_queries_are_answered_with_is_left_out_once_and_noted(
    tuned: tuple[str, ...], ranked: tuple[str, ...], recommending: list[str], searching: list[str]
) -> None:
    state = RankingState(frozenset(tuned), frozenset(ranked), TRAINED)
    for found, searches in ((recommending, False), (searching, True)):
        assert [words for words, _ in state.ablations(searches)] == found
        notes = " ".join(state.notes(searches))
        assert ("flatters" in notes) == bool(found)
        assert ("learned ranking" in notes) == (RANKING in found)
        assert ("tuned weights" in notes) == (TABLE in found)


def test_an_ablation_changes_nothing_else() -> None:
    changes = dict(RankingState(frozenset({"no_query", "query"}), frozenset({"query"}), TRAINED).ablations(True))
    policy = _policy()
    unranked, untuned = changes[RANKING](policy), changes[TABLE](policy)
    assert not unranked.rankers
    assert unranked.retriever_weights == policy.retriever_weights
    assert untuned.rankers == policy.rankers
    # What `tune search` chose matches the query; it is no part of what trials of the other retrievers chose.
    assert untuned.retriever_weights == {"no_query": TRAINED, "query": {"lexical": 0.7}}
    assert policy.retriever_weights["no_query"] == TUNED
    assert without_interests(policy).settings.interests == 0
    assert without_interests(policy).settings.personalization == policy.settings.personalization


@pytest.mark.parametrize(("models", "given"), [(("als",), True), (("als", "ease"), False), ((), False)])
def test_weights_and_ranking_are_copied_with_the_same_models_only(
    models: tuple[str, ...], given: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    live = _meta({"no_query": TUNED, "query": IN_SEARCH}, record_tuned({}, ["no_query"]))
    own = replace(
        live,
        store="e",
        models=models,
        retriever_weights={"no_query": TRAINED, "query": IN_SEARCH},
        ranker_fingerprints={},
        notes={},
    )
    written: list[IndexMetadata] = []
    monkeypatch.setattr(ranking_state, "read_metadata", lambda _, store: {"s": live, "e": own}[store])
    work, scratch = (
        SimpleNamespace(
            es=None,
            settings=Settings(home=tmp_path / name, index=name),
            update_metadata=lambda change: written.append(change(own)),
        )
        for name in ("s", "e")
    )
    ranking_folder(work.settings, "m").mkdir(parents=True)
    (ranking_folder(work.settings, "m") / "manifest.json").write_text("{}")
    found = copy_ranking_state(cast(Workspace, work), cast(Workspace, scratch))
    assert found.trained_weights == TRAINED
    assert (ranking_folder(scratch.settings, "m") / "manifest.json").exists() == given
    if given:
        assert written == [replace(own, retriever_weights=live.retriever_weights, ranker_fingerprints=live.ranker_fingerprints)]
        assert (found.tuned, found.ranked, found.missing) == ({"no_query", "query"}, {"query"}, "")
    else:
        # The table of searches is there from the beginning.
        assert (written, found.tuned, found.ranked) == ([], {"query"}, frozenset())
        lacks = " ".join(found.notes(False))
        assert "lacks the tuned weights without a query and the learned ranking" in lacks
        assert ("trained here: als, ease" if models else "trained here: no model") in lacks


def test_one_retriever_alone_has_no_learned_ranking() -> None:
    assert not only_retriever("als")(_policy()).rankers


def test_weights_count_as_tuned_until_the_next_training() -> None:
    notes = record_tuned({"bare": True}, ["no_query"])
    assert tuned_situations(_meta({"no_query": TUNED}, notes)) == {"no_query"}
    assert record_tuned(notes, ["no_query", "query"])["tuned"] == ["no_query", "query"]
    assert not tuned_situations(_meta({"no_query": TRAINED, "query": {"lexical": 0.7}}, TrainingRecord(3, None).noted(notes)))
    assert tuned_situations(_meta({"no_query": TRAINED, "query": IN_SEARCH}, {})) == {"query"}
