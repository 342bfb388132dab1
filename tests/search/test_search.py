"""A search against a double of Elasticsearch that knows every score: what is cut short equals what is computed in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_inputs import Inputs, changed, inputs

from es_recsys.dataset import Taste
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.query import Ranking
from es_recsys.search.exploration import COLD_START_RANK, Exploration, InteractionStats, seeded_rng
from es_recsys.search.interests import KEPT_SHARE, Interests
from es_recsys.search.page import build_page, order_page
from es_recsys.search.request import Request
from es_recsys.search.retrieval_plan import plan_retrieval
from es_recsys.search.retrieval_results import parse_responses
from es_recsys.search.retriever_weights import PERSONAL_SHARE, names_one_item
from es_recsys.search.retrievers import contributes_candidates, ranked_list
from es_recsys.search.scales import scaled_scores
from es_recsys.search.score import ScoringRequest, build_scoring_request
from es_recsys.search.suggest import parse_suggestion
from es_recsys.settings import SearchSettings

V = np.array([1.0, 0.0], np.float32)
META = IndexMetadata(
    store="s",
    version=1,
    vectors={
        "text_vector": VectorMetadata(2, "f", "m"),
        "image_vector": VectorMetadata(2, "f", "m"),
        "als_vector": VectorMetadata(2, "f", "als", "max_inner_product"),
    },
    fields={"created_at": "date"},
)
SERVED = ("lexical", "text_vector", "image_vector", "taste_text", "taste_image", "als", "recency")


@dataclass(frozen=True)
class Engine:
    """Answers from `_score`s: retriever -> item -> score (absent: no match). products: item -> group_id of variants."""

    scores: Mapping[str, Mapping[str, float]]
    items: Sequence[str]
    matching: frozenset[str]
    products: Mapping[str, str] = field(default_factory=dict)

    def first(self, given: Inputs) -> list[dict[str, Any]]:
        plan, request = plan_retrieval(*given), given.request
        found = []
        for retriever, body in zip(plan.searched, plan.bodies, strict=False):
            if retriever.scale == "list":
                table = dict.fromkeys(self._among(body["query"]["bool"]["filter"][0]), 1.0)
            else:
                table = dict(self.scores[retriever.name])
            narrow = bool(request.text) and not retriever.matches_query
            allowed = {i: s for i, s in table.items() if not self._excluded(i, request) and (not narrow or i in self.matching)}
            found.append(self._hits(allowed, body["size"]))
        if request.has_query:
            return found
        rest = {i: 1.0 for i in self.items if not self._excluded(i, request)}
        size = plan.bodies[-1]["size"]
        return [
            *found,
            {**self._hits(rest, size), "hits": {"hits": self._hits(rest, size)["hits"]["hits"], "total": {"value": 7}}},
        ]

    def second(self, given: Inputs) -> tuple[ScoringRequest, list[dict[str, Any]]]:
        results = parse_responses(*given, plan_retrieval(*given), self.first(given))
        scoring = build_scoring_request(*given, results)
        found = []
        for gap in scoring.missing_scores:
            table = self.scores[scoring.table.retrievers[gap.column].retriever.name]
            found.append(self._hits({i: table[i] for i in gap.item_ids if i in table}, len(gap.item_ids)))
        ids = [scoring.table.item_ids[row] for row in scoring.rows]
        if scoring.documents:
            found.append({"hits": {"hits": self._documents(ids)}})
        if scoring.count:
            ways = scoring.count["query"]["constant_score"]["filter"]["bool"]["should"]
            near = {i for way in ways if "ids" in way for i in way["ids"]["values"]}
            words = set(self.scores["lexical"]) if len(ways) > ("ids" in ways[-1]) else set()
            counted = {i for i in near | words if i not in given.request.exclude}
            found.append({"hits": {"hits": [], "total": {"value": len(counted)}}})
        if scoring.suggestion:
            found.append({"hits": {"hits": [], "total": {"value": 0}}, "suggest": {}})
        return scoring, found

    def answer(self, given: Inputs) -> Ranking:
        order = order_page(*given, *self.second(given))
        wanted = order.documents["query"]["constant_score"]["filter"]["ids"]["values"] if order.documents is not None else []
        return build_page(*given, order, {"hits": {"hits": self._documents(wanted)}})

    def _documents(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        return [{"_id": i, "_source": {"title": f"T{i}", "categories": [i[-1]]}} for i in ids]

    def _among(self, clause: Mapping[str, Any]) -> list[str]:
        ways = clause["bool"]["should"] if "bool" in clause else [clause]
        ids = {i for way in ways for i in (way["ids"]["values"] if "ids" in way else way["terms"]["group_id"])}
        return [i for i in self.items if i in ids or self.products.get(i) in ids]

    def _excluded(self, item: str, request: Request) -> bool:
        return item in request.exclude or self.products.get(item) in request.exclude

    def _hits(self, table: Mapping[str, float], size: int) -> dict[str, Any]:
        best = sorted(table, key=lambda i: (-table[i], i))[:size]
        return {"hits": {"hits": [{"_id": i, "_score": table[i], **self._told(i)} for i in best]}}

    def _told(self, item: str) -> dict[str, Any]:
        return {"fields": {"group_id": [self.products[item]]}} if item in self.products else {}


def made(seed: int, n: int) -> Engine:
    rng = np.random.default_rng(seed)
    items = [f"i{i:03d}" for i in range(n)]

    def table(low: float, high: float, share: float) -> dict[str, float]:
        # Few distinct values, so that ties are common.
        return {i: round(float(rng.uniform(low, high)), 2) for i in items if rng.random() < share}

    ranges = {"lexical": (1, 9), "als": (0.3, 3)}
    scores = {retriever: table(*ranges.get(retriever, (0.3, 1.0)), float(rng.uniform(0.2, 1.0))) for retriever in SERVED}
    return Engine(scores, items, frozenset(scores["lexical"]))


def asked(seed: int, items: int, *, text: bool, **changes: Any) -> Inputs:
    rng = np.random.default_rng(seed + 1)
    chosen = [f"i{i:03d}" for i in rng.permutation(items)[: items // 2]]
    raw = sorted((round(float(x), 2) for x in rng.uniform(-0.5, 3, len(chosen))), reverse=True)
    given: dict[str, Any] = {
        "metadata": META,
        "now": 0.0,
        "text": "red shoe" if text else "",
        "vectors": {"text_vector": V, "image_vector": V} if text else {},
        "tastes": {"text_vector": Taste(V, None), "image_vector": Taste(V, V)},
        "factors": {"als": V},
        "neighbours": {"covisitation": list(zip(chosen, raw, strict=True))},
        "popularity": [(i, float(items - k)) for k, i in enumerate(chosen[::2])],
        "strength": 20.0,
        "settings": SearchSettings(depth=12),
        "n": 5,
    }
    return inputs(**{**given, **changes})


def by_hand(engine: Engine, given: Inputs) -> list[tuple[str, float]]:
    """Every candidate scored by every retriever, without any shortcut but the stated one: what one left out counts at most as the
    last of its list, where that retriever searches everywhere."""
    results = parse_responses(*given, plan_retrieval(*given), engine.first(given))
    depth = given.policy.settings.depth
    candidates: set[str] = set()
    for result in results.retrievers:
        if contributes_candidates(result.retriever, given.request):
            candidates |= set(result.scores if result.retriever.scale == "list" else list(result.scores)[:depth])
    if len(candidates) < depth:
        candidates |= set(results.browsed[:depth])
    totals = {}
    for item_id in candidates - given.request.exclude:
        total = 0.0
        for result in results.retrievers:
            name, scale = result.retriever.name, result.retriever.scale
            weight = results.weights.get(name, 0.0)
            if scale == "list":
                known = dict(ranked_list(result.retriever, given.user, given.policy))
                value = min(max(known.get(item_id, 0.0) / result.best, -1.0), 1.0)
            elif item_id in result.scores:
                value = result.scores[item_id]
            elif item_id in engine.scores[name]:
                scaled = scaled_scores(scale, np.array([engine.scores[name][item_id]]), result.best)
                value = min(float(scaled[0]), result.unseen_upper_bound)
            else:
                value = 0.0
            total += weight * value
        totals[item_id] = total
    return sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))


@given(st.integers(0, 10_000), st.integers(3, 90), st.booleans())
def test_page_equals_full_scoring(seed: int, n: int, text: bool) -> None:
    engine, case = made(seed, n), asked(seed, n, text=text)
    expected = by_hand(engine, case)[:5]
    hits = engine.answer(case).hits
    assert [hit.score for hit in hits] == pytest.approx([score for _, score in expected], abs=1e-9)
    # Sums in another order may differ in their last bit, so ids are compared where scores are apart.
    for hit, (item_id, score) in zip(hits, expected, strict=True):
        near = [other for other, value in by_hand(engine, case) if abs(value - score) < 1e-9]
        assert hit.item_id in near, item_id


@given(
    st.integers(0, 10_000),
    st.integers(3, 90),
    st.booleans(),
    st.sampled_from(["weighted", "rrf"]),
    st.sampled_from(
        [
            {"diversity": 0.0, "popularity_dial": 0.0, "calibration": 0.0},
            {"diversity": 0.5},
            {"popularity_dial": -0.4},
            {"calibration": 0.5},
            {"popularity_dial": 0.3, "diversity": 0.2, "calibration": 0.6},
        ]
    ),
)
def test_laws_of_an_answer(seed: int, n: int, text: bool, fusion: str, dials: dict[str, float]) -> None:
    engine = made(seed, n)
    exclude = frozenset(engine.items[:3])
    case = asked(seed, n, text=text, exclude=exclude, settings=SearchSettings(depth=12, fusion=fusion), n=12, **dials)
    case = changed(case, affinities={"categories": {"1": 0.7, "2": 0.3}})
    whole = engine.answer(case).hits
    assert not exclude & {hit.item_id for hit in whole}
    for hit in whole:
        assert sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-9)
        assert hit.title == f"T{hit.item_id}"
    assert [hit.rank for hit in whole] == list(range(1, len(whole) + 1))
    pages = [hit for start in range(0, 12, 5) for hit in engine.answer(changed(case, n=5, offset=start)).hits][:12]
    assert pages[: len(whole)] == list(whole)


@given(st.integers(0, 10_000), st.integers(20, 90), st.booleans(), st.sampled_from(["weighted", "rrf"]), st.integers(3, 9))
def test_what_is_demoted_comes_after_all_others_on_every_page(seed: int, n: int, text: bool, fusion: str, size: int) -> None:
    engine = made(seed, n)
    case = asked(seed, n, text=text, settings=SearchSettings(depth=n, fusion=fusion), n=n)
    usual = engine.answer(case).hits
    demoted = {hit.item_id for hit in usual[::3]}
    moved = changed(case, demote=frozenset(demoted))
    hits = engine.answer(moved).hits
    scores = list(parse_responses(*case, plan_retrieval(*case), engine.first(case)).retrievers[0].scores.values())
    stays = text and names_one_item(scores, n)
    ids = [hit.item_id for hit in usual]
    expected = ids if stays else [i for i in ids if i not in demoted] + [i for i in ids if i in demoted]
    assert [hit.item_id for hit in hits] == expected
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        assert sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-9)
        assert ("seen" in hit.parts) == (hit.item_id in demoted and not stays)
    paged = [hit for start in range(0, n, size) for hit in engine.answer(changed(moved, n=size, offset=start)).hits]
    assert paged[:n] == list(hits)


@given(st.integers(0, 10_000), st.integers(3, 90), st.sampled_from(["weighted", "rrf"]), st.integers(1, 9))
def test_a_search_counts_what_it_shows_on_every_page(seed: int, n: int, fusion: str, size: int) -> None:
    engine = made(seed, n)
    exclude = frozenset(engine.items[:2])
    case = asked(seed, n, text=True, exclude=exclude, n=size, settings=SearchSettings(depth=12, fusion=fusion))
    pages = [engine.answer(changed(case, offset=start)) for start in range(0, n + size, size)]
    (total,) = {page.total for page in pages}
    shown = [hit.item_id for page in pages for hit in page.hits]
    assert len(shown) == len(set(shown)) == total


@given(st.integers(0, 10_000), st.integers(3, 90), st.booleans())
def test_no_personalization_is_the_neutral_answer(seed: int, n: int, text: bool) -> None:
    engine, case = made(seed, n), asked(seed, n, text=text)
    neutral = changed(case, tastes={}, factors={}, neighbours={}, strength=0.0)
    assert engine.answer(changed(case, personalization=0.0)) == engine.answer(neutral)


@given(st.integers(0, 10_000), st.integers(30, 90))
def test_deep_pages_partition_all_that_is_found(seed: int, n: int) -> None:
    engine, case = made(seed, n), asked(seed, n, text=False, n=7)
    found = [hit.item_id for start in range(0, n + 7, 7) for hit in engine.answer(changed(case, offset=start)).hits]
    assert len(found) == len(set(found))
    assert set(found) >= set(engine.items)


@given(st.integers(0, 10_000), st.integers(30, 90))
def test_a_much_better_match_is_never_overtaken_by_a_profile(seed: int, n: int) -> None:
    """What answers better than another by the whole share of the profile stays before it."""
    engine = made(seed, n)
    case = asked(seed, n, text=True, popularity=[], personalization=1.0, strength=1e9, n=50, settings=SearchSettings(depth=50))
    answering = ("lexical", "text_vector", "image_vector")
    hits = engine.answer(case).hits
    relevance = [sum(hit.parts.get(retriever, 0.0) for retriever in answering) for hit in hits]
    weights = parse_responses(*case, plan_retrieval(*case), engine.first(case)).weights
    share = PERSONAL_SHARE * sum(weights[retriever] for retriever in answering)
    lowest = min((part for hit in hits for retriever, part in hit.parts.items() if retriever not in answering), default=0.0)
    for i, before in enumerate(relevance):
        assert all(later <= before + share + max(-lowest, 0.0) * 2 + 1e-9 for later in relevance[i + 1 :])


def test_models_are_combined_over_their_own_best() -> None:
    """sum over models of weight * raw / the best raw of the model's own list, filled in exactly."""
    trained = replace(META, fields={}, vectors={}, retriever_weights={"no_query": {"covisitation": 0.7, "other": 0.3}})
    lists = {"covisitation": [("a", 4.0), ("b", 2.0)], "other": [("b", 0.5), ("c", 0.25)]}
    raw = {"covisitation": {"a": 4.0, "b": 2.0, "c": 1.0}, "other": {"a": -0.25, "b": 0.5, "c": 0.25}}
    scorers = {
        name: lambda ids, table=table: np.array([table.get(i, 0.0) for i in ids], np.float32) for name, table in raw.items()
    }
    case = inputs(metadata=trained, now=0.0, neighbours=lists, scorers=scorers, settings=SearchSettings(depth=10))
    engine = Engine({}, ["a", "b", "c"], frozenset())
    scores = {hit.item_id: hit.score for hit in engine.answer(case).hits}
    assert scores == {
        "a": pytest.approx(0.7 - 0.15),
        "b": pytest.approx(0.35 + 0.3),
        "c": pytest.approx(0.7 * 0.25 + 0.15),
    }


def test_failed_second_request_degrades_and_still_answers() -> None:
    engine, case = made(3, 60), asked(3, 60, text=True)
    second, responses = engine.second(case)
    assert second.missing_scores
    broken = [{"error": {"type": "x"}} for _ in responses]
    ranking = build_page(*case, order_page(*case, second, broken))
    named = {second.table.retrievers[gap.column].retriever.name for gap in second.missing_scores}
    assert set(ranking.degraded) == named | {"sources", "matches"}
    assert ranking.total is None
    assert len(ranking.hits) == 5
    assert build_page(*case, order_page(*case, second, [])).hits


def test_of_many_candidates_only_the_documents_of_the_page_are_read() -> None:
    engine, case = made(3, 400), asked(3, 400, text=False, n=7, offset=120, settings=SearchSettings(depth=200))
    scoring, responses = engine.second(case)
    assert len(scoring.rows) > 120
    assert scoring.documents is None
    order = order_page(*case, scoring, responses)
    assert order.documents is not None
    wanted = order.documents["query"]["constant_score"]["filter"]["ids"]["values"]
    found = {"hits": {"hits": [{"_id": i, "_source": {"title": f"T{i}"}} for i in wanted]}}
    page = build_page(*case, order, found)
    assert [hit.item_id for hit in page.hits] == wanted
    assert [hit.title for hit in page.hits] == [f"T{i}" for i in wanted]
    assert [hit.rank for hit in page.hits] == list(range(121, 128))
    assert page.degraded == ()
    for response in (None, {"error": {"type": "x"}}):
        lacking = build_page(*case, order, response)
        assert lacking.degraded == ("sources",)
        assert [(hit.item_id, hit.score) for hit in lacking.hits] == [(hit.item_id, hit.score) for hit in page.hits]


@pytest.mark.parametrize("early", [True, False])
def test_what_has_no_document_or_one_that_may_not_be_shown_is_missing(early: bool) -> None:
    size = 60 if early else 400
    engine, case = made(3, size), asked(3, size, text=early, offset=0 if early else 120, settings=SearchSettings(depth=200))
    scoring, responses = engine.second(case)
    assert (scoring.documents is not None) is early
    ids = [scoring.table.item_ids[row] for row in order_page(*case, scoring, responses).rows]
    at = len(scoring.missing_scores)

    def missing(found: dict[str, Any]) -> frozenset[str]:
        given = [*responses[:at], found, *responses[at + 1 :]] if early else responses
        return order_page(*case, scoring, given).missing(case.request, None if early else found)

    hits = engine._documents([scoring.table.item_ids[row] for row in scoring.rows] if early else ids)
    others = [hit for hit in hits if hit["_id"] not in ids[:2]]
    expired = {"_id": ids[1], "_source": {"expires_at": "1960-01-01T00:00:00Z"}}
    assert missing({"hits": {"hits": hits}}) == set()
    assert missing({"hits": {"hits": [*others, expired]}}) == {ids[0], ids[1]}
    # Of what could not be read nothing is known.
    assert missing({"hits": {"hits": [*others, expired]}, "timed_out": True}) == {ids[1]}
    assert missing({"error": {"type": "x"}}) == set()


def test_a_failed_retriever_is_left_out() -> None:
    engine, case = made(3, 60), asked(3, 60, text=True)
    plan = plan_retrieval(*case)
    responses = [
        {"error": {"type": "x"}} if retriever.name == "lexical" else response
        for retriever, response in zip(plan.searched, engine.first(case), strict=False)
    ]
    results = parse_responses(*case, plan, responses)
    assert results.degraded == ("lexical",)
    assert "lexical" not in results.weights


@pytest.mark.parametrize(
    ("scale", "score", "best", "expected"),
    [
        ("cosine", 1.0, 1.0, 1.0),
        ("cosine", 0.75, 1.0, 0.5),
        ("cosine", 0.25, 1.0, 0.0),
        ("inner", 3.0, 4.0, 0.5),
        ("inner", 0.5, 4.0, -0.25),
        ("inner", 0.01, 4.0, -1.0),
        ("best", 3.0, 4.0, 0.75),
        ("unit", 0.5, 1.0, 0.5),
    ],
)
def test_scales(scale: str, score: float, best: float, expected: float) -> None:
    assert scaled_scores(scale, np.array([score]), best) == pytest.approx([expected])


def test_nothing_found_is_an_empty_answer() -> None:
    case = inputs(metadata=replace(META, fields={}), now=0.0, text="red")
    plan = plan_retrieval(*case)
    empty = {"hits": {"hits": [], "total": {"value": 0}}}
    second = build_scoring_request(*case, parse_responses(*case, plan, [empty] * len(plan.bodies)))
    assert [body["suggest"]["names"]["text"] for body in second.bodies] == ["red"]
    assert build_page(*case, order_page(*case, second, [])) == Ranking(total=0)
    word = {"text": "red", "offset": 0, "length": 3, "options": [{"text": "bed", "score": 0.7, "freq": 3}]}
    found = {"hits": {"hits": [], "total": {"value": 0}}, "suggest": {"names": [word]}}
    assert build_page(*case, order_page(*case, second, [found])) == Ranking(total=0, suggestion="bed")
    known = {**found, "hits": {"hits": [], "total": {"value": 1}}}
    assert build_page(*case, order_page(*case, second, [known])) == Ranking(total=0)
    assert build_page(*case, order_page(*case, second, [{"error": {"type": "x"}}])) == Ranking(total=0)


@pytest.mark.parametrize(("words_find", "expected"), [(True, {"w", "a", "b"}), (False, {"a"})])
def test_a_vector_brings_in_what_is_near_by_its_encoder(words_find: bool, expected: set[str]) -> None:
    """Cosines .5, .35 and .2; "all-MiniLM-L6-v2" is near from .3 beside words, from .4 alone."""
    metadata = replace(META, fields={}, vectors={"text_vector": VectorMetadata(2, "f", "all-MiniLM-L6-v2")})
    scores = {"lexical": {"w": 3.0} if words_find else {}, "text_vector": {"a": 0.75, "b": 0.675, "c": 0.6}}
    engine = Engine(scores, ["w", "a", "b", "c"], frozenset(scores["lexical"]))
    case = inputs(metadata=metadata, now=0.0, text="red", vectors={"text_vector": V})
    found = engine.answer(case)
    assert {hit.item_id for hit in found.hits} == expected
    assert found.total == len(expected)
    wider = changed(case, settings=SearchSettings(min_cosines={"text_vector": (-1.0, -1.0)}))
    assert {hit.item_id for hit in engine.answer(wider).hits} == {"a", "b", "c", *scores["lexical"]}


def test_a_personal_search_for_what_nobody_knows_is_empty() -> None:
    text_vector = VectorMetadata(2, "f", "all-MiniLM-L6-v2")
    metadata = replace(META, vectors={"text_vector": text_vector, "als_vector": META.vectors["als_vector"]})
    items = [f"i{k}" for k in range(9)]
    far = dict.fromkeys(items, 0.6)
    scores = {"lexical": {}, "text_vector": far, "taste_text": far, "als": far, "recency": far}
    case = asked(1, 9, text=True, metadata=metadata, vectors={"text_vector": V}, exploration=exploring(1.0, "x"))
    found = Engine(scores, items, frozenset()).answer(case)
    assert (found.hits, found.total) == ((), 0)


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("runing shos", [(0, 6, ["running"]), (7, 4, ["shoes"])], "running shoes"),
        ("\N{ATHLETIC SHOE} shos", [(0, 2, []), (3, 4, ["shoes"])], "\N{ATHLETIC SHOE} shoes"),
        ("qwxzy", [(0, 5, [])], None),
    ],
)
def test_a_suggestion_is_the_question_with_other_words(text: str, words: list[Any], expected: str | None) -> None:
    said = [{"offset": at, "length": n, "options": [{"text": option} for option in found]} for at, n, found in words]
    assert parse_suggestion(text, {"hits": {"total": {"value": 0}}, "suggest": {"names": said}}) == expected


def exploring(share: float, name: str, stats: InteractionStats | None = None) -> Exploration:
    return Exploration(share, stats or InteractionStats(), seeded_rng(1, name))


@given(
    st.integers(0, 10_000), st.integers(3, 90), st.booleans(), st.sampled_from(["weighted", "rrf"]), st.sampled_from([0.1, 1.0])
)
def test_pages_of_an_answer_that_explores_are_cut_from_one_order(
    seed: int, n: int, text: bool, fusion: str, share: float
) -> None:
    engine = made(seed, n)
    exclude = frozenset(engine.items[:3])
    case = asked(seed, n, text=text, exclude=exclude, settings=SearchSettings(depth=12, fusion=fusion), n=12)

    def page(offset: int, wanted: int) -> Ranking:
        return engine.answer(changed(case, n=wanted, offset=offset, exploration=exploring(share, str(seed))))

    whole = page(0, 12).hits
    assert not exclude & {hit.item_id for hit in whole}
    for hit in whole:
        assert sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-9)
        assert 0.0 < hit.propensity <= hit.inclusion_probability + 1e-12 <= 1.0 + 1e-12
    pages = [hit.item_id for start in range(0, 12, 5) for hit in page(start, 5).hits][:12]
    assert pages[: len(whole)] == [hit.item_id for hit in whole]


def newest(n: int, count: int) -> tuple[Engine, set[str]]:
    """A shop whose newest items match everything and have nothing else that speaks for them."""
    engine = made(5, n)
    new = set(engine.items[-count:])
    scores = {retriever: {i: s for i, s in table.items() if i not in new} for retriever, table in engine.scores.items()}
    scores["recency"] = {i: 0.9 if i in new else 0.1 for i in engine.items}
    return replace(engine, scores=scores, matching=frozenset(engine.items)), new


@pytest.mark.parametrize("text", [False, True])
def test_new_items_that_nothing_speaks_for_are_tried_where_there_is_exploration(text: bool) -> None:
    engine, new = newest(80, 8)
    chosen = [i for i in engine.items if i not in new][:30]
    lists = {"covisitation": [(i, 30.0 - k) for k, i in enumerate(chosen)]}
    case = asked(5, 80, text=text, popularity=[], neighbours=lists, n=10)
    known = InteractionStats({i: (100.0, 10.0) for i in engine.items if i not in new}, 0.1)
    calm = engine.answer(case)
    assert not new & {hit.item_id for hit in calm.hits}
    tried = [engine.answer(changed(case, exploration=exploring(1.0, str(k), known))).hits for k in range(40)]
    on = [[hit for hit in hits if hit.item_id in new] for hits in tried]
    assert all(len(hits) == 1 and hits[0].rank == COLD_START_RANK + 1 for hits in on)
    assert len({hits[0].item_id for hits in on}) >= 4
    assert all(hits[0].propensity == pytest.approx(0.2, abs=0.1) for hits in on)
    rarely = [engine.answer(changed(case, exploration=exploring(0.1, str(k), known))).hits for k in range(100)]
    assert 2 <= sum(any(hit.item_id in new for hit in hits) for hits in rarely) <= 22
    left = changed(case, exclude=frozenset(new), exploration=exploring(1.0, "a"))
    assert not new & {hit.item_id for hit in engine.answer(left).hits}
    failed = InteractionStats({**known.by_item, **dict.fromkeys(new, (30.0, 1.0))}, 0.1)
    dull = [engine.answer(changed(case, exploration=exploring(1.0, str(k), failed))).hits for k in range(5)]
    assert not any(hit.item_id in new for hits in dull for hit in hits)


def test_only_exploration_asks_a_search_for_what_is_new() -> None:
    def names(given: Inputs) -> list[str]:
        return [retriever.name for retriever in plan_retrieval(*given).searched]

    case = asked(5, 80, text=True)
    assert "recency" not in names(case)
    assert "recency" in names(changed(case, exploration=exploring(0.1, "a")))
    none = replace(exploring(0.1, "a"), newest=0)
    assert "recency" not in names(changed(case, exploration=none))
    undated = changed(case, metadata=replace(META, fields={}), exploration=exploring(0.1, "a"))
    assert "recency" not in names(undated)


@pytest.mark.parametrize("way", ["score", "diversity", "exploration"])
def test_interests_keep_their_places_whatever_else_arranges_the_answer(way: str) -> None:
    """The first 40 items by score are near the first interest, the others near the second."""
    items = [f"i{k:03d}" for k in range(80)]
    near = [{i: 0.9 if (k < 40) is first else 0.55 for k, i in enumerate(items)} for first in (True, False)]
    engine = Engine({"interest_1": near[0], "interest_2": near[1]}, items, frozenset())
    case = inputs(
        metadata=replace(META, fields={}),
        now=0.0,
        neighbours={"covisitation": [(i, 80.0 - k) for k, i in enumerate(items)]},
        interests=Interests("text_vector", np.stack([V, V]), np.array([0.6, 0.4])),
        settings=SearchSettings(depth=100),
        diversity=0.5 if way == "diversity" else 0.0,
        n=20,
    )
    plain = [hit.item_id for hit in engine.answer(changed(case, interests=None)).hits]
    answers = []
    for k in range(5):
        left = exploring(1.0, str(k)) if way == "exploration" else None
        answers.append([hit.item_id for hit in engine.answer(changed(case, exploration=left)).hits])
    for found in answers:
        for places in range(1, 21):
            second = sum(item_id >= "i040" for item_id in found[:places])
            assert second >= int(np.floor(KEPT_SHARE * 0.4 * places + 0.5)) - 1
    assert (len({tuple(found) for found in answers}) > 1) is (way == "exploration")
    if way != "diversity":
        assert all(item_id < "i040" for item_id in plain)


@given(st.integers(0, 10_000), st.integers(6, 80), st.booleans(), st.sampled_from([0.0, 0.5]))
def test_the_best_variant_stands_for_its_product_on_every_page(seed: int, n: int, text: bool, diversity: float) -> None:
    engine = made(seed, n)
    rng = np.random.default_rng(seed + 2)
    products = {i: f"p{rng.integers(n // 3)}" for i in engine.items if rng.random() < 0.7}
    engine = replace(engine, products=products)
    ids = [products.get(i, i) for i in engine.items]
    # What behaviour says is of products.
    listed = [(product, float(raw)) for raw, product in enumerate(sorted(set(ids)), start=1)][::-1]
    case = asked(seed, n, text=text, settings=SearchSettings(depth=100), n=100, neighbours={"covisitation": listed[::2]})
    case = changed(case, metadata=replace(META, notes={"variants": 3.0}), popularity=listed, exclude=frozenset({"p1", "i000"}))
    apart = [(products.get(hit.item_id, hit.item_id), hit) for hit in engine.answer(case).hits]
    assert "p1" not in {product for product, _ in apart}
    best = sorted(dict(reversed(apart)).values(), key=lambda hit: hit.rank)
    together = changed(case, collapse=True)
    whole = engine.answer(together).hits
    assert [hit.item_id for hit in whole] == [hit.item_id for hit in best]
    assert [hit.score for hit in whole] == pytest.approx([hit.score for hit in best], abs=1e-9)
    together = changed(together, diversity=diversity)
    whole = engine.answer(together).hits
    pages = [hit for start in range(0, 100, 7) for hit in engine.answer(changed(together, n=7, offset=start)).hits]
    assert [hit.item_id for hit in pages] == [hit.item_id for hit in whole]


def test_a_product_is_left_out_by_its_own_id_and_a_variant_by_the_variants() -> None:
    engine = replace(made(3, 9), products={"i001": "p", "i002": "p"})
    case = asked(3, 9, text=False, n=9, metadata=replace(META, notes={"variants": 2.0}))
    for exclude, gone in ((frozenset({"p"}), {"i001", "i002"}), (frozenset({"i001"}), {"i001"})):
        shown = {hit.item_id for hit in engine.answer(changed(case, exclude=exclude)).hits}
        assert shown == set(engine.items) - gone
