"""Features for learning to rank: one column of numbers a feature, NaN where it is not known.

A feature's name is `part/aspect`. Its part is what an explanation names: a retriever, a lexical clause, a field of the item,
"query" for what all candidates share, "sum" for the weighted sum, or "item", "user" and "pair" for what behaviour says of them
(see `es_recsys.features`).

Base features need no request of their own: the retrievers' scores, raw scores and ranks, the weighted sum, the title's
similarity to the text (`text_match`), the price, how the item meets the profile, and the features of item, user and pair. The
answer log has them, so that a ranking can be trained on it. A `FeatureRequest` asks for more: each lexical clause's own BM25,
and the item's age and attributes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import History
from es_recsys.search.candidates import CandidateTable, ScoredCandidates
from es_recsys.search.lexical import UNTUNED, lexical_clauses
from es_recsys.search.query_dsl import Clause
from es_recsys.search.ranker import WINDOW, FeatureRequest
from es_recsys.search.request import RankingPolicy, Request, UserState, ranker_of
from es_recsys.search.retriever_weights import breadth
from es_recsys.search.retrievers import LEXICAL
from es_recsys.search.text_match import Words, match_text, numbers_in, split_words, value_overlap
from es_recsys.values.times import epoch_seconds
from es_recsys.vector_fields import AS_KEYWORD, AS_LONG

__all__ = [
    "Column",
    "base_features",
    "clause_queries",
    "extract_features",
    "feature_fields",
    "feature_request",
    "light_features",
    "part_of",
    "reveals_rank",
]

Column = NDArray[np.float64]

_NUMERIC = frozenset({"double", "float", "long", "integer", "short", "byte"})
_AFFINITY_FIELDS = ("categories", "brand", "tags")
_ATTRIBUTE_ASPECTS = ("value", "rank", "in_query", "query_coverage", "contained")
_MAX_VALUES = 40


def part_of(name: str) -> str:
    """Return what an explanation calls a feature."""
    return name.rpartition("/")[0]


def reveals_rank(name: str) -> bool:
    """Return whether a feature is a candidate's rank by the weighted sum or a retriever, or follows from it.

    That is the rank that it was shown at, unless something reordered the answer.
    """
    part, _, aspect = name.rpartition("/")
    return part == "sum" or (aspect == "rank" and part != "price" and not part.startswith("attributes."))


def feature_request(request: Request, user: UserState, policy: RankingPolicy) -> FeatureRequest | None:
    """Return the features that need the second request: those of the learned ranking, all where the settings log them.

    In a window of a caller's hits only the base features are logged: what it found are no matches of our own clauses.
    """
    ranker, _ = ranker_of(request, user, policy)
    needed = None if ranker is None else ranker.feature_request
    if request.by_body or not (policy.logs_answers and policy.settings.log_features):
        return needed
    return FeatureRequest(WINDOW) if needed is None else replace(needed, names=None)


def clause_queries(request: Request, policy: RankingPolicy, features: FeatureRequest) -> list[Clause]:
    """Return the lexical clauses whose own scores are features, each under its name."""
    return [
        {"bool": {"must": [clause], "_name": name}}
        for name, clause in lexical_clauses(request.text, policy.text_matching).items()
        if name not in UNTUNED and features.wants(name, "bm25", "share")
    ]


def feature_fields(policy: RankingPolicy, features: FeatureRequest) -> list[str]:
    """Return the paths of the fields that are read besides those that a hit shows."""
    dated = ["created_at"] if features.wants("created_at", "age") else []
    return dated + [path for path in _attributes(policy) if features.wants(path, *_ATTRIBUTE_ASPECTS)]


def base_features(
    request: Request, user: UserState, policy: RankingPolicy, scored: ScoredCandidates, rows: Sequence[int]
) -> dict[str, Column]:
    """Return the features (n,) of `rows`, rows of `scored.order`, that need no further request."""
    products = [scored.table.products[row] for row in rows]
    return light_features(request, user, policy, scored, rows) | _behaviour_features(request, user, policy, products)


def light_features(
    request: Request, user: UserState, policy: RankingPolicy, scored: ScoredCandidates, rows: Sequence[int]
) -> dict[str, Column]:
    """Return the base features (n,) of `rows` without those of what behaviour says of item, user and pair, half of the work."""
    table, words = scored.table, split_words(request.text)
    sources = [scored.source(row) for row in rows]
    found = {**_retriever_features(policy, table, rows), **_sum_features(scored, rows)}
    found |= _query_features(request, user, policy, table, len(rows))
    if words.words:
        matches = [match_text(words, split_words(str(source.get("title", "")))) for source in sources]
        for aspect in dict.fromkeys(aspect for match in matches for aspect in match):
            found[f"title/{aspect}"] = np.array([match.get(aspect, math.nan) for match in matches])
    found["price/value"] = np.array([_number(source.get("price")) for source in sources])
    return found | _profile_features(request, user, sources, found["price/value"])


def extract_features(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    scored: ScoredCandidates,
    rows: Sequence[int],
    features: FeatureRequest,
) -> dict[str, Column]:
    """Return the base features (n,) of `rows` and those that are requested."""
    found = base_features(request, user, policy, scored, rows)
    sources = [scored.source(row) for row in rows]
    for name in dict.fromkeys(clause["bool"]["_name"] for clause in clause_queries(request, policy, features)):
        scores = np.array([float(scored.document(row).get("matched_queries", {}).get(name, 0.0)) for row in rows])
        best = float(scores.max(initial=0.0))
        found[f"{name}/bm25"] = scores
        found[f"{name}/share"] = scores / best if best > 0.0 else scores
    if features.wants("created_at", "age"):
        found["created_at/age"] = np.array([_age_days(source.get("created_at"), request.now) for source in sources])
    words = split_words(request.text)
    for path in _attributes(policy):
        if features.wants(path, *_ATTRIBUTE_ASPECTS):
            values = [_value_at(source, path) for source in sources]
            columns = _attribute_features(policy.metadata.fields[path], values, words, request.now)
            found |= {f"{path}/{aspect}": column for aspect, column in columns.items()}
    found["price/rank"] = _ranks(found["price/value"])
    return found


def _retriever_features(policy: RankingPolicy, table: CandidateTable, rows: Sequence[int]) -> dict[str, Column]:
    found: dict[str, Column] = {}
    row_idx = np.asarray(rows, np.int64)
    for column, result in enumerate(table.retrievers):
        name, scale = result.retriever.name, result.retriever.scale
        found[f"{name}/score"] = table.scores[row_idx, column]
        if scale == "best":
            found[f"{name}/raw"] = table.scores[row_idx, column] * result.best
        if result.contributes_candidates:
            # Within the ordinary depth, so that a page that searches deeper has the same features.
            last = len(result.scores) if scale == "list" else policy.settings.depth
            ranks = {item_id: float(rank) for rank, item_id in enumerate(list(result.scores)[:last], start=1)}
            found[f"{name}/rank"] = np.array([ranks.get(table.item_ids[row], math.nan) for row in rows])
    return found


def _sum_features(scored: ScoredCandidates, rows: Sequence[int]) -> dict[str, Column]:
    totals = np.array([scored.totals[row] for row in rows], np.float64)
    ranks = {row: float(rank) for rank, row in enumerate(scored.order, start=1)}
    best = scored.totals[scored.order[0]] if scored.order else 0.0
    return {"sum/score": totals, "sum/gap": best - totals, "sum/rank": np.array([ranks[row] for row in rows], np.float64)}


def _query_features(request: Request, user: UserState, policy: RankingPolicy, table: CandidateTable, n: int) -> dict[str, Column]:
    words = split_words(request.text)
    found = {"evidence": user.strength} if request.personalization > 0.0 and user.strength > 0.0 else {}
    if words.words:
        found |= {
            "words": float(len(words.words)),
            "letters": float(len(request.text)),
            "numbers": float(len(numbers_in(words))),
        }
    for result in table.retrievers:
        if result.retriever.name == LEXICAL:
            found["breadth"] = breadth(list(result.scores.values()), policy.settings.depth)
            found["best"] = result.best
    return {f"query/{aspect}": np.full(n, value) for aspect, value in found.items()}


def _profile_features(
    request: Request, user: UserState, sources: Sequence[Mapping[str, Any]], prices: Column
) -> dict[str, Column]:
    found: dict[str, Column] = {}
    if request.personalization <= 0.0:
        return found
    for field in _AFFINITY_FIELDS:
        shares = user.affinities.get(field)
        if shares:
            found[f"{field}/affinity"] = np.array([_affinity(source.get(field), shares) for source in sources])
    if user.price is not None:
        mean, spread = user.price
        found["price/distance"] = np.abs(np.log1p(prices) - mean) / max(spread, 0.1)
    return found


def _behaviour_features(request: Request, user: UserState, policy: RankingPolicy, item_ids: Sequence[str]) -> dict[str, Column]:
    if policy.item_features is None or not item_ids:
        return {}
    history = user.history if request.personalization > 0.0 else History()
    return policy.item_features.candidates(item_ids, history, request.now)


def _attribute_features(kind: str, values: Sequence[Any], words: Words, now: float) -> dict[str, Column]:
    if kind == "boolean":
        return {"value": np.array([_number(value) for value in values])}
    if kind in _NUMERIC:
        column = np.array([_number(value) for value in values])
        found = {"value": column, "rank": _ranks(column)}
        if wanted := numbers_in(words):
            found["in_query"] = np.array([float(value in wanted) for value in column.tolist()])
        return found
    if kind == "date":
        return {"value": -np.array([_age_days(value, now) for value in values])}
    if not words.words:
        return {}
    overlaps = [value_overlap(words, _texts(value)) for value in values]
    coverage = np.array([share for share, _ in overlaps])
    contained = np.array([whole for _, whole in overlaps])
    return {"query_coverage": coverage, "contained": contained}


def _attributes(policy: RankingPolicy) -> list[str]:
    """Return the paths of the attributes that features can be made of."""
    kinds = _NUMERIC | {"keyword", "boolean", "date"}
    fields = policy.metadata.fields.items()
    paths = ((path, kind) for path, kind in fields if not path.endswith((f".{AS_KEYWORD}", f".{AS_LONG}")))
    return sorted(path for path, kind in paths if path.startswith("attributes.") and kind in kinds)


def _ranks(column: Column) -> Column:
    """Return ranks from 1 for the largest, equal values sharing the best; NaN stays."""
    known = np.sort(column[~np.isnan(column)])
    ranks = len(known) - np.searchsorted(known, column, side="right") + 1.0
    return np.where(np.isnan(column), np.nan, ranks)


def _affinity(value: Any, shares: Mapping[str, float]) -> float:
    if value is None:
        return math.nan
    return math.fsum(shares.get(each, 0.0) for each in ([value] if isinstance(value, str) else value))


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    values = value if isinstance(value, list) else [value]
    return [each for each in values[:_MAX_VALUES] if isinstance(each, str)]


def _number(value: Any) -> float:
    if isinstance(value, list):
        value = value[0] if value else None
    return float(value) if isinstance(value, int | float) else math.nan


def _age_days(value: Any, now: float) -> float:
    """Return an age in days; NaN where there is no date."""
    return (now - epoch_seconds(value)) / 86_400.0


def _value_at(source: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path; attributes keep dots of their own in their names."""
    head, _, rest = path.partition(".")
    inner = source.get(head)
    return inner.get(rest) if isinstance(inner, Mapping) else None
