"""How much each retriever counts for one request.

The settings have a table of weights for each situation (see `request.situation`); a store's own tables, from `train` and
`tune`, go before them.

How personal a search is depends on what it asks for. With s1 >= s2 >= ... the scores of the K best lexical hits,
    m = sum_i (s_i / s1)^8               how many hits are about as good as the best, 1..K
    breadth = log m / log K              0 for one outstanding hit, 1 where all are alike
    evidence = strength / (strength + h) 0 for nothing known; h = 5, half after one purchase or five views, or, with weights that
                                         `train` chose, 0.5: two thirds after one view
A search is of the first of SEARCH_KINDS whose breadth it doesn't exceed. Where the store has a table for this kind, which
`train` chooses by what people did, personalised retrievers count with its weights, times evidence and personalization.
Else they are damped:
    damping = evidence * (0.1 + 0.9 * breadth)
Damping lies in [0, 1] and grows with breadth and evidence. There the personalised weights together never exceed
0.6 * damping * personalization of the weights that match the query, so a hit that matches better by more than that share is
never overtaken, unless the profile speaks against it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.retrievers import INTEREST, POPULARITY, RECENCY, RETRIEVERS, Retriever

__all__ = [
    "FIRST_EVENT",
    "MODELS_SHARE",
    "MOST_FEW_EVENTS",
    "NOT_PERSONALIZED",
    "PERSONAL_SHARE",
    "SEARCH_KINDS",
    "WINDOW_TABLES",
    "breadth",
    "damped_weights",
    "damping",
    "evidence",
    "largest_weights",
    "names_one_item",
    "query_weights",
    "retriever_weights",
    "search_kind",
    "search_table",
    "weight_table",
]

PERSONAL_SHARE = 0.6
"""Largest share of the personalised weights in a search, of the weights that match the query."""

MODELS_SHARE = 0.5
"""Weight in a search that the trained models share."""

FIRST_EVENT = "first_event"
"""Name of the table with the shares of models and popularity for users of whom one event is known, as `train` chose them."""

MOST_FEW_EVENTS = 3
"""Events of a user up to which the shares for one event count."""

NOT_PERSONALIZED = frozenset({POPULARITY, RECENCY})
"""Retrievers that need neither query nor user."""

SEARCH_KINDS: Mapping[str, float] = MappingProxyType({"query_item": 0.035, "query_kind": 0.35, "query_vague": 1.0})
"""Kind of a search -> its largest breadth: what names one item, what names a kind of items, and what is vague."""

WINDOW_TABLES: Mapping[str, str] = MappingProxyType({kind: f"window_{kind.removeprefix('query_')}" for kind in SEARCH_KINDS})
"""Kind of a search -> the table of a search by a body of the caller's of that kind, whose hits alone are ordered."""

_MIN_DAMPING = 0.1
_HALF_EVIDENCE = 5.0
_HALF_CHOSEN_EVIDENCE = 0.5
_PEAK = 8.0
_UNKNOWN_BREADTH = 0.5


def breadth(scores: Sequence[float], depth: int) -> float:
    """Return how many hits are about as good as the best, on a logarithmic scale from 0 (one) to 1 (all `depth`).

    scores: best first, positive; none at all counts as undecided (0.5).
    """
    if not scores or scores[0] <= 0.0:
        return _UNKNOWN_BREADTH
    similar = math.fsum((score / scores[0]) ** _PEAK for score in scores[:depth] if score > 0.0)
    return min(max(math.log(similar) / math.log(max(depth, 2)), 0.0), 1.0)


def search_kind(breadth: float) -> str:
    """Return the kind of a search: a key of SEARCH_KINDS."""
    return next(kind for kind, most in SEARCH_KINDS.items() if breadth <= most)


def names_one_item(scores: Sequence[float], depth: int) -> bool:
    """Return whether a search names one item. scores, depth: as of `breadth`."""
    return search_kind(breadth(scores, depth)) == "query_item"


def evidence(strength: float, half: float = _HALF_EVIDENCE) -> float:
    """Return how much is known of a user, in [0, 1). strength: sum of absolute event weights; half: the one that counts half."""
    return max(strength, 0.0) / (max(strength, 0.0) + half)


def damping(breadth: float, strength: float) -> float:
    """Return the factor in [0, 1] on the personalised retrievers of a search; it grows with breadth and evidence."""
    return evidence(strength) * (_MIN_DAMPING + (1.0 - _MIN_DAMPING) * breadth)


def retriever_weights(
    request: Request, user: UserState, policy: RankingPolicy, retrievers: Sequence[Retriever]
) -> dict[str, float]:
    """Return the weight of each retriever, without those that weigh nothing; in a search the largest before damping.

    retrievers: those that have a query.
    """
    models = _models(retrievers)
    if request.has_query:
        tables = [weight_table(policy, name, models) for name in ("query", *_chosen_kinds(request, policy))]
        personalized = request.personalization > 0.0 and user.strength > 0.0
        counting = (retriever.name for retriever in retrievers if personalized or not retriever.personalized)
        return _positive((name, max(table.get(name, 0.0) for table in tables)) for name in counting)
    personal = _with_interests(user, _personal_table(user, policy, models)) if user.is_known else {}
    neutral = weight_table(policy, "new_user", models)
    share = request.personalization if user.is_known else 0.0
    return _positive(
        (retriever.name, share * personal.get(retriever.name, 0.0) + (1.0 - share) * neutral.get(retriever.name, 0.0))
        for retriever in retrievers
    )


def damped_weights(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    weights: Mapping[str, float],
    retrievers: Iterable[Retriever],
    lexical_scores: Sequence[float],
) -> dict[str, float]:
    """Return the `weights` that `retrievers` count with: those of a search with the personalised ones damped.

    retrievers: those that have answered. lexical_scores: of the lexical retriever, best first.
    """
    counting = [retriever for retriever in retrievers if retriever.name in weights]
    if not request.has_query:
        return {retriever.name: weights[retriever.name] for retriever in counting}
    table = search_table(request, policy, lexical_scores)
    if table in SEARCH_KINDS:
        return _chosen_weights(table, request, user, policy, counting)
    return _usual_weights(breadth(lexical_scores, policy.settings.depth), request, user, policy, counting)


def search_table(request: Request, policy: RankingPolicy, lexical_scores: Sequence[float]) -> str:
    """Return the name of the table that a search is weighed by: that of its kind, where there is one, else "query"."""
    chosen = _chosen_kinds(request, policy)
    if not chosen:
        return "query"
    kind = search_kind(breadth(lexical_scores, policy.settings.depth))
    return kind if kind in chosen else "query"


def largest_weights(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    weights: Mapping[str, float],
    retrievers: Iterable[Retriever],
    table: str,
) -> dict[str, float]:
    """Return what each of the retrievers counts with at most in a search that is weighed by a table, whatever the words find.

    weights: before damping. table: see `search_table`. Of kinds without a table of their own the broadest is the most personal.
    """
    counting = [retriever for retriever in retrievers if retriever.name in weights]
    if table in SEARCH_KINDS:
        return _chosen_weights(table, request, user, policy, counting)
    return _usual_weights(1.0, request, user, policy, counting)


def _usual_weights(
    broad: float, request: Request, user: UserState, policy: RankingPolicy, counting: Sequence[Retriever]
) -> dict[str, float]:
    """Return the weights of a search of such a breadth whose kind has no table."""
    table = weight_table(policy, "query", _models(counting))
    factor = request.personalization * damping(broad, user.strength)
    matching = math.fsum(table.get(retriever.name, 0.0) for retriever in counting if retriever.matches_query)
    personal = math.fsum(table.get(retriever.name, 0.0) for retriever in counting if retriever.personalized)
    if personal > PERSONAL_SHARE * matching > 0.0:
        factor *= PERSONAL_SHARE * matching / personal
    return _scaled(table, factor, counting)


def _chosen_weights(
    kind: str, request: Request, user: UserState, policy: RankingPolicy, counting: Sequence[Retriever]
) -> dict[str, float]:
    """Return the weights of a search whose kind has a table."""
    known = evidence(user.strength, _HALF_CHOSEN_EVIDENCE)
    return _scaled(weight_table(policy, kind, _models(counting)), request.personalization * known, counting)


def _chosen_kinds(request: Request, policy: RankingPolicy) -> list[str]:
    """Return the kinds of searches that have a table; none for a picture, of which the words tell no kind."""
    tells = request.has_text or request.by_body
    return [kind for kind in SEARCH_KINDS if kind in policy.retriever_weights] if tells else []


def _models(retrievers: Iterable[Retriever]) -> list[str]:
    return [retriever.name for retriever in retrievers if retriever.scale in ("inner", "list") and retriever.personalized]


def _scaled(table: Mapping[str, float], factor: float, counting: Iterable[Retriever]) -> dict[str, float]:
    return _positive((one.name, table.get(one.name, 0.0) * (factor if one.personalized else 1.0)) for one in counting)


def weight_table(policy: RankingPolicy, name: str, models: Iterable[str]) -> dict[str, float]:
    """Return retriever -> weight in a situation: those of the settings with the store's own before them.

    Training chooses models by what they do together. So where the store has a table without a query, that table alone decides
    for models, popularity and recency, and in a search the models share a fixed part in the same proportions. A kind of searches
    has the weights of a search with its own before them.
    What `fixed_weights` of the settings say of a recommendation holds whatever was chosen.
    models: the collaborative models that take part.
    """
    models = set(models)
    if name in SEARCH_KINDS:
        return {**weight_table(policy, "query", models), **policy.retriever_weights.get(name, {})}
    given: dict[str, float] = getattr(policy.settings.weights, name)
    trained = policy.retriever_weights.get("no_query")
    if name == "no_query" and trained is not None:
        given = {retriever: weight for retriever, weight in given.items() if retriever not in models | NOT_PERSONALIZED}
    elif name == "query" and trained is not None:
        total = math.fsum(max(trained.get(model, 0.0), 0.0) for model in models) or 1.0
        given = {**given, **{model: MODELS_SHARE * trained.get(model, 0.0) / total for model in models}}
    fixed = policy.settings.fixed_weights if name == "no_query" else {}
    return {**given, **policy.retriever_weights.get(name, {}), **fixed}


def _personal_table(user: UserState, policy: RankingPolicy, models: Sequence[str]) -> dict[str, float]:
    """Return retriever -> weight without a query of a known user.

    What models and popularity weigh together is shared out as `train` chose it for whole histories, and of few events as for
    one: the n-th event leaves an n-th of that.
    """
    table = weight_table(policy, "no_query", models)
    first, events = policy.retriever_weights.get(FIRST_EVENT), len(user.history.item_ids)
    if first is None or not 1 <= events <= MOST_FEW_EVENTS:
        return table
    together = math.fsum(table.get(name, 0.0) for name in first)
    mixed = {name: table.get(name, 0.0) + (together * share - table.get(name, 0.0)) / events for name, share in first.items()}
    return {**table, **mixed}


def query_weights(policy: RankingPolicy) -> dict[str, float]:
    """Return the weights of the retrievers that match the query."""
    table = weight_table(policy, "query", ())
    return {name: table[name] for name, one in RETRIEVERS.items() if one.matches_query and table.get(name, 0.0) > 0.0}


def _with_interests(user: UserState, table: Mapping[str, float]) -> Mapping[str, float]:
    """Return the table with the weight that all interests share given to each by its share."""
    if user.interests is None:
        return table
    total = table.get(INTEREST, 0.0)
    return {**table, **{f"{INTEREST}_{k + 1}": total * share for k, share in enumerate(user.interests.shares.tolist())}}


def _positive(weights: Iterable[tuple[str, float]]) -> dict[str, float]:
    return {name: weight for name, weight in weights if weight > 0.0}
