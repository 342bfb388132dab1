"""What a learned ranking reads of the candidates of an answer: one column of numbers a signal, NaN where it is not known.

A signal's name is `part/aspect`; its part (a leg, a clause, a field of the item, "query" for what is the same for all
candidates, "sum" for the weighted sum; "item", "user" and "pair" for what behaviour says of them, see `features`) is what an
explanation names.

At hand in every answer, so every answer logs them: the legs' scores, raw scores and ranks, the weighted sum, the title's
likeness to the question (`wording`), price, how the item meets the profile, and the features of item, user and pair. With
a `Reading` for which more was asked: each lexical clause's own BM25, and the item's age and attributes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.context import Context
from es_recsys.search.filters import Clause
from es_recsys.search.fusion import Table
from es_recsys.search.lexical import FALLBACKS, lexical_clauses
from es_recsys.search.weights import breadth
from es_recsys.search.wording import Wording, compare, numbers, said, wording
from es_recsys.types import History
from es_recsys.vector_fields import AS_KEYWORD, AS_LONG

__all__ = ["Column", "Reading", "at_hand", "named_clauses", "part_of", "signals", "source_fields", "tells_place"]

Column = NDArray[np.float64]
Sources = Sequence[Mapping[str, Any]]

_NUMBERS = frozenset({"double", "float", "long", "integer", "short", "byte"})
_AFFINE = ("categories", "brand", "tags")
_LONGEST_LIST = 40


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of an answer's candidates. window: of how many of the best by weighted sum. names: the signals wanted
    of those that are not at hand; None for all."""

    window: int
    names: frozenset[str] | None = None

    def wants(self, part: str, *aspects: str) -> bool:
        return self.names is None or any(f"{part}/{aspect}" in self.names for aspect in aspects)


def part_of(name: str) -> str:
    """What an explanation calls a signal."""
    return name.rpartition("/")[0]


def tells_place(name: str) -> bool:
    """Whether a signal is the place that a candidate has by the weighted sum or a leg, or follows from it: where it was shown,
    unless something put the answer into another order."""
    part, _, aspect = name.rpartition("/")
    return part == "sum" or (aspect == "rank" and part != "price" and not part.startswith("attributes."))


def named_clauses(context: Context, reading: Reading) -> list[Clause]:
    """The lexical clauses whose own scores are read, each under its name."""
    wanted = {
        name: clause
        for name, clause in lexical_clauses(context.text).items()
        if name not in FALLBACKS and reading.wants(name, "bm25", "share")
    }
    return [{"bool": {"must": [clause], "_name": name}} for name, clause in wanted.items()]


def source_fields(context: Context, reading: Reading) -> list[str]:
    """Paths of the fields that are read besides what is shown."""
    dated = ["created_at"] if reading.wants("created_at", "age") else []
    aspects = ("value", "rank", "asked", "said", "whole")
    return dated + [path for path in _attributes(context) if reading.wants(path, *aspects)]


def at_hand(
    context: Context, table: Table, rows: Sequence[int], best: Sequence[int], totals: Sequence[float], sources: Sources
) -> dict[str, Column]:
    """The signals (n,) of `rows` that need no further request. totals: weighted sum of every row of `table`; best: all
    contenders, best first by it, `rows` being some of them. sources: documents of the rows."""
    asked = wording(context.text)
    found = {**_of_legs(context, table, rows), **_of_sum(rows, best, totals)}
    found |= _of_query(context, table, len(rows))
    if asked.words:
        likenesses = [compare(asked, wording(str(source.get("title", "")))) for source in sources]
        for aspect in dict.fromkeys(aspect for likeness in likenesses for aspect in likeness):
            found[f"title/{aspect}"] = np.array([likeness.get(aspect, math.nan) for likeness in likenesses])
    found["price/value"] = np.array([_number(source.get("price")) for source in sources])
    found |= _of_profile(context, sources, found["price/value"])
    return found | _of_behaviour(context, [table.products[row] for row in rows])


def signals(
    context: Context,
    table: Table,
    rows: Sequence[int],
    best: Sequence[int],
    totals: Sequence[float],
    sources: Sources,
    clauses: Sequence[Mapping[str, float]],
    reading: Reading,
) -> dict[str, Column]:
    """The signals (n,) of a whole window: all that are at hand, and the others that the reading wants. clauses: of each row,
    clause -> score."""
    found = at_hand(context, table, rows, best, totals, sources)
    for name in dict.fromkeys(clause["bool"]["_name"] for clause in named_clauses(context, reading)):
        scores = np.array([float(each.get(name, 0.0)) for each in clauses])
        most = float(scores.max(initial=0.0))
        found[f"{name}/bm25"] = scores
        found[f"{name}/share"] = scores / most if most > 0.0 else scores
    if reading.wants("created_at", "age"):
        found["created_at/age"] = np.array([_age(source.get("created_at"), context.now) for source in sources])
    asked = wording(context.text)
    for path in _attributes(context):
        if reading.wants(path, "value", "rank", "asked", "said", "whole"):
            values = [_at(source, path) for source in sources]
            found |= {f"{path}/{aspect}": column for aspect, column in _of_attribute(context, path, values, asked).items()}
    found["price/rank"] = _ranks(found["price/value"])
    return found


def _of_legs(context: Context, table: Table, rows: Sequence[int]) -> dict[str, Column]:
    found: dict[str, Column] = {}
    places = np.asarray(rows, np.int64)
    for column, heard in enumerate(table.legs):
        name = heard.leg.name
        found[f"{name}/score"] = table.scores[places, column]
        if heard.leg.scale == "best":
            found[f"{name}/raw"] = table.scores[places, column] * heard.best
        if heard.brings:
            # Within the ordinary depth, so that a page that looks deeper reads the same.
            last = len(heard.scores) if heard.leg.scale == "list" else context.settings.depth
            ranks = {item_id: float(rank) for rank, item_id in enumerate(list(heard.scores)[:last], start=1)}
            found[f"{name}/rank"] = np.array([ranks.get(table.item_ids[row], math.nan) for row in rows])
    return found


def _of_sum(rows: Sequence[int], best: Sequence[int], totals: Sequence[float]) -> dict[str, Column]:
    mine = np.array([totals[row] for row in rows], np.float64)
    ranks = {row: float(rank) for rank, row in enumerate(best, start=1)}
    most = totals[best[0]] if best else 0.0
    return {"sum/score": mine, "sum/gap": most - mine, "sum/rank": np.array([ranks[row] for row in rows], np.float64)}


def _of_query(context: Context, table: Table, n: int) -> dict[str, Column]:
    asked = wording(context.text)
    found = {"evidence": context.strength} if context.personalization > 0.0 and context.strength > 0.0 else {}
    if asked.words:
        found |= {"words": float(len(asked.words)), "letters": float(len(context.text)), "numbers": float(len(numbers(asked)))}
    for heard in table.legs:
        if heard.leg.name == "lexical":
            found["breadth"] = breadth(list(heard.scores.values()), context.settings.depth)
            found["best"] = heard.best
    return {f"query/{aspect}": np.full(n, value) for aspect, value in found.items()}


def _of_profile(context: Context, sources: Sources, prices: Column) -> dict[str, Column]:
    found: dict[str, Column] = {}
    if context.personalization <= 0.0:
        return found
    for field in _AFFINE:
        shares = context.affinities.get(field)
        if shares:
            found[f"{field}/affinity"] = np.array([_share(source.get(field), shares) for source in sources])
    if context.price is not None:
        middle, spread = context.price
        found["price/distance"] = np.abs(np.log1p(prices) - middle) / max(spread, 0.1)
    return found


def _of_behaviour(context: Context, item_ids: Sequence[str]) -> dict[str, Column]:
    if context.item_side is None or not item_ids:
        return {}
    return context.item_side.candidates(item_ids, context.history if context.personalization > 0.0 else History(), context.now)


def _of_attribute(context: Context, path: str, values: Sequence[Any], asked: Wording) -> dict[str, Column]:
    kind = context.metadata.fields[path]
    if kind in _NUMBERS or kind == "boolean":
        column = np.array([_number(value) for value in values])
        wanted = numbers(asked)
        found = {"value": column, "rank": _ranks(column)} if kind != "boolean" else {"value": column}
        if wanted and kind != "boolean":
            found["asked"] = np.array([float(value in wanted) for value in column.tolist()])
        return found
    if kind == "date":
        return {"value": -np.array([_age(value, context.now) for value in values])}
    if not asked.words:
        return {}
    pairs = [said(asked, _texts(value)) for value in values]
    return {"said": np.array([share for share, _ in pairs]), "whole": np.array([whole for _, whole in pairs])}


def _attributes(context: Context) -> list[str]:
    kinds = _NUMBERS | {"keyword", "boolean", "date"}
    paths = (
        (path, kind) for path, kind in context.metadata.fields.items() if not path.endswith((f".{AS_KEYWORD}", f".{AS_LONG}"))
    )
    return sorted(path for path, kind in paths if path.startswith("attributes.") and kind in kinds)


def _ranks(column: Column) -> Column:
    """Rank from 1 for the largest, equal ones sharing the best; NaN stays."""
    known = np.sort(column[~np.isnan(column)])
    ranks = len(known) - np.searchsorted(known, column, side="right") + 1.0
    return np.where(np.isnan(column), np.nan, ranks)


def _share(value: Any, shares: Mapping[str, float]) -> float:
    if value is None:
        return math.nan
    return math.fsum(shares.get(each, 0.0) for each in ([value] if isinstance(value, str) else value))


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    values = value if isinstance(value, list) else [value]
    return [each for each in values[:_LONGEST_LIST] if isinstance(each, str)]


def _number(value: Any) -> float:
    if isinstance(value, list):
        value = value[0] if value else None
    return float(value) if isinstance(value, int | float) else math.nan


def _age(value: Any, now: float) -> float:
    """Days; NaN where there is no date."""
    try:
        moment = value / 1_000.0 if isinstance(value, int | float) else datetime.fromisoformat(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return (now - moment) / 86_400.0


def _at(source: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; attributes keep dots of their own in their names."""
    head, _, rest = path.partition(".")
    inner = source.get(head)
    return inner.get(rest) if isinstance(inner, Mapping) else None
