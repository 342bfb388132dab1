"""Reads an index that isn't ours: its fields, a sample, and all documents as of one moment. Nothing is ever written to it.

All of it needs the privilege `read` on the index and no other. Requests are of a form that Elasticsearch 8 and 9 understand.
"""

from __future__ import annotations

import difflib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from elasticsearch import ApiError, Elasticsearch

from es_recsys.errors import EngineError, InputError

__all__ = ["FieldTypes", "SourceIndex", "cluster_id"]

_ACCEPT = "application/vnd.elasticsearch+json; compatible-with=8"
_HEADERS = {"accept": _ACCEPT, "content-type": _ACCEPT}
_MOST_SLICES = 4
_KEEP_ALIVE = "10m"
_BUSY_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
_SAMPLE = 100
_NO_CONTENT = frozenset({"dense_vector", "sparse_vector", "rank_vectors", "rank_features", "binary", "completion", "percolator"})
"""Types of fields that say nothing to people, and are not read."""

_CONTAINERS = frozenset({"object", "nested"})

OnPage = Callable[[list[dict[str, Any]]], None]


@dataclass(frozen=True, slots=True)
class FieldTypes:
    """Type of each field of an index by its dotted path. indices: what its name stands for."""

    types: Mapping[str, str]
    indices: tuple[str, ...]

    @property
    def leaves(self) -> dict[str, str]:
        """Fields with values of their own that are read, and their types; no other way to index one (`name.keyword`)."""
        kinds = ((path, kind) for path, kind in self.types.items() if kind not in _CONTAINERS | _NO_CONTENT)
        return {path: kind for path, kind in kinds if self.parent_field(path) is None}

    def code_field(self, path: str) -> str | None:
        """Return what a field's values are found by exactly: itself or its `.keyword`; None where nothing is."""
        return next((each for each in (path, f"{path}.keyword") if self.types.get(each) == "keyword"), None)

    @property
    def without_content(self) -> list[str]:
        """Fields that are not read: vectors and the like."""
        return [path for path, kind in self.types.items() if kind in _NO_CONTENT]

    def parent_field(self, path: str) -> str | None:
        """Return the field that `path` is another way to index (a multi-field); None where it has values of its own."""
        parent = path.rpartition(".")[0]
        while parent:
            kind = self.types.get(parent)
            if kind is not None and kind not in _CONTAINERS:
                return self.parent_field(parent) or parent
            parent = parent.rpartition(".")[0]
        return None

    def is_unindexed(self, path: str) -> bool:
        """Return whether a field may lie at `path` that the mapping doesn't list: in an object that isn't indexed by field."""
        parent = path.rpartition(".")[0]
        if not parent:
            return False
        kind = self.types.get(parent)
        if kind in _CONTAINERS and not any(name.startswith(f"{parent}.") for name in self.types):
            return True
        return kind == "flattened" or self.is_unindexed(parent)


class SourceIndex:
    """An index, alias, data stream or pattern to read from.

    client: of its cluster. Raises InputError where there is none of the name or a request is refused, EngineError where it may
    not be read; what the client raises for a lost connection passes through.
    """

    def __init__(self, client: Elasticsearch, name: str) -> None:
        self.name = name
        self._client = client.options(request_timeout=120.0)
        self._path = quote(name, safe=",*-")
        self.fields = self._field_types()

    def other(self, name: str) -> SourceIndex:
        """Return another index of the same cluster. Raises InputError where there is none."""
        return SourceIndex(self._client, name)

    def count(self, query: Mapping[str, Any] | None = None) -> int:
        """Return how many documents there are, or match."""
        return int(self._send("POST", f"/{self._path}/_count", {"query": query} if query else {})["count"])

    def sample(self, query: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return some documents as rows."""
        body = {"size": _SAMPLE, "query": query or {"match_all": {}}, **self._source(None)}
        return _rows(self._send("POST", f"/{self._path}/_search", body)["hits"]["hits"])

    def highest(self, field: str, query: Mapping[str, Any] | None = None) -> float | None:
        """Return the highest value of a field of dates (epoch milliseconds) or numbers; None where no document has one."""
        body = {"size": 0, "track_total_hits": False, "aggs": {"highest": {"max": {"field": field}}}}
        found = self._send("POST", f"/{self._path}/_search", {**body, "query": query} if query else body)
        value = found["aggregations"]["highest"]["value"]
        return None if value is None else float(value)

    def find(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the hits of one search."""
        return list(self._send("POST", f"/{self._path}/_search", {"track_total_hits": False, **body})["hits"]["hits"])

    def terms(self, field: str, size: int = 1_000) -> list[str]:
        """Return the most frequent values of a field of codes."""
        aggs = {"values": {"terms": {"field": field, "size": size}}}
        found = self._send("POST", f"/{self._path}/_search", {"size": 0, "track_total_hits": False, "aggs": aggs})
        return [str(bucket["key"]) for bucket in found["aggregations"]["values"]["buckets"]]

    def read(
        self,
        take: OnPage,
        query: Mapping[str, Any] | None = None,
        *,
        only: Sequence[str] | None = None,
        also: Sequence[str] = (),
        page: int = 500,
    ) -> None:
        """Hand all documents, as of this moment, to `take` in pages of rows, from several threads and in any order.

        A row is the document's source with `_id`. only: fields of the source, all unless given. also: fields that are no part of
        the source (aliases, runtime fields, constants), which the row has under their names. page: documents of one.

        The index is read in slices by a point in time each page of which starts after the one before. Memory is that of a page a
        slice.
        """
        stopped = threading.Event()
        body = {
            "size": page,
            "query": query or {"match_all": {}},
            "sort": ["_shard_doc"],
            "track_total_hits": False,
            **self._source(only),
            **({"fields": list(also)} if also else {}),
        }
        rows = partial(_rows, also=also)
        with self._point_in_time() as pit:
            slices = self._slices(pit)
            bodies = [body if slices == 1 else {**body, "slice": {"id": n, "max": slices}} for n in range(slices)]
            with ThreadPoolExecutor(slices) as pool:
                parts = [pool.submit(self._read_slice, pit, each, lambda hits: take(rows(hits)), stopped) for each in bodies]
                try:
                    for part in parts:
                        part.result()
                except BaseException:
                    stopped.set()
                    raise

    def _read_slice(self, pit: str, body: Mapping[str, Any], take: OnPage, stopped: threading.Event) -> None:
        after: dict[str, Any] = {}
        while not stopped.is_set():
            found = self._send("POST", "/_search", {**body, **after, "pit": {"id": pit, "keep_alive": _KEEP_ALIVE}})
            pit, hits = found.get("pit_id", pit), found["hits"]["hits"]
            if hits and "_source" not in hits[0] and body.get("_source") is not False:
                raise InputError(
                    f"The index {self.name} doesn't keep the source of its documents.", "Load them from where the index has them."
                )
            if hits:
                take(hits)
            if len(hits) < body["size"]:
                return
            after = {"search_after": hits[-1]["sort"]}

    def _slices(self, pit: str) -> int:
        """Return in how many parts the index is read: one a shard, up to a bound that spares its cluster."""
        body = {"size": 0, "track_total_hits": False, "pit": {"id": pit, "keep_alive": _KEEP_ALIVE}}
        return max(1, min(_MOST_SLICES, int(self._send("POST", "/_search", body)["_shards"]["total"])))

    @contextmanager
    def _point_in_time(self) -> Iterator[str]:
        pit = str(self._send("POST", f"/{self._path}/_pit?keep_alive={_KEEP_ALIVE}")["id"])
        try:
            yield pit
        finally:
            self._client.options(ignore_status=404).perform_request("DELETE", "/_pit", headers=_HEADERS, body={"id": pit})

    def _source(self, only: Sequence[str] | None) -> dict[str, Any]:
        if only is not None:
            return {"_source": list(only) or False}
        return {"_source": {"excludes": left_out}} if (left_out := self.fields.without_content) else {}

    def _field_types(self) -> FieldTypes:
        found = self._send("GET", f"/{self._path}/_field_caps?fields=*&filters=-metadata")
        if not found["indices"]:
            raise self._unknown()
        indices = found["indices"]
        return FieldTypes({path: next(iter(kinds)) for path, kinds in found["fields"].items()}, tuple(indices))

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the response's body. A cluster that is too busy is asked again, more and more slowly."""
        for pause in (*_BUSY_PAUSES_S, None):
            try:
                return self._client.perform_request(method, path, headers=_HEADERS, body=body).body
            except ApiError as error:
                if error.meta.status == 429 and pause is not None:
                    time.sleep(pause)
                    continue
                raise self._translated(error) from error
        raise AssertionError("unreachable")

    def _translated(self, error: ApiError) -> Exception:
        status, reason = error.meta.status, _reason(error)
        if status == 404 and "index_not_found" in reason:
            return self._unknown()
        if status == 404:
            return EngineError(f"The reading of {self.name} was cut off (404: {reason}).", "Start it again; nothing was written.")
        if status == 400:
            return InputError(f"The cluster of {self.name} refused the request: {reason}.", "Look at --query and --columns.")
        if status == 403:
            return EngineError(
                f"The index {self.name} may not be read with these credentials (403: {reason}).",
                "Give the key or user the privilege read on it.",
            )
        return error

    def _unknown(self) -> InputError:
        names = self._names()
        near = difflib.get_close_matches(self.name, names, n=3, cutoff=0.5)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        some = f"There are {', '.join(names[:20])}{' and others' if len(names) > 20 else ''}."
        remedy = some if names and not near else "Name an index, an alias, a data stream or a pattern that is there."
        return InputError(f"There is no index {self.name}.{meant}", remedy)

    def _names(self) -> list[str]:
        """Return what can be read there by name; nothing where that may not be known."""
        try:
            found = self._client.perform_request("GET", "/_resolve/index/*", headers=_HEADERS).body
        except ApiError:
            return []
        kinds = (found.get(kind, ()) for kind in ("aliases", "data_streams", "indices"))
        return [each["name"] for kind in kinds for each in kind]


def cluster_id(client: Elasticsearch) -> str:
    """Return what names the cluster of a client; "" where it isn't told to everybody."""
    try:
        return str(client.perform_request("GET", "/", headers=_HEADERS).body.get("cluster_uuid", ""))
    except ApiError:
        return ""


def _rows(hits: Sequence[Mapping[str, Any]], also: Sequence[str] = ()) -> list[dict[str, Any]]:
    rows = [{"_id": hit["_id"], **hit.get("_source", {})} for hit in hits]
    for name in also:
        for row, hit in zip(rows, hits, strict=True):
            if name not in row and (values := hit.get("fields", {}).get(name)):
                row[name] = values[0] if len(values) == 1 else values
    return rows


def _reason(error: ApiError) -> str:
    """Return the first cause that Elasticsearch gives, in one line; of what others wrote only that it is no JSON."""
    body = error.body
    found = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(found, Mapping):
        return str(found)[:200] if found else "no reason given"
    causes = found.get("root_cause") or [found]
    first = causes[0] if isinstance(causes[0], Mapping) else found
    return f"{first.get('type', 'error')}: {' '.join(str(first.get('reason', '')).split())[:300]}".rstrip(": ")
