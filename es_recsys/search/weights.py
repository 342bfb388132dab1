"""How much each leg counts for one question.

Situation: "query" where something was asked, "no_query" for a known user who asked nothing, "new_user" otherwise. The
settings give a table for each; a store's own tables (from `train` and `tune search`) go before them.

Damping of the personal legs in a search. With s1 >= s2 >= ... the scores of the K best lexical hits,
    m = sum_i (s_i / s1)^8               how many hits are about as good as the best, 1..K
    breadth = log m / log K              0 for one outstanding hit, 1 where all are alike
    evidence = strength / (strength + 5) 0 for nothing known, half after one purchase or five views
    damping = evidence * (0.1 + 0.9 * breadth)
It lies in [0, 1] and grows with breadth and evidence. The personal weights together never exceed 0.6 * damping * personalization
of the weights that answer the question, so a hit that answers better by more than that share is never overtaken,
unless the profile speaks against it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from es_recsys.search.context import Context
from es_recsys.search.legs import INTEREST, LEGS, Leg

__all__ = ["answering_weights", "breadth", "damping", "situation", "weigh"]

PERSONAL_SHARE = 0.6
COLLABORATIVE_IN_SEARCH = 0.5
_FLOOR = 0.1
_EVIDENCE = 5.0
_PEAK = 8.0
_UNKNOWN_BREADTH = 0.5
_NEUTRAL = frozenset({"popular", "fresh"})


def situation(context: Context) -> str:
    """ "query", "no_query" or "new_user"."""
    if context.asks:
        return "query"
    return "no_query" if context.knows else "new_user"


def breadth(scores: Sequence[float], depth: int) -> float:
    """How many hits are about as good as the best, on a logarithmic scale from 0 (one) to 1 (all `depth`).

    scores: best first, positive; none at all counts as undecided (0.5).
    """
    if not scores or scores[0] <= 0.0:
        return _UNKNOWN_BREADTH
    alike = math.fsum((score / scores[0]) ** _PEAK for score in scores[:depth] if score > 0.0)
    return min(max(math.log(alike) / math.log(max(depth, 2)), 0.0), 1.0)


def damping(breadth: float, strength: float) -> float:
    """Factor in [0, 1] on the personal legs of a search; grows with the breadth of the question and with the evidence."""
    evidence = max(strength, 0.0) / (max(strength, 0.0) + _EVIDENCE)
    return evidence * (_FLOOR + (1.0 - _FLOOR) * breadth)


def weigh(context: Context, legs: Iterable[Leg], lexical_scores: Sequence[float] = ()) -> dict[str, float]:
    """Weight of each leg for this question; a leg that weighs nothing is left out.

    legs: those that can speak for it.
    lexical_scores: of the lexical leg, best first, where it has answered.
    """
    legs = tuple(legs)
    if context.asks:
        return _for_search(context, legs, lexical_scores)
    mine = _with_interests(context, _table(context, "no_query", legs)) if context.knows else {}
    others = _table(context, "new_user", legs)
    share = context.personalization if context.knows else 0.0
    mixed = {leg.name: share * mine.get(leg.name, 0.0) + (1.0 - share) * others.get(leg.name, 0.0) for leg in legs}
    return {name: weight for name, weight in mixed.items() if weight > 0.0}


def answering_weights(context: Context) -> dict[str, float]:
    """Weights of the legs that answer a question, as the store has them."""
    table = _table(context, "query", ())
    return {name: table[name] for name, leg in LEGS.items() if leg.answers and table.get(name, 0.0) > 0.0}


def _with_interests(context: Context, table: Mapping[str, float]) -> Mapping[str, float]:
    """The interests share one weight, each by its own share."""
    if context.interests is None:
        return table
    whole = table.get(INTEREST, 0.0)
    return {**table, **{f"{INTEREST}_{k + 1}": whole * share for k, share in enumerate(context.interests.shares.tolist())}}


def _for_search(context: Context, legs: Sequence[Leg], lexical_scores: Sequence[float]) -> dict[str, float]:
    table = _table(context, "query", legs)
    factor = context.personalization * damping(breadth(lexical_scores, context.settings.depth), context.strength)
    answering = math.fsum(table.get(leg.name, 0.0) for leg in legs if leg.answers)
    personal = math.fsum(table.get(leg.name, 0.0) for leg in legs if leg.personal)
    if personal > PERSONAL_SHARE * answering > 0.0:
        factor *= PERSONAL_SHARE * answering / personal
    found = {leg.name: table.get(leg.name, 0.0) * (factor if leg.personal else 1.0) for leg in legs}
    return {name: weight for name, weight in found.items() if weight > 0.0}


def _table(context: Context, name: str, legs: Sequence[Leg]) -> Mapping[str, float]:
    """Weights of a situation: the settings' with the store's own before them.

    Training chooses models by what they did together, so where the store has a table without a query, it decides alone
    for models, popularity and freshness. In a search the models share a fixed part, as training weighed them.
    """
    given: Mapping[str, float] = getattr(context.settings.weights, name)
    own = context.metadata.weights.get(name, {})
    trained = context.metadata.weights.get("no_query")
    models = {leg.name for leg in legs if leg.scale in ("inner", "list") and leg.personal}
    if name == "no_query" and trained is not None:
        given = {leg: weight for leg, weight in given.items() if leg not in models | _NEUTRAL}
    elif name == "query" and trained is not None:
        total = math.fsum(max(trained.get(model, 0.0), 0.0) for model in models) or 1.0
        given = {**given, **{model: COLLABORATIVE_IN_SEARCH * trained.get(model, 0.0) / total for model in models}}
    return {**given, **own}
