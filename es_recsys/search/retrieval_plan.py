"""What a ranking asks of Elasticsearch: the searches that find its candidates.

plan = plan_retrieval(request, user, policy)                          # the bodies of one `_msearch`
results = parse_responses(request, user, policy, plan, responses)     # see `retrieval_results`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from es_recsys.search.bodies import browse_body, candidates_body
from es_recsys.search.facets import with_counts
from es_recsys.search.joined_search import find_nearest, joined_body, joined_size, rest_body
from es_recsys.search.local_scores import has_local_candidates
from es_recsys.search.query_dsl import Body, Clause, Response, hits_of
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.retriever_weights import largest_weights, retriever_weights
from es_recsys.search.retrievers import LEXICAL, RECENCY, Retriever, active_retrievers, contributes_candidates
from es_recsys.search.word_matches import matches_body

__all__ = [
    "REST",
    "PlannedRetriever",
    "RetrievalPlan",
    "is_local",
    "matches_of_plan",
    "ordinary_responses",
    "plan_retrieval",
    "rest_of_plan",
]

REST = "rest"
"""The source of what a joined plan doesn't ask for: `rest_of_plan` does."""


@dataclass(frozen=True, slots=True)
class PlannedRetriever:
    """A retriever with its query.

    body: the search that finds its candidates; None where it only scores those of others, where they are known here, or where
    another retriever's search finds them, too. source: the name of the retriever whose response has its candidates.
    """

    retriever: Retriever
    query: Clause
    body: Body | None
    source: str


@dataclass(frozen=True, slots=True)
class RetrievalPlan:
    """Retrievers with a query and a non-zero weight, or tried by exploration.

    weights: of each, in a search before damping. browse: where nothing is asked, the body that counts and lists what may be
    shown, None where the forward index tells; a search is counted by the second request, which knows what the first one found.
    joined: names of the retrievers of query vectors that the lexical body serves, too (see `joined_search`), None where each has
    a body of its own; items of all others are among the matches, or asked for in `rest_of_plan`. nearest: of query vectors that
    the forward index searched, what it found (see `find_nearest`).
    """

    planned: tuple[PlannedRetriever, ...]
    weights: Mapping[str, float]
    browse: Body | None
    joined: tuple[str, ...] | None = None
    nearest: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def is_personal(self) -> bool:
        """Whether what is known of the user counts."""
        return any(each.retriever.personalized and each.retriever.name in self.weights for each in self.planned)

    @property
    def searched(self) -> tuple[Retriever, ...]:
        """The retrievers that have a body, in the order of `bodies`."""
        return tuple(each.retriever for each in self.planned if each.body is not None)

    @property
    def bodies(self) -> tuple[Body, ...]:
        """One body a searched retriever, then `browse`."""
        bodies = [each.body for each in self.planned if each.body is not None]
        return (*bodies, self.browse) if self.browse is not None else tuple(bodies)


def plan_retrieval(request: Request, user: UserState, policy: RankingPolicy) -> RetrievalPlan:
    """Return the searches that find the candidates. Each retriever's query is built here and nowhere else."""
    queries = [
        (retriever, query)
        for retriever in active_retrievers(request, user, policy)
        if (query := retriever.build_query(request, user, policy)) is not None
    ]
    weights = retriever_weights(request, user, policy, [retriever for retriever, _ in queries])
    queries = [each for each in queries if each[0].name in weights or _is_explored(each[0], request, policy)]
    if _can_join(request, policy, queries):
        return _joined_plan(request, policy, queries, weights)
    planned = tuple(
        PlannedRetriever(retriever, query, _candidates_body(retriever, query, request, policy), retriever.name)
        for retriever, query in queries
    )
    planned = _with_joined_lists(planned, request, policy)
    if request.has_query or (has_local_candidates(request, policy) and not request.facets):
        return RetrievalPlan(planned, weights, None)
    return RetrievalPlan(planned, weights, with_counts(browse_body(request, policy), request, policy))


def matches_of_plan(request: Request, policy: RankingPolicy, plan: RetrievalPlan) -> Body | None:
    """Return the body that finds all that matches the words of a joined plan; None where the client can't tell the best of it."""
    others = [each for each in plan.planned if each.source == REST]
    if plan.joined is None or policy.has_variants or not others or not all(_is_known(policy, each) for each in others):
        return None
    return matches_body(_words_of(plan), request, policy)


def rest_of_plan(request: Request, user: UserState, policy: RankingPolicy, plan: RetrievalPlan, table: str) -> Body | None:
    """Return the body that finds what a joined plan has not asked for; None where there is nothing.

    table: the weights of the search (see `search_table`): what weighs nothing there brings no candidates.
    """
    weights = largest_weights(request, user, policy, plan.weights, [each.retriever for each in plan.planned], table)
    others = [each.query for each in plan.planned if each.source == REST and each.retriever.name in weights]
    if plan.joined is None or not others:
        return None
    listed = dict.fromkeys(item_id for query in others for item_id in query.get("ids", {}).get("values", ()))
    return rest_body(_words_of(plan), [query for query in others if "knn" in query], tuple(listed), request, policy)


def ordinary_responses(policy: RankingPolicy, plan: RetrievalPlan, responses: Sequence[Response]) -> list[Response]:
    """Return the responses to the bodies of a joined plan for a deep page as those for an ordinary page are."""
    first, *others = responses
    size = joined_size(policy.settings.depth, len(plan.joined or ()), policy)
    return [{**first, "hits": {**first["hits"], "hits": hits_of(first)[:size]}}, *others]


def is_local(retriever: Retriever, query: Clause, request: Request, policy: RankingPolicy) -> bool:
    """Return whether the client finds the retriever's items itself."""
    if policy.forward is None or not has_local_candidates(request, policy):
        return False
    found_here = "knn" in query and policy.forward.can_search(query["knn"]["field"], query["knn"]["query_vector"])
    return found_here or retriever.scale == "list" or retriever.name == RECENCY


def _candidates_body(retriever: Retriever, query: Clause, request: Request, policy: RankingPolicy) -> Body | None:
    """Return the body of the first request; None where its scores or candidates are known without."""
    if retriever.scale == "list" and not contributes_candidates(retriever, request):
        return None
    if is_local(retriever, query, request, policy):
        return None
    return candidates_body(retriever, query, request, policy)


def _with_joined_lists(
    planned: tuple[PlannedRetriever, ...], request: Request, policy: RankingPolicy
) -> tuple[PlannedRetriever, ...]:
    """Return the plan with one search for the ids of all lists, which is the first list's."""
    lists = [each for each in planned if each.body is not None and each.retriever.scale == "list"]
    if len(lists) < 2:
        return planned
    first, *others = lists
    ids = list(dict.fromkeys(item_id for each in lists for item_id in each.query["ids"]["values"]))
    body = candidates_body(first.retriever, {"ids": {"values": ids}}, request, policy)
    joined = {first.retriever.name: replace(first, body=body)}
    joined |= {each.retriever.name: replace(each, body=None, source=first.source) for each in others}
    return tuple(joined.get(each.retriever.name, each) for each in planned)


def _can_join(request: Request, policy: RankingPolicy, queries: Sequence[tuple[Retriever, Clause]]) -> bool:
    """Return whether one search can serve words and query vectors: the forward index tells what its hits don't."""
    forward = policy.forward
    if forward is None or not request.has_text or policy.settings.fusion != "weighted":
        return False
    fields = {query["knn"]["field"] for _, query in queries if "knn" in query}
    by_words = any(retriever.name == LEXICAL for retriever, _ in queries)
    # The nearest of a scan, which knows no filters, need not pass them.
    unfiltered = not request.filters or not any(r.is_query_vector and r.name in forward.scanned for r, _ in queries)
    known = fields <= forward.dims.keys()
    return by_words and unfiltered and known and policy.text_matching.boosts.get("all_text", 0.0) > 0.0


def _joined_plan(
    request: Request,
    policy: RankingPolicy,
    queries: Sequence[tuple[Retriever, Clause]],
    weights: Mapping[str, float],
) -> RetrievalPlan:
    words = next(query for retriever, query in queries if retriever.name == LEXICAL)
    vectors = {retriever.name: query for retriever, query in queries if retriever.is_query_vector}
    found = {name: find_nearest(query, request, policy) for name, query in vectors.items()}
    nearest = {name: items for name, items in found.items() if items is not None}
    planned = []
    for retriever, query in queries:
        body, source = None, LEXICAL if retriever.matches_query else REST
        if retriever.name == LEXICAL:
            body = joined_body(words, vectors, nearest, request, policy)
        elif _is_explored(retriever, request, policy):
            body, source = candidates_body(retriever, query, request, policy), retriever.name
        planned.append(PlannedRetriever(retriever, query, body, source))
    return RetrievalPlan(tuple(planned), weights, None, tuple(vectors), nearest)


def _is_known(policy: RankingPolicy, planned: PlannedRetriever) -> bool:
    """Return whether the forward index tells what a retriever scores an item."""
    knn = planned.query.get("knn")
    if knn is None:
        return planned.retriever.scale == "list" or planned.retriever.name == RECENCY
    return policy.forward is not None and policy.forward.can_search(knn["field"], knn["query_vector"])


def _words_of(plan: RetrievalPlan) -> Clause:
    return next(each.query for each in plan.planned if each.retriever.name == LEXICAL)


def _is_explored(retriever: Retriever, request: Request, policy: RankingPolicy) -> bool:
    exploration = policy.exploration
    return (
        retriever.name == RECENCY
        and exploration is not None
        and exploration.newest > 0
        and contributes_candidates(retriever, request)
    )
