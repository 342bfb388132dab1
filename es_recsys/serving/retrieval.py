"""Retrieve the candidates of a ranking, with as few requests as it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from es_recsys.errors import EngineError, InputError
from es_recsys.search.candidates import CandidateTable, build_candidates, needs_rest
from es_recsys.search.hit_names import ids_body, item_of_write, name_hits, unknown_writes
from es_recsys.search.kept_responses import MAX_EXCLUDED, STAMP, KeptResponses, kept_key, stamp_of, without_excluded
from es_recsys.search.past_searches import PastSearches
from es_recsys.search.query_dsl import NO_RESPONSE, Body, Response
from es_recsys.search.request import RankingPolicy, Request, UserState, retrieval_depth
from es_recsys.search.retrieval_plan import RetrievalPlan, matches_of_plan, ordinary_responses, plan_retrieval, rest_of_plan
from es_recsys.search.retrieval_results import RetrievalResults, parse_responses
from es_recsys.search.word_matches import WordMatches, parse_matches
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


def retrieve(request: Request, user: UserState, policy: RankingPolicy, past: PastSearches, window: int = 0) -> Flow[Retrieved]:
    """Find and score the candidates.

    past: what is known of the words is not asked for again. window: of the best candidates, those that a learned ranking orders.

    Raises EngineError where no retriever could be asked, InputError where Elasticsearch refuses what all were asked.
    """
    index = policy.metadata.index
    expected, needed_more = past.table(request), past.needed_more(request, user)
    matches = past.matches(request, policy)
    plan, key = _plan(request, user, policy, past, matches)
    matching, rest = _expected_bodies(request, user, policy, plan, matches, expected, needed_more=needed_more)
    beside = tuple(body for body in (matching, rest) if body is not None)
    responses, others = yield from _search(policy, plan, beside, past.responses, key)
    if matching is not None:
        matches = _read_matches(request, policy, plan, past, others[0])
    if key is not None and request.exclude and not _lost(plan, responses):
        own = without_excluded(responses, request, policy, matches)
        if own is None:
            plan = plan_retrieval(request, user, policy)
            own, _ = yield from _search(policy, plan, (), past.responses, None)
        responses = own
    if _lost(plan, responses):
        # Whatever is wrong with one vector must not cost the words.
        return (yield from retrieve(request, user, replace(policy, forward=None), past, window))
    raise_if_all_failed(responses[: len(plan.searched)])
    best = matches if plan.is_personal or needed_more else None
    found = _read(request, user, policy, plan, responses, best)
    if plan.joined is None:
        return found
    past.store_table(request, found.results.table)
    if best is not None and best.complete:
        return found
    needs_more = _needs_rest(request, user, plan, found, window)
    past.store_need(request, user, needed=needs_more)
    if not needs_more:
        return found
    if matches is None and matching is None and (matching := matches_of_plan(request, policy, plan)) is not None:
        (response,) = yield MultiSearch(index, (matching,))
        matches = _read_matches(request, policy, plan, past, response)
    if matches is not None and matches.complete:
        return _read(request, user, policy, plan, responses, matches)
    if rest is None or found.results.table != expected:
        rest = rest_of_plan(request, user, policy, plan, found.results.table)
        if rest is None:
            return found
        others = yield MultiSearch(index, (rest,))
    yield from _name_hits(policy, others)
    return _read(request, user, policy, plan, [*responses, *others])


def _plan(
    request: Request, user: UserState, policy: RankingPolicy, past: PastSearches, matches: WordMatches | None
) -> tuple[RetrievalPlan, bytes | None]:
    """Return the searches to make, and the key that their responses are kept under, None for none.

    What is excluded for a user is not said in them where the same responses can serve all users.
    """
    if len(request.exclude) <= MAX_EXCLUDED:
        plan = plan_retrieval(replace(request, exclude=frozenset()) if request.exclude else request, user, policy)
        key = kept_key(request, policy, plan)
        kept = past.responses.get(key) if key is not None and request.exclude else None
        if not request.exclude or (key and (kept is None or without_excluded(kept[1], request, policy, matches) is not None)):
            return plan, key
    return plan_retrieval(request, user, policy), None


def _search(
    policy: RankingPolicy, plan: RetrievalPlan, beside: Sequence[Body], past: KeptResponses, key: bytes | None
) -> Flow[tuple[list[Response], list[Response]]]:
    """Return the responses to a plan and to the bodies beside it. Hits of a joined search have their ids.

    What was asked before is not asked again where the stamp is the same. key: of the plan, None to keep nothing.
    """
    index, bodies = policy.metadata.index, plan.bodies
    others: list[Response] = []
    if key is None:
        found = (yield MultiSearch(index, (*bodies, *beside))) if bodies or beside else []
        responses, others, stamp = found[: len(bodies)], found[len(bodies) :], None
    else:
        before, kept = past.stamp(index), past.get(key)
        if kept is not None:
            first, *others = yield MultiSearch(index, (STAMP, *beside))
            before, beside = stamp_of(first), ()
            past.saw(index, before)
            if before == kept[0]:
                return kept[1], others
        *found, last = yield MultiSearch(index, (*bodies, *beside, STAMP))
        responses, others = found[: len(bodies)], others or found[len(bodies) :]
        stamp = stamp_of(last)
        past.saw(index, stamp)
        # Searches of one request may see different states; none did where the state is that of before.
        stamp = stamp if stamp == before else None
    if plan.joined is not None and not (yield from _name_hits(policy, responses)):
        responses = [NO_RESPONSE] * len(responses)
    if key is not None and stamp is not None:
        past.store(key, stamp, responses)
    return responses, others


def _lost(plan: RetrievalPlan, responses: Sequence[Response]) -> bool:
    """Return whether a joined search failed."""
    return plan.joined is not None and "error" in responses[0]


def _expected_bodies(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    plan: RetrievalPlan,
    matches: WordMatches | None,
    table: str | None,
    *,
    needed_more: bool,
) -> tuple[Body | None, Body | None]:
    """Return the bodies that find all matches and that ask for the rest, where the first request should have one.

    matches: those that are known. table: the expected weights. needed_more: whether such a search did.
    """
    if plan.joined is None or (matches is not None and matches.complete):
        return None, None
    if matches is None and (plan.is_personal or needed_more):
        body = matches_of_plan(request, policy, plan)
        if body is not None:
            return body, None
    return None, rest_of_plan(request, user, policy, plan, table) if needed_more and table is not None else None


def _read_matches(
    request: Request, policy: RankingPolicy, plan: RetrievalPlan, past: PastSearches, response: Response
) -> WordMatches | None:
    """Read what matches, and remember it."""
    found = parse_matches(response, len(plan.joined or ()), request, policy)
    if found is not None:
        past.store_matches(request, policy, found)
    return found


def _read(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    plan: RetrievalPlan,
    responses: Sequence[Response],
    matches: WordMatches | None = None,
) -> Retrieved:
    """Read the responses. matches: whose best become candidates, if these are all."""
    results = parse_responses(request, user, policy, plan, responses, matches if matches and matches.complete else None)
    table = build_candidates(request, user, policy, results)
    return Retrieved(policy, results, table, bool(plan.searched), responses)


def _needs_rest(request: Request, user: UserState, plan: RetrievalPlan, found: Retrieved, window: int) -> bool:
    """Return what `needs_rest` does, for a page beyond the ordinary depth as for those before it."""
    policy = found.policy
    if retrieval_depth(request, policy) > policy.settings.depth:
        request = replace(request, offset=0, n=1)
        found = _read(request, user, policy, plan, ordinary_responses(policy, plan, found.responses))
    return needs_rest(request, user, policy, found.results, found.table, window)


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
