"""Answers ordered by a forest, against a double of Elasticsearch: one order, exact parts, neutral without personalization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_inputs import Inputs, changed, inputs

from es_recsys.dataset import History, Interactions, ItemTable, Taste
from es_recsys.errors import ModelError
from es_recsys.features import ItemFeatures, compute_features
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.item_ids import ItemIds
from es_recsys.query import Ranking
from es_recsys.search.forest import Forest
from es_recsys.search.page import RANKING, build_page, order_page
from es_recsys.search.ranker import Ranker
from es_recsys.search.rerank.learned_ranking import BASE, BELOW_WINDOW, apply_ranker
from es_recsys.search.retrieval_plan import plan_retrieval
from es_recsys.search.retrieval_results import parse_responses
from es_recsys.search.score import ScoringRequest, build_scoring_request, resolve_scores
from es_recsys.settings import SearchSettings

V = np.array([1.0, 0.0], np.float32)
META = IndexMetadata(
    store="s",
    version=1,
    vectors={"text_vector": VectorMetadata(2, "f", "m")},
    fields={"created_at": "date", "attributes.votes": "double", "attributes.actors": "keyword"},
)
NAMES = (
    "lexical/score", "text_vector/rank", "sum/score", "taste_text/score", "title/query_coverage", "title/bm25", "query/evidence",
    "attributes.votes/value", "attributes.votes/rank", "attributes.actors/query_coverage", "categories/affinity",
    "price/distance", "item/popularity_level", "user/events", "pair/category_affinity", "pair/since",
)  # fmt: skip
WORDS = ("red", "shoe", "blue", "boot", "old", "anna")


@dataclass(frozen=True)
class Shop:
    """Knows every score and every source."""

    scores: Mapping[str, Mapping[str, float]]
    sources: Mapping[str, Mapping[str, Any]]

    def respond(self, body: Mapping[str, Any]) -> dict[str, Any]:
        query = body.get("query", {})
        wanted, unwanted = _ids(body)
        allowed = {i for i in (wanted if wanted is not None else self.sources) if i not in unwanted and i in self.sources}
        if isinstance(body.get("_source"), list):
            named = [clause["bool"]["_name"] for clause in query.get("bool", {}).get("should", ())]
            hits: list[dict[str, Any]] = [{"_id": i, "_source": self.sources[i]} for i in sorted(allowed)]
            for hit in hits if named else ():
                hit["matched_queries"] = {name: self.scores[name][hit["_id"]] for name in named if name in self.scores}
            return {"hits": {"hits": hits}}
        if "constant_score" in query:
            found = dict.fromkeys(allowed, 1.0)
            return {"hits": {"total": {"value": len(allowed)}, "hits": _best(found, body["size"])}}
        name = "lexical" if "knn" not in body else "taste_text" if body["knn"]["query_vector"][1] else "text_vector"
        return {"hits": {"hits": _best({i: s for i, s in self.scores[name].items() if i in allowed}, body["size"])}}

    def second(self, given: Inputs) -> ScoringRequest:
        plan = plan_retrieval(*given)
        results = parse_responses(*given, plan, [self.respond(body) for body in plan.bodies])
        return build_scoring_request(*given, results)

    def answer(self, given: Inputs, broken: bool = False) -> Ranking:
        second = self.second(given)
        responses = [self.respond(body) for body in second.bodies]
        if broken:
            responses[len(second.missing_scores)] = {"error": {"type": "timeout"}}
        return build_page(*given, order_page(*given, second, responses))


def _best(table: Mapping[str, float], size: int) -> list[dict[str, Any]]:
    return [{"_id": i, "_score": table[i]} for i in sorted(table, key=lambda i: (-table[i], i))[:size]]


def _ids(node: Any, unwanted: bool = False) -> tuple[set[str] | None, set[str]]:
    """Ids that a body asks for (None: all), and those that it leaves out."""
    wanted: set[str] | None = None
    out: set[str] = set()
    if isinstance(node, list):
        node = dict(enumerate(node))
    for key, value in node.items() if isinstance(node, dict) else ():
        if key == "ids":
            (out if unwanted else (wanted := wanted or set())).update(value["values"])
            continue
        inner, left = _ids(value, unwanted or key == "must_not")
        out |= left
        wanted = inner if wanted is None else wanted if inner is None else wanted & inner
    return wanted, out


def shop(seed: int, n: int) -> Shop:
    rng = np.random.default_rng(seed)
    items = [f"i{i:03d}" for i in range(n)]

    def table(low: float, high: float, share: float) -> dict[str, float]:
        return {i: round(float(rng.uniform(low, high)), 2) for i in items if rng.random() < share}

    def source() -> dict[str, Any]:
        words = rng.choice(WORDS, int(rng.integers(0, 4)))
        votes = {} if rng.random() < 0.2 else {"votes": int(rng.integers(0, 9))}
        return {
            "title": " ".join(words),
            "categories": [str(rng.choice(["a", "b"]))],
            "price": float(rng.integers(1, 50)),
            "attributes": {**votes, "actors": [str(rng.choice(WORDS))]},
        }

    scores = {"lexical": table(1, 9, 0.8), "text_vector": table(0.4, 1, 0.7), "taste_text": table(0.4, 1, 0.7)}
    scores["title"] = dict.fromkeys(items, 0.0) | table(0.1, 5, 0.5)
    return Shop(scores, {i: source() for i in items})


def forest(seed: int, trees: int = 12) -> Forest:
    rng = np.random.default_rng(seed)

    def node(depth: int) -> dict[str, Any]:
        if depth == 0 or rng.random() < 0.15:
            return {"leaf_value": round(float(rng.normal()), 2), "leaf_count": int(rng.integers(1, 50))}
        return {
            "split_feature": int(rng.integers(len(NAMES))),
            "threshold": round(float(rng.uniform(0, 4)), 2),
            "decision_type": "<=",
            "missing_type": str(rng.choice(["NaN", "None"])),
            "default_left": bool(rng.random() < 0.5),
            "left_child": node(depth - 1),
            "right_child": node(depth - 1),
        }

    info = [{"tree_structure": node(4)} for _ in range(trees)]
    return Forest.from_dump({"max_feature_idx": len(NAMES) - 1, "tree_info": info})


def item_features(seed: int) -> ItemFeatures:
    """What behaviour says of the first 40 items of a shop."""
    rng = np.random.default_rng([seed, 1])
    ids, n = np.array([f"i{i:03d}" for i in range(40)]), 400
    data = Interactions(
        np.array([f"u{i:02d}" for i in range(20)]),
        ids,
        np.sort(rng.integers(0, 20, n)).astype(np.int32),
        (40 * rng.random(n) ** 2).astype(np.int32),
        np.ones(n, np.float32),
        -86_400.0 * rng.integers(0, 60, n),
    )
    categories = [(str(rng.choice(["a", "b"])),) for _ in ids]
    unknown = np.full(40, np.nan)
    items = ItemTable(ids, [""] * 40, [""] * 40, categories, [""] * 40, rng.integers(1, 50, 40).astype(float), unknown)
    table = compute_features(data, items, 0.0)
    return ItemFeatures(ItemIds.of(ids.tolist()).find, table.items, table.properties)


HISTORY = History(("i001", "i005", "i050"), np.array([1.0, 3.0, 1.0], np.float32), np.array([9.0, 2.0, 0.0]), newest=-86_400.0)


def by_votes() -> Ranker:
    """More votes, better: nothing else counts."""
    leaf = [{"leaf_value": float(i), "leaf_count": 1} for i in range(9)]
    node: Any = leaf[8]
    for votes in range(7, -1, -1):
        node = {
            "split_feature": NAMES.index("attributes.votes/value"),
            "threshold": votes + 0.5,
            "decision_type": "<=",
            "missing_type": "NaN",
            "default_left": True,
            "left_child": leaf[votes],
            "right_child": node,
        }
    return Ranker(Forest.from_dump({"max_feature_idx": len(NAMES) - 1, "tree_info": [{"tree_structure": node}]}), NAMES, 10)


def more_is_better(name: str) -> Ranker:
    """More of a signal from 0 to 1, better, in steps; where it is not known, as if there were none."""
    leaf: Any = {"leaf_value": 2.0, "leaf_count": 1}
    for step in np.arange(1.0, -0.02, -0.02).tolist():
        left = {"leaf_value": step, "leaf_count": 1}
        told = {"split_feature": NAMES.index(name), "threshold": step, "missing_type": "NaN", "default_left": True}
        leaf = {**told, "decision_type": "<=", "left_child": left, "right_child": leaf}
    return Ranker(Forest.from_dump({"max_feature_idx": len(NAMES) - 1, "tree_info": [{"tree_structure": leaf}]}), NAMES, 10)


def asked(seed: int, **changes: Any) -> Inputs:
    given: dict[str, Any] = {
        "metadata": META,
        "now": 0.0,
        "text": "red shoe",
        "vectors": {"text_vector": V},
        "tastes": {"text_vector": Taste(np.array([0.6, 0.8], np.float32), None)},
        "affinities": {"categories": {"a": 0.7, "b": 0.3}},
        "price": (2.0, 0.5),
        "strength": 20.0,
        "history": HISTORY,
        "item_features": item_features(seed),
        "settings": SearchSettings(depth=12),
        "rankers": {"query": Ranker(forest(seed), NAMES, 10)},
        "n": 5,
    }
    return inputs(**{**given, **changes})


seeds = st.integers(0, 10_000)


@given(seeds, st.integers(1, 60), st.sampled_from([0.0, 0.4, 1.0]))
def test_laws_of_a_learned_answer(seed: int, n: int, personalization: float) -> None:
    engine = shop(seed, n)
    exclude = frozenset(list(engine.sources)[:2])
    case = asked(seed, exclude=exclude, personalization=personalization, n=30)
    found = engine.answer(case)
    assert not found.degraded
    assert not exclude & {hit.item_id for hit in found.hits}
    for hit in found.hits:
        assert sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-9)
        assert ("below_window" in hit.parts) <= (hit.rank > 10)
        assert set(hit.parts) <= {BASE, BELOW_WINDOW, "query", *(name.rpartition("/")[0] for name in NAMES), "popularity"}
        assert set(hit.source) <= {"title", "categories", "price"}
    scores = [hit.score for hit in found.hits[:12]]  # beyond the ordinary depth, what was found deeper follows
    assert scores == sorted(scores, reverse=True)
    pages = [hit for start in range(0, 30, 5) for hit in engine.answer(changed(case, n=5, offset=start)).hits]
    assert pages == list(found.hits)


@given(seeds, st.integers(1, 60))
def test_without_personalization_nothing_personal_is_read(seed: int, n: int) -> None:
    engine, case = shop(seed, n), asked(seed)
    neutral = changed(case, tastes={}, strength=0.0, affinities={}, price=None, history=History())
    assert engine.answer(changed(case, personalization=0.0)) == engine.answer(neutral)


@given(seeds, st.integers(5, 40), st.floats(0.05, 0.95))
def test_scores_go_steadily_from_neutral_to_personal(seed: int, n: int, personalization: float) -> None:
    """What the forest says mixes in proportion, where it reads nothing that depends on the other candidates."""
    engine, grown = shop(seed, n), forest(seed)
    relative = np.isin(grown.column % len(NAMES), [NAMES.index("sum/score"), NAMES.index("attributes.votes/rank")])
    ranker = Ranker(replace(grown, column=np.where(relative, 0, grown.column).astype(np.int32)), NAMES, 60)
    case = asked(seed, rankers={"query": ranker}, n=60, settings=SearchSettings(depth=60))
    whole, none, part = (
        {hit.item_id: hit.score for hit in engine.answer(changed(case, **changes)).hits}
        for changes in (
            {},
            {"affinities": {}, "price": None, "strength": 0.0, "tastes": {}, "history": History()},
            {"personalization": personalization},
        )
    )
    for item_id in whole.keys() & none.keys() & part.keys():
        assert part[item_id] == pytest.approx(personalization * whole[item_id] + (1 - personalization) * none[item_id], abs=1e-9)


def test_the_forest_decides_the_order_of_the_window() -> None:
    engine = shop(4, 40)
    case = asked(4, rankers={"query": by_votes()}, n=20)
    plain = engine.answer(changed(case, rankers={})).hits
    found = engine.answer(case).hits
    assert {hit.item_id for hit in found[:10]} == {hit.item_id for hit in plain[:10]}
    votes = [engine.sources[hit.item_id]["attributes"].get("votes", 0) for hit in found[:10]]
    assert votes == sorted(votes, reverse=True)
    assert len(set(votes)) > 3
    assert [hit.item_id for hit in found[10:]] == [hit.item_id for hit in plain[10:]]
    assert {name for hit in found[:10] for name in hit.parts} == {BASE, "attributes.votes"}


@pytest.mark.parametrize("name", ["item/popularity_level", "pair/category_affinity"])
def test_behaviour_puts_candidates_in_order_and_is_named_as_a_part(name: str) -> None:
    engine = shop(9, 40)
    case = asked(9, n=10, rankers={"query": more_is_better(name)})
    found = engine.answer(case).hits
    side = item_features(9)
    told = side.candidates([hit.item_id for hit in found], HISTORY, 0.0)[name]
    assert told.tolist() == sorted(told, reverse=True) and len(set(told)) > 1
    assert {part for hit in found for part in hit.parts} == {BASE, name.partition("/")[0]}
    plain = engine.answer(changed(case, item_features=None)).hits
    assert len({hit.score for hit in plain}) == 1
    without = engine.answer(changed(case, personalization=0.0)).hits
    assert ({hit.score for hit in without} == {plain[0].score}) == name.startswith("pair/")


def test_what_behaviour_says_is_logged_with_and_without_a_ranker() -> None:
    engine = shop(10, 30)
    for case in (asked(10), asked(10, rankers={}), asked(10, rankers={"query": by_votes()})):
        hits = engine.answer(case).hits
        assert hits
        told = item_features(10).candidates([hit.item_id for hit in hits], HISTORY, 0.0)
        for place, hit in enumerate(hits):
            known = {name: column[place] for name, column in told.items() if np.isfinite(column[place])}
            logged = {name: value for name, value in hit.features.items() if name.partition("/")[0] in ("item", "user", "pair")}
            assert logged == known and {"item/events", "user/recency", "pair/events"} <= known.keys()


def test_without_what_it_reads_the_weighted_sum_serves_and_says_so() -> None:
    engine, case = shop(5, 30), asked(5)
    found, plain = engine.answer(case, broken=True), engine.answer(changed(case, rankers={}), broken=True)
    assert [hit.item_id for hit in found.hits] == [hit.item_id for hit in plain.hits]
    assert set(found.degraded) == {"sources", RANKING}


def test_only_what_the_forest_asks_is_asked_for() -> None:
    engine = shop(6, 30)
    case = asked(6, rankers={"query": by_votes()})
    sources = engine.second(case).documents
    assert sources is not None
    assert "attributes.votes" in sources["_source"] and "attributes.actors" not in sources["_source"]
    assert "should" not in sources["query"].get("bool", {})


def test_the_log_can_have_all_signals() -> None:
    engine, case = shop(7, 30), asked(7, rankers={}, n=3)
    few = engine.answer(case).hits[0].features
    logged = engine.answer(changed(case, settings=SearchSettings(depth=12, log_features=True))).hits[0].features
    assert few.items() <= logged.items()
    assert "attributes.actors/query_coverage" in logged.keys() - few.keys()
    assert {"lexical/score", "sum/rank", "title/query_coverage", "categories/affinity", "price/distance"} <= few.keys() | {
        "title/query_coverage"
    }


def test_a_ranker_comes_back_from_its_settings_and_arrays() -> None:
    ranker = Ranker(forest(8), NAMES, 50, {"text_vector": "f"})
    again = Ranker.from_params(ranker.params(), ranker.forest.arrays())
    rows = np.random.default_rng(0).normal(size=(9, len(NAMES)))
    assert again.forest.predict(rows).tolist() == ranker.forest.predict(rows).tolist()
    assert again.params() == ranker.params() and again.suits(META)
    assert not replace(again, spaces={"text_vector": "other"}).suits(META)
    for params in ({}, {**ranker.params(), "names": ["one"]}, {**ranker.params(), "window": 0}):
        with pytest.raises(ModelError, match="train ranking"):
            Ranker.from_params(params, ranker.forest.arrays())


def test_without_a_log_features_are_computed_for_a_ranking_alone() -> None:
    engine = shop(7, 30)
    settings = SearchSettings(depth=12, log_features=True)
    plain = asked(7, rankers={}, logs_answers=False, settings=settings)
    assert engine.second(plain).features is None
    assert all(hit.features == {} for hit in engine.answer(plain).hits)
    ranked = asked(7, rankers={"query": by_votes()})
    quiet = changed(ranked, logs_answers=False)
    hits = engine.answer(quiet).hits
    assert all(hit.features == {} for hit in hits)
    assert [hit.item_id for hit in hits] == [hit.item_id for hit in engine.answer(ranked).hits]


@given(seeds, st.integers(1, 60))
def test_what_is_asked_for_by_its_whole_title_is_first_in_a_window(seed: int, n: int) -> None:
    engine = shop(seed, n)
    second = engine.second(asked(seed))
    scored = resolve_scores(asked(seed)[2], second, second.parse([engine.respond(body) for body in second.bodies]))
    window = scored.order[:10]
    rng = np.random.default_rng(seed)
    columns = {name: rng.normal(size=len(window)) for name in NAMES}
    first = rng.random(len(window)) < 0.3
    ranker = Ranker(forest(seed), NAMES, 10)
    plain, lifted = (apply_ranker(ranker, 1.0, scored, columns, which) for which in (None, first))
    kept = [row for row in plain.order[: len(window)] if first[window.index(row)]]
    others = [row for row in plain.order if row not in kept]
    assert list(lifted.order) == kept + others
    scores = [lifted.scores[row] for row in lifted.order]
    assert scores == sorted(scores, reverse=True)
    for row, parts in zip(lifted.order, lifted.parts(lifted.order), strict=True):
        assert sum(parts.values()) == pytest.approx(lifted.scores[row], abs=1e-9)
        assert ("title_match" in parts) <= (row in kept)
