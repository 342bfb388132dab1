"""Retrieve the candidates of a ranking, with as few requests as it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from es_recsys.errors import EngineError, InputError
from es_recsys.search.broad_searches import BroadSearches
from es_recsys.search.candidates import CandidateTable, build_candidates, needs_rest
from es_recsys.search.hit_names import ids_body, item_of_write, name_hits, unknown_writes
from es_recsys.search.query_dsl import Response
from es_recsys.search.request import RankingPolicy, Request, UserState, retrieval_depth
from es_recsys.search.retrieve import (
    RetrievalPlan,
    RetrievalResults,
    ordinary_responses,
    parse_responses,
    plan_retrieval,
    rest_of_plan,
)
from es_recsys.serving.operations import Flow, MultiSearch

__all__ = ["Retrieved", "raise_if_all_failed", "retrieve"]


@dataclass(frozen=True, slots=True, eq=False)
class Retrieved:
    """The candidates of a ranking.

    policy: the one to go on with. table: of `results`. searched: whether a search found candidates. responses: all of them.
    """

    policy: RankingPolicy
    results: RetrievalResults
    table: CandidateTable
    searched: bool
    responses: Sequence[Response]


def retrieve(request: Request, user: UserState, policy: RankingPolicy, broad: BroadSearches, window: int = 0) -> Flow[Retrieved]:
    """Find and score the candidates.

    broad: the searches that needed two requests before; they are sent at once. window: of the best candidates, those that a
    learned ranking orders.

    Raises EngineError where no retriever could be asked, InputError where Elasticsearch refuses what all were asked.
    """
    index = policy.metadata.index
    expected = broad.table(request) if request.has_text else None
    plan = plan_retrieval(request, user, policy, expected)
    rest = rest_of_plan(request, user, policy, plan, expected) if expected and broad.has(request, user) else None
    bodies = plan.bodies if rest is None else (*plan.bodies, rest)
    responses = (yield MultiSearch(index, bodies)) if bodies else []
    is_named = True if plan.joined is None else (yield from _name_hits(policy, responses))
    if not is_named or (plan.joined and "error" in responses[0]):
        # Whatever is wrong with one vector must not cost the words.
        return (yield from retrieve(request, user, replace(policy, forward=None), broad, window))
    raise_if_all_failed(responses[: len(plan.searched)])
    responses, others = responses[: len(plan.bodies)], responses[len(plan.bodies) :]
    results = parse_responses(request, user, policy, plan, responses)
    table = build_candidates(request, user, policy, results)
    found = Retrieved(policy, results, table, bool(plan.searched), responses)
    if plan.joined is None:
        return found
    broad.store_table(request, results.table)
    if not _needs_rest(request, user, policy, plan, responses, results, table, window):
        broad.discard(request, user)
        return found
    if rest is None or results.table != expected:
        rest = rest_of_plan(request, user, policy, plan, results.table)
        if rest is None:
            return found
        broad.add(request, user)
        others = yield MultiSearch(index, (rest,))
        yield from _name_hits(policy, others)
    responses = [*responses, *others]
    results = parse_responses(request, user, policy, plan, responses)
    return replace(found, results=results, table=build_candidates(request, user, policy, results), responses=responses)


def _needs_rest(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    plan: RetrievalPlan,
    responses: Sequence[Response],
    results: RetrievalResults,
    table: CandidateTable,
    window: int,
) -> bool:
    """Return what `needs_rest` does, for a page beyond the ordinary depth as for those before it."""
    if retrieval_depth(request, policy) <= policy.settings.depth:
        return needs_rest(request, user, policy, results, table, window)
    ordinary = replace(request, offset=0, n=1)
    results = parse_responses(ordinary, user, policy, plan, ordinary_responses(policy, plan, responses))
    table = build_candidates(ordinary, user, policy, results)
    return needs_rest(ordinary, user, policy, results, table, window)


def _name_hits(policy: RankingPolicy, responses: Sequence[Response]) -> Flow[bool]:
    """Give hits that came without their ids these. Return whether Elasticsearch told those that the forward index doesn't know.

    That is asked only for items that were written after the forward index was read.
    """
    unknown = unknown_writes(policy, responses)
    if not unknown:
        return True
    found = (yield MultiSearch(policy.metadata.index, (ids_body(unknown),)))[0]
    name_hits(responses, item_of_write(found))
    return "error" not in found


def raise_if_all_failed(responses: Sequence[Response]) -> None:
    """Raise where every search failed: such an answer would look as if nothing were found."""
    if not responses or not all("error" in response for response in responses):
        return
    error = responses[0]["error"]
    causes = [error, *(error.get("root_cause") or ())] if isinstance(error, Mapping) else [{"reason": error}]
    why = f"{causes[-1].get('type', 'error')}: {str(causes[-1].get('reason'))[:300]}"
    if all(response.get("status") == 400 for response in responses):
        raise InputError(f"Elasticsearch refused the request ({why}).", "Look at the values given, above all at filters.")
    raise EngineError(
        f"Elasticsearch carried out none of the {len(responses)} searches of this answer ({why}).",
        "See its log and the health of its indices, then try again.",
    )
