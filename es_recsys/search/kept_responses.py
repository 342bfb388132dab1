"""What Elasticsearch answered to the same bodies before, while nothing is written.

Each write gets the next number, so how many items an index shows and the largest number of their writes tell two states of it
apart: a stamp, as an ETag is one of a page. It is a search without hits that Elasticsearch answers from its request cache. While
the stamp is the same, a full search would find what it found, and need not be asked again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson

from es_recsys.recent_cache import RecentCache
from es_recsys.search.query_dsl import Body, Response, hits_of, is_partial, item_ids_of, total_of
from es_recsys.search.request import RankingPolicy, Request, retrieval_depth
from es_recsys.search.retrieval_plan import RetrievalPlan
from es_recsys.search.word_matches import WordMatches

__all__ = ["MAX_EXCLUDED", "STAMP", "KeptResponses", "Stamp", "kept_key", "stamp_of", "without_excluded"]

STAMP: Body = {
    "size": 0,
    "track_total_hits": True,
    "query": {"match_all": {}},
    "aggs": {"last_write": {"max": {"field": "_seq_no"}}},
}
"""The body whose response tells the stamp."""

Stamp = tuple[int, float | None]
"""Items that an index shows, and the largest number of their writes."""

MAX_EXCLUDED = 50
"""With more items that are left out for a user, the bodies say so themselves; with fewer, all users share the responses."""

# Of some 200 hits each, 50 KB.
_MOST = 500
_READ = ("_id", "_score", "_seq_no")


def kept_key(request: Request, policy: RankingPolicy, plan: RetrievalPlan) -> bytes | None:
    """Return what tells the searches of a plan from others; None where no stamp would do for them.

    Several shards number their writes each for itself. Deep pages are seldom asked for twice, and are large.
    """
    forward = policy.forward
    if plan.joined is None or forward is None or len(forward.state.checkpoints) != 1 or policy.has_variants:
        return None
    if retrieval_depth(request, policy) > policy.settings.depth:
        return None
    return orjson.dumps([policy.metadata.index, *plan.bodies], option=orjson.OPT_SERIALIZE_NUMPY)


def stamp_of(response: Response) -> Stamp | None:
    """Read the response to STAMP; None where it failed."""
    if "error" in response or is_partial(response):
        return None
    return total_of(response), response["aggregations"]["last_write"]["value"]


def without_excluded(
    responses: Sequence[Response], request: Request, policy: RankingPolicy, matches: WordMatches | None
) -> list[Response] | None:
    """Return the responses to bodies that leave nothing out as those that leave out what the request excludes; else None.

    Where no hit is excluded, only the number of matches differs, which `matches` tell.
    """
    if not all(request.exclude.isdisjoint(item_ids_of(hits_of(response))) for response in responses):
        return None
    first = responses[0]
    total = first["hits"]["total"]
    excluded = 0
    if total["value"] > len(hits_of(first)):
        if matches is None or not matches.complete or policy.forward is None:
            return None
        excluded = int(np.isin(policy.forward.rows(list(request.exclude)), matches.rows).sum())
    return [{**first, "hits": {**first["hits"], "total": {**total, "value": total["value"] - excluded}}}, *responses[1:]]


class KeptResponses:
    """The responses to the last searches of a process. Thread-safe."""

    def __init__(self) -> None:
        self._kept: RecentCache[bytes, tuple[Stamp, list[Response]]] = RecentCache(_MOST)
        self._stamps: RecentCache[str, Stamp] = RecentCache(4)

    def stamp(self, index: str) -> Stamp | None:
        """Return the last stamp that was seen."""
        return self._stamps.get(index)

    def saw(self, index: str, stamp: Stamp | None) -> None:
        """Remember the stamp of a response."""
        if stamp is not None:
            self._stamps.store(index, stamp)

    def get(self, key: bytes) -> tuple[Stamp, list[Response]] | None:
        """Return the responses to the bodies of a key, and the stamp that they are of."""
        return self._kept.get(key)

    def store(self, key: bytes, stamp: Stamp, responses: Sequence[Response]) -> None:
        """Keep the responses to the bodies of a key, unless one failed.

        stamp: seen before these bodies were sent, and again beside their responses, so that no write came between.
        """
        if not any("error" in response or is_partial(response) for response in responses):
            self._kept.store(key, (stamp, [_slim(response) for response in responses]))


def _slim(response: Response) -> Response:
    """Return a response whose hits have what is read of them alone."""
    hits = [{name: hit[name] for name in _READ if name in hit} for hit in hits_of(response)]
    return {**response, "hits": {**response["hits"], "hits": hits}}
