"""Every retriever, the second request and the pages on a real Elasticsearch."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from search_inputs import Inputs, changed, inputs

from es_recsys import vector_sketch
from es_recsys.dataset import History, Taste
from es_recsys.forward_index import ForwardIndex, ItemBlock
from es_recsys.index import mappings, versions
from es_recsys.index.forward_index import build_forward_index
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.query import Ranking
from es_recsys.search import joined_search
from es_recsys.search.bodies import candidates_body, scoring_body
from es_recsys.search.filters import parse_filters
from es_recsys.search.hit_names import unknown_writes
from es_recsys.search.kept_responses import STAMP
from es_recsys.search.lexical import CLAUSES, lexical_clauses
from es_recsys.search.past_searches import PastSearches
from es_recsys.search.query_dsl import IDS_ONLY, item_id_of
from es_recsys.search.retrieval_plan import matches_of_plan, plan_retrieval, rest_of_plan
from es_recsys.search.retrieval_results import parse_responses
from es_recsys.search.retrievers import active_retrievers
from es_recsys.search.score import build_scoring_request
from es_recsys.serving.answering import run_search
from es_recsys.settings import FusionWeights, SearchSettings

pytestmark = pytest.mark.engine

N, DIMS, NOW = 400, 8, 1_790_000_000.0
KINDS = ("shoe", "boot", "jacket", "hat", "lamp", "chair", "cup", "rug")
COLORS = ("red", "blue", "green", "black")


def unit(rng: np.random.Generator, n: int) -> np.ndarray:
    rows = rng.normal(size=(n, DIMS)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def documents() -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    texts, pictures, factors = unit(rng, N), unit(rng, N), rng.normal(size=(N, DIMS)).astype(np.float32)
    found = []
    for i in range(N):
        kind, color = KINDS[i % 8], COLORS[(i // 8) % 4]
        found.append(
            {
                "item_id": f"i{i:03d}",
                "title": f"{color} {kind} number {i}",
                "description": f"A {kind} in {color}." if i % 3 else f"A {kind} for running in the rain.",
                "categories": ["home" if i % 8 > 3 else "clothes", kind],
                "tags": [color],
                "brand": f"brand {i % 5}",
                "price": float(i),
                "created_at": int((NOW - i * 86_400) * 1_000),
                "available": i % 7 != 0,
                "attributes": {"size": float(i % 4), "cut": "a, b" if i % 2 else "wide"},
                "text_vector": texts[i].tolist(),
                "als_vector": factors[i].tolist(),
                **({"image_vector": pictures[i].tolist()} if i % 5 else {}),
            }
        )
    return found


@pytest.fixture(scope="module")
def catalogue(es: Any) -> Iterator[tuple[IndexMetadata, list[dict[str, Any]]]]:
    metadata = IndexMetadata(
        store=f"t{uuid.uuid4().hex[:12]}",
        version=1,
        vectors={
            "text_vector": VectorMetadata(DIMS, "f", "m"),
            "image_vector": VectorMetadata(DIMS, "f", "m"),
            "als_vector": VectorMetadata(DIMS, "f", "als", "max_inner_product"),
        },
    )
    names = f"{metadata.index},{metadata.profiles}"
    # As an index for many items has it.
    options = {"type": "int8_hnsw", "m": 16, "ef_construction": 100, "rescore_vector": {"oversample": 3.0}}
    versions.create(es, metadata, count=N, options={"text_vector": options}, live=True)
    rows = documents()
    es.bulk(
        operations=[line for row in rows for line in ({"index": {"_index": metadata.index, "_id": row["item_id"]}}, row)],
        refresh=True,
    )
    fields = mappings.filterable_fields(es.indices.get_mapping(index=metadata.index).body[metadata.index]["mappings"])
    yield replace(metadata, fields=fields), rows
    es.indices.delete(index=names, ignore_unavailable=True)


def msearch(es: Any, metadata: IndexMetadata, bodies: Any) -> list[dict[str, Any]]:
    if not bodies:
        return []
    return list(es.msearch(searches=[line for body in bodies for line in ({"index": metadata.index}, body)]).body["responses"])


def answer(es: Any, given: Inputs, past: PastSearches | None = None, asked: list[Any] | None = None) -> Ranking:
    """Return the answer. asked: takes the bodies of each request, without the stamp's."""
    flow, responses = run_search(*given, past), None
    try:
        while True:
            bodies = flow.send(responses).bodies
            if asked is not None:
                asked.append(tuple(body for body in bodies if body is not STAMP))
            responses = msearch(es, given.policy.metadata, bodies)
    except StopIteration as end:
        return end.value


def full(metadata: IndexMetadata, **changes: Any) -> Inputs:
    """A search in which every retriever has a query."""
    rng = np.random.default_rng(9)
    text, picture, long, short, user = unit(rng, 5)
    given: dict[str, Any] = {
        "metadata": metadata,
        "now": NOW,
        "text": "red shoe",
        "vectors": {"text_vector": text, "image_vector": picture},
        "tastes": {"text_vector": Taste(long, short), "image_vector": Taste(long, None)},
        "factors": {"als": user},
        "neighbours": {"covisitation": [(f"i{i:03d}", 5.0 - i / 100) for i in range(0, 300, 2)] + [("i001", -1.0)]},
        "popularity": [(f"i{i:03d}", 100.0 - i) for i in range(90)],
        "strength": 10.0,
    }
    return inputs(**{**given, **changes})


def test_every_retriever_and_its_scoring_are_accepted(es: Any, catalogue: Any) -> None:
    metadata, _ = catalogue
    case = full(
        metadata, filters=tuple(parse_filters(["price:10..300", "-brand:brand 1"], metadata.fields)), exclude=frozenset({"i040"})
    )
    queries = {each: query for each in active_retrievers(*case) if (query := each.build_query(*case)) is not None}
    assert {each.name for each in queries} == {
        *("lexical", "text_vector", "image_vector", "taste_text", "taste_image", "als", "covisitation", "popularity", "recency")
    }
    request, _, policy = case
    for each, query in queries.items():
        bodies = candidates_body(each, query, request, policy), scoring_body(query, ["i010", "i032", "i064"], policy)
        for body in bodies:
            [response] = msearch(es, metadata, [body])
            assert "error" not in response, (each.name, response)
            hits = response["hits"]["hits"]
            assert hits, each.name
            assert "i040" not in {item_id_of(hit) for hit in hits}


def test_every_lexical_clause_is_accepted(es: Any, catalogue: Any) -> None:
    metadata, _ = catalogue
    clauses = lexical_clauses("red shoe number 32 x9")
    assert clauses.keys() == CLAUSES.keys()
    responses = msearch(es, metadata, [{"query": clause} for clause in clauses.values()])
    for name, response in zip(clauses, responses, strict=True):
        assert "error" not in response, (name, response)
    found = {name: len(r["hits"]["hits"]) for name, r in zip(clauses, responses, strict=True)}
    assert all(found[name] for name in ("title", "title.pairs", "title.whole", "title.typos", "all_text", "tags", "categories"))


@pytest.mark.parametrize("text", ["red shoe", "rain", ""])
def test_fast_answer_equals_scoring_everything(es: Any, catalogue: Any, text: str) -> None:
    """The threshold cut and the second request give what a full scoring of all candidates gives."""
    metadata, _ = catalogue
    case = full(
        metadata, text=text, vectors={} if not text else full(metadata).request.vectors, settings=SearchSettings(depth=60)
    )
    fast = answer(es, case)
    deep = answer(es, changed(case, n=60))
    assert [hit.item_id for hit in fast.hits] == [hit.item_id for hit in deep.hits[:10]]
    assert [hit.score for hit in fast.hits] == pytest.approx([hit.score for hit in deep.hits[:10]], abs=1e-6)
    assert not fast.degraded


@pytest.fixture(scope="module")
def by_graph(es: Any, catalogue: Any, tmp_path_factory: pytest.TempPathFactory) -> ForwardIndex:
    """A forward index that leaves the text's vectors to Elasticsearch."""
    folder = tmp_path_factory.mktemp("forward") / "000001"
    build_forward_index(es, catalogue[0], folder)
    return ForwardIndex.load(folder)


@pytest.fixture(scope="module")
def by_sketch(es: Any, catalogue: Any, tmp_path_factory: pytest.TempPathFactory) -> ForwardIndex:
    """A forward index with sketches of the text's vectors."""
    folder = tmp_path_factory.mktemp("forward") / "000002"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_sketch, "_AXES", DIMS - 1)
        build_forward_index(es, catalogue[0], folder)
    return ForwardIndex.load(folder)


@pytest.fixture(params=["by_graph", "by_sketch"])
def forward(request: pytest.FixtureRequest) -> ForwardIndex:
    found: ForwardIndex = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {"factors": {}},
        {"text": "rain", "n": 30, "offset": 10, "factors": {}},
        {"text": "", "vectors": {}},
        {"text": "", "vectors": {}, "exclude": frozenset(f"i{i:03d}" for i in range(0, 200, 3))},
        {"text": "", "vectors": {}, "n": 20, "offset": 100},
        {"text": "", "vectors": {}, "popularity": []},
        {"text": "", "vectors": {}, "tastes": {}, "factors": {}, "neighbours": {}},
        {"text": "", "filters": ({"term": {"categories": "clothes"}},), "vectors": {}},
        {
            "filters": ({"term": {"categories": "clothes"}},),
            "exclude": frozenset(f"i{i:03d}" for i in range(0, 200, 3)),
            "factors": {},
        },
        {"text": ""},
    ],
)
def test_the_forward_index_answers_as_elasticsearch_would(
    es: Any, catalogue: Any, forward: ForwardIndex, changes: dict[str, Any]
) -> None:
    metadata, _ = catalogue
    case = full(metadata, settings=SearchSettings(depth=60), **changes)
    asked, known = answer(es, case), answer(es, changed(case, forward=forward))
    scores = np.array([[hit.score for hit in one.hits] for one in (known, asked)])
    # Among the matches of words it looks deeper, so it may find better ones.
    assert (scores[0] > scores[1] - 1e-3).all() and (case.request.has_text or scores[0] == pytest.approx(scores[1], abs=3e-4))
    others = {hit.item_id: hit for hit in asked.hits}
    both = [hit for hit in known.hits if hit.item_id in others]
    assert len(both) >= len(asked.hits) * (0.5 if case.request.has_text else 0.9)  # the last two may be as good as equal
    for hit in both:
        assert hit.parts == {name: pytest.approx(part, abs=3e-4) for name, part in others[hit.item_id].parts.items()}
        assert hit.source == others[hit.item_id].source
    assert known.total == asked.total
    assert not known.degraded


def test_a_vector_that_fails_does_not_cost_the_words(es: Any, catalogue: Any, forward: ForwardIndex) -> None:
    metadata, _ = catalogue
    case = changed(full(metadata), forward=forward)
    vectors = {**case.request.vectors, "text_vector": np.ones(2, np.float32)}
    ranking = answer(es, changed(case, vectors=vectors))
    assert ranking.degraded == ("text_vector",)
    assert len(ranking.hits) == 10 and all({"lexical"} <= hit.parts.keys() for hit in ranking.hits)


@pytest.mark.parametrize("filters", [(), ({"term": {"item_id": "i021"}},)])
def test_words_and_vectors_are_one_search(es: Any, catalogue: Any, forward: ForwardIndex, filters: tuple[Any, ...]) -> None:
    """Where the words find few, nothing else is asked for; an item's score does not depend on which search found it."""
    metadata, _ = catalogue
    case = changed(full(metadata, text="i021", vectors={}, filters=filters), forward=forward)
    asked: list[Any] = []
    page = answer(es, case, asked=asked)
    ((body, *matches),) = asked
    assert body["query"]["bool"]["should"] and len(matches) == int(
        bool(matches_of_plan(case.request, case.policy, plan_retrieval(*case)))
    )
    alone = {hit.item_id: hit for hit in page.hits}
    whole = {hit.item_id: hit for hit in answer(es, changed(case, n=200)).hits}
    assert alone and alone.keys() <= whole.keys()
    for item_id, hit in alone.items():
        assert hit.parts == {name: pytest.approx(part, rel=1e-4) for name, part in whole[item_id].parts.items()}


def best_of_matches(es: Any, case: Inputs, rows: list[dict[str, Any]], shown: list[str]) -> list[str]:
    """Return the ids of all that has both words, or is shown, best first."""
    both = {row["item_id"] for row in rows if row["title"].startswith("red shoe")}
    everything = sorted(answer(es, changed(case, n=N)).hits, key=lambda hit: -hit.score)
    return [hit.item_id for hit in everything if hit.item_id in both | {*shown}][: len(shown)]


def test_what_matches_is_asked_for_once(es: Any, catalogue: Any, by_sketch: ForwardIndex) -> None:
    """Who searches for the same words later asks for the words alone, and finds the best of all that matches."""
    metadata, rows = catalogue
    past, asked = PastSearches(), list[Any]()
    cases = [
        changed(full(metadata, factors={"als": user}, n=20, settings=SearchSettings(depth=20)), forward=by_sketch)
        for user in unit(np.random.default_rng(4), 3)
    ]
    pages = [answer(es, case, past, asked) for case in cases]
    assert [len(bodies) for bodies in asked] == [2, 1, 0]  # the third knows what the second found
    for case, page in zip(cases, pages, strict=True):
        shown = [hit.item_id for hit in page.hits]
        assert [hit.item_id for hit in answer(es, case).hits] == shown
        assert best_of_matches(es, case, rows, shown) == shown


def test_who_is_not_known_asks_for_matches_where_some_may_be_better(es: Any, catalogue: Any, by_sketch: ForwardIndex) -> None:
    metadata, rows = catalogue
    past, asked = PastSearches(), list[Any]()
    weights = {"query": {"lexical": 0.1, "popularity": 1.0}}
    nobody: dict[str, Any] = {"tastes": {}, "factors": {}, "neighbours": {}}
    case = full(metadata, settings=SearchSettings(depth=20), retriever_weights=weights, **nobody)
    case = changed(case, forward=by_sketch)
    pages = [[hit.item_id for hit in answer(es, case, past, asked).hits] for _ in range(3)]
    assert [len(bodies) for bodies in asked] == [
        1,
        1,
        1,
        0,
    ]  # the first answer took two requests, the third knows what the second found
    assert pages[0] == pages[1] == pages[2] == best_of_matches(es, case, rows, pages[0])


def test_every_hit_tells_which_write_was_found(es: Any, catalogue: Any, by_graph: ForwardIndex) -> None:
    metadata, _ = catalogue
    case = changed(full(metadata, text="rain", settings=SearchSettings(depth=20)), forward=by_graph)
    plan = plan_retrieval(*case)
    bodies = (*plan.bodies, rest_of_plan(*case, plan, "query"))
    responses = msearch(es, metadata, bodies)
    assert not unknown_writes(case.policy, responses)
    results = parse_responses(*case, plan, responses)
    assert results.rest is not None and results.joined is not None
    assert results.rest.keys() - results.joined.seq_no.keys()
    ids = sorted({*results.rest, *results.joined.seq_no})
    assert [results.seq_no[item_id] for item_id in ids] == by_graph.seq_no(by_graph.rows(ids)).tolist()


@pytest.mark.parametrize("text", ["red shoe", "i021"])
def test_numbers_of_writes_name_hits_as_their_ids_do(
    es: Any, catalogue: Any, forward: ForwardIndex, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata, _ = catalogue
    (block,) = forward.blocks()
    halves = [
        ForwardIndex.of(block.take(np.arange(k, N, 2)), forward.state, forward.fingerprints, forward.scanned) for k in range(2)
    ]
    cases = [changed(full(metadata, text=text, n=30), forward=each) for each in (forward, *halves)]
    numbered = [answer(es, case) for case in cases]
    monkeypatch.setattr(joined_search, "hit_fields", lambda policy: {**IDS_ONLY, "seq_no_primary_term": True})
    assert [answer(es, case) for case in cases] == numbered
    assert any(
        (half.rows([hit.item_id for hit in found.hits]) < 0).any() for half, found in zip(halves, numbered[1:], strict=True)
    )


def test_the_forward_index_spares_requests(es: Any, catalogue: Any, by_graph: ForwardIndex, by_sketch: ForwardIndex) -> None:
    metadata, _ = catalogue
    popularity = [(f"i{i:03d}", 100.0 - i) for i in range(90)]
    case = changed(
        full(metadata, text="", vectors={}, popularity=popularity, settings=SearchSettings(depth=60)), forward=by_graph
    )
    # The other fields are scanned: by the client.
    assert [body["knn"]["field"] for body in plan_retrieval(*case).bodies] == ["text_vector"]
    flow = run_search(*case)
    with pytest.raises(StopIteration) as end:
        flow.send(msearch(es, metadata, next(flow).bodies))
    assert len(end.value.value.hits) == 10 and end.value.value.total == len(by_graph)
    for known in (changed(case, forward=by_sketch), changed(case, tastes={}, factors={}, neighbours={})):
        with pytest.raises(StopIteration) as end:
            next(run_search(*known))
        assert len(end.value.value.hits) == 10


def test_what_the_forward_index_lacks_elasticsearch_scores(es: Any, catalogue: Any, by_graph: ForwardIndex) -> None:
    metadata, _ = catalogue
    case = full(metadata, text="", vectors={}, neighbours={}, factors={}, popularity=[], settings=SearchSettings(depth=60))
    case = changed(case, tastes={"text_vector": case.user.tastes["text_vector"]})
    asked = answer(es, case)
    shown = [hit.item_id for hit in asked.hits]
    lacking = changed(case, forward=by_graph.with_changes(ItemBlock.empty(by_graph.dims), shown[::2]))
    plan = plan_retrieval(*lacking)
    scoring = build_scoring_request(*lacking, parse_responses(*lacking, plan, msearch(es, metadata, plan.bodies)))
    assert {item_id for gap in scoring.missing_scores for item_id in gap.item_ids} <= set(shown[::2])
    assert [hit.item_id for hit in answer(es, lacking).hits] == shown


def test_scores_are_what_the_vectors_say(es: Any, catalogue: Any) -> None:
    metadata, rows = catalogue
    picture = full(metadata).request.vectors["image_vector"]
    ranking = answer(es, inputs(metadata=replace(metadata, fields={}), now=NOW, vectors={"image_vector": picture}, n=20))
    cosines = {row["item_id"]: float(np.asarray(row["image_vector"]) @ picture) for row in rows if "image_vector" in row}
    assert [hit.item_id for hit in ranking.hits] == sorted(cosines, key=lambda i: -cosines[i])[:20]
    for hit in ranking.hits:
        assert hit.parts == {"image_vector": pytest.approx(0.25 * cosines[hit.item_id], abs=1e-4)}


@pytest.mark.parametrize(
    "changes", [{}, {"diversity": 0.6}, {"text": "", "vectors": {}}, {"text": "", "vectors": {}, "diversity": 0.4}]
)
def test_pages_partition_one_ranking(es: Any, catalogue: Any, changes: dict[str, Any]) -> None:
    metadata, _ = catalogue
    case = full(metadata, settings=SearchSettings(depth=50), **changes)
    whole = [hit.item_id for hit in answer(es, changed(case, n=50)).hits]
    paged = [hit.item_id for start in range(0, 50, 7) for hit in answer(es, changed(case, n=7, offset=start)).hits][:50]
    assert paged == whole
    assert len(set(whole)) == len(whole)


def test_deep_pages_go_on_where_ordinary_ones_end(es: Any, catalogue: Any) -> None:
    metadata, _ = catalogue
    case = full(metadata, text="", vectors={}, settings=SearchSettings(depth=50))
    found = [hit.item_id for start in range(0, 400, 25) for hit in answer(es, changed(case, n=25, offset=start)).hits]
    assert len(set(found)) == len(found) == 400


def test_no_personalization_is_the_neutral_answer(es: Any, catalogue: Any) -> None:
    metadata, _ = catalogue
    for asked in ({}, {"text": "", "vectors": {}}):
        personal = full(metadata, **asked)
        neutral = changed(personal, tastes={}, factors={}, neighbours={}, strength=0.0)
        assert answer(es, changed(personal, personalization=0.0)) == answer(es, neutral)
        assert answer(es, personal) != answer(es, neutral)


def test_nobody_knows_anything_but_items_come(es: Any, catalogue: Any) -> None:
    metadata, _ = catalogue
    case = inputs(
        metadata=replace(metadata, fields={}), now=NOW, filters=tuple(parse_filters(["brand:brand 3"], metadata.fields))
    )
    ranking = answer(es, case)
    assert len(ranking.hits) == 10
    assert ranking.total == N // 5
    assert {hit.source["brand"] for hit in ranking.hits} == {"brand 3"}


def test_profile_does_not_bring_in_what_was_not_asked_for(es: Any, catalogue: Any) -> None:
    metadata, _ = catalogue
    case = full(metadata, text="green hat", vectors={}, popularity=[], n=100, personalization=1.0, strength=1_000.0)
    ranking = answer(es, case)
    for hit in ranking.hits:
        title = hit.title.split()
        assert "green" in title or "hat" in title
    assert {"green", "hat"} <= set(ranking.hits[0].title.split())
    assert ranking.total == sum("green" in row["title"] or "hat" in row["title"] for row in documents())


def test_filters_by_type(es: Any, catalogue: Any) -> None:
    metadata, rows = catalogue
    expected = {
        "price:10..20": lambda r: 10 <= r["price"] <= 20,
        "price:>390": lambda r: r["price"] > 390,
        "-price:10..": lambda r: r["price"] < 10,
        "available:false": lambda r: not r["available"],
        "brand:brand 1,brand 2": lambda r: r["brand"] in ("brand 1", "brand 2"),
        "-categories:home": lambda r: "home" not in r["categories"],
        'cut:"a, b"': lambda r: r["attributes"]["cut"] == "a, b",
        "size:1,2": lambda r: r["attributes"]["size"] in (1, 2),
        "created_at:>2026-09-01": lambda r: r["created_at"] >= 1_788_307_200_000,
        "created_at:2026-09-01": lambda r: 1_788_220_800_000 <= r["created_at"] < 1_788_307_200_000,
    }
    for expression, holds in expected.items():
        body = {"query": {"bool": {"filter": parse_filters([expression], metadata.fields)}}, "size": N}
        [response] = msearch(es, metadata, [body])
        assert "error" not in response, response
        got = {hit["_id"] for hit in response["hits"]["hits"]}
        assert got == {row["item_id"] for row in rows if holds(row)}, expression


def test_a_failed_retriever_is_named_and_left_out(es: Any, catalogue: Any) -> None:
    metadata, _ = catalogue
    # The picture's vector has a size that the index refuses.
    vectors = {**full(metadata).request.vectors, "image_vector": np.ones(3, np.float32)}
    ranking = answer(es, full(metadata, vectors=vectors))
    assert ranking.degraded == ("image_vector",)
    assert ranking.hits
    assert all("image_vector" not in hit.parts for hit in ranking.hits)


def test_facets_count_the_matches(es: Any, catalogue: Any) -> None:
    metadata, rows = catalogue
    ranking = answer(es, full(metadata, text="shoe", vectors={}, facets=True))
    shoes = [row for row in rows if "shoe" in row["title"]]
    assert ranking.total == len(shoes)
    assert ranking.facets["categories"] == {"clothes": len(shoes), "shoe": len(shoes)}
    assert sum(ranking.facets["brand"].values()) == len(shoes)
    assert ranking.facets["price"]["20..50"] == sum(20 <= row["price"] < 50 for row in shoes)


def test_typos_are_forgiven(es: Any, catalogue: Any) -> None:
    metadata, _ = catalogue
    ranking = answer(es, inputs(metadata=metadata, now=NOW, text="jackte", settings=SearchSettings(weights=FusionWeights())))
    assert ranking.hits
    assert all("jacket" in hit.title for hit in ranking.hits)


def test_reasons_come_from_the_users_own_items(es: Any, catalogue: Any) -> None:
    metadata, rows = catalogue
    vectors = {row["item_id"]: np.asarray(row["text_vector"], np.float32) for row in rows}
    liked = ("i010", "i200", "i300")
    case = inputs(
        metadata=metadata,
        now=NOW,
        tastes={"text_vector": Taste(vectors["i010"], None)},
        history=History.of(liked),
        exclude=frozenset(liked),
        explain=True,
        n=5,
    )
    hits = answer(es, case).hits
    assert all(hit.because and set(hit.because) <= set(liked) for hit in hits)
    for hit in hits:
        assert hit.because[0] == max(liked, key=lambda i: float(vectors[i] @ vectors[hit.item_id]))
    modelled = changed(full(metadata, text="", vectors={}), explain=True, explainers={"covisitation": lambda i: (f"why {i}",)})
    assert all(hit.because == (f"why {hit.item_id}",) for hit in answer(es, modelled).hits if "covisitation" in hit.parts)


def test_diversity_spreads_the_first_hits(es: Any, catalogue: Any) -> None:
    metadata, rows = catalogue
    vectors = {row["item_id"]: np.asarray(row["text_vector"]) for row in rows}

    def closeness(ranking: Ranking) -> float:
        found = np.stack([vectors[hit.item_id] for hit in ranking.hits])
        return float((found @ found.T).mean())

    plain = full(metadata, text="", vectors={}, neighbours={}, factors={}, popularity=[], settings=SearchSettings(depth=100))
    spread = answer(es, changed(plain, diversity=0.7))
    assert closeness(spread) < closeness(answer(es, plain)) - 0.1
    assert all(sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-9) for hit in spread.hits)


def test_reciprocal_ranks_answer_too(es: Any, catalogue: Any) -> None:
    metadata, _ = catalogue
    ranking = answer(es, full(metadata, settings=SearchSettings(fusion="rrf")))
    assert len(ranking.hits) == 10
    for hit in ranking.hits:
        assert sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-9)
