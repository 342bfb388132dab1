"""I/O operations: what a flow may ask of the outside.

A flow is a generator. It yields operations and is sent their results, so that the logic of an answer or a write stands once;
`drivers` runs it, in a thread or in an event loop, and `joined_flows` many side by side.
An operation says here, once for all drivers, which requests to Elasticsearch it is and how their responses are read.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import numpy as np
from elasticsearch import ApiError, ConflictError, NotFoundError
from numpy.typing import NDArray

from es_recsys.blas import on_one_thread
from es_recsys.dataset import History
from es_recsys.errors import IndexStateError
from es_recsys.index_metadata import IndexMetadata
from es_recsys.models.base import Model
from es_recsys.serving.query_encoder import QueryEncoder

__all__ = [
    "IDS_PER_REQUEST",
    "CompareAndSet",
    "Delete",
    "Document",
    "EncodeQuery",
    "Flow",
    "Get",
    "GetAndSearch",
    "GetLive",
    "LogAnswer",
    "MultiGet",
    "MultiSearch",
    "Operation",
    "Pair",
    "Recommend",
    "Request",
    "RunBlocking",
    "Search",
    "Sleep",
    "Step",
    "Steps",
    "VersionChanged",
]

T = TypeVar("T")

IDS_PER_REQUEST = 500
_CONCURRENT_SEARCHES = 8
# A model of so many items recommends in a millisecond or two: less than what a thread costs an event loop under load.
_QUICK_ITEMS = 50_000
_JSON, _NDJSON = (f"application/vnd.elasticsearch+{kind}; compatible-with=9" for kind in ("json", "x-ndjson"))


@dataclass(frozen=True, slots=True)
class Request:
    """A method of the Elasticsearch client, by name, and its arguments."""

    method: str
    arguments: Mapping[str, Any]


def _not_known() -> None:
    """Return that a call has to be waited for."""


@dataclass(frozen=True, slots=True)
class RunBlocking:
    """A call that may block and is no request to Elasticsearch: SQL, or an encoder. Result: what it returns.

    known: returns the same where nobody has to wait for it, else None; it is called first.
    """

    function: Callable[[], Any]
    known: Callable[[], Any] = _not_known

    def steps(self) -> Steps[Any]:
        return (yield self)


@dataclass(frozen=True, slots=True)
class EncodeQuery:
    """A query's text, picture or sound as the vector of a field. Result: (d,) float32.

    Texts of flows that run side by side are encoded together.
    """

    encoder: QueryEncoder
    metadata: IndexMetadata
    field: str
    content: str | bytes

    def steps(self) -> Steps[NDArray[np.float32]]:
        asked = self.metadata, self.field, self.content
        encode = RunBlocking(partial(self.encoder.vector, *asked), partial(self.encoder.known_vector, *asked))
        return (yield encode)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait, seconds. Result: None."""

    seconds: float

    def steps(self) -> Steps[None]:
        yield self


@dataclass(frozen=True, slots=True)
class LogAnswer:
    """A record for the answer log. Result: None."""

    record: Mapping[str, Any]

    def steps(self) -> Steps[None]:
        yield self


def _plain_request(method: str, path: str, *, params: Mapping[str, Any], body: Any = None, content_type: str = _JSON) -> Request:
    """Return a request that the client sends as it is: its own method would check and rename the arguments of each call."""
    headers = {"accept": _JSON} if body is None else {"accept": _JSON, "content-type": content_type}
    return Request("perform_request", {"method": method, "path": path, "params": params, "headers": headers, "body": body})


@dataclass(frozen=True, slots=True)
class Pair:
    """Two requests at the same time. Result: the response, or the error, of each."""

    first: Request
    second: Request


Step = Request | Pair | RunBlocking | Sleep | LogAnswer
Steps = Generator[Step, Any, T]
"""What an operation comes down to: the only things that a driver itself can do."""


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document with the version that a compare-and-set names."""

    source: Mapping[str, Any]
    seq_no: int
    primary_term: int

    @classmethod
    def of(cls, response: Any) -> Document | None:
        """Return the document of a response of `_get` or `_mget`, None where there is none."""
        if not response.get("found"):
            return None
        return cls(response.get("_source", {}), response["_seq_no"], response["_primary_term"])

    def is_still(self, found: Document | None) -> bool:
        """Return whether another one is the same write."""
        return found is not None and (found.primary_term, found.seq_no) == (self.primary_term, self.seq_no)


@dataclass(frozen=True, slots=True)
class Get:
    """Realtime read of one document. Result: `Document`, or None where there is none.

    source: whether its fields are read, too, and not its version alone.
    """

    index: str
    id: str
    source: bool = True

    def steps(self) -> Steps[Document | None]:
        params = {} if self.source else {"_source": "false"}
        try:
            response = yield _plain_request("GET", f"/{self.index}/_doc/{quote(self.id, safe='')}", params=params)
        except NotFoundError as error:
            _raise_if_index_missing(error)
            return None
        return Document.of(response.body)


class VersionChanged(IndexStateError):
    """Another version went live than the one that a flow began with; with that one it is to begin again."""

    def __init__(self) -> None:
        super().__init__("Another version of the store went live meanwhile.", "Do the same again.")


@dataclass(frozen=True, slots=True)
class GetLive:
    """Realtime read of one document of an index that is to be live. Result: `Document`, or None where there is none.

    alias: of the live index. Raises VersionChanged where it names another one.
    """

    alias: str
    index: str
    id: str

    def steps(self) -> Steps[Document | None]:
        try:
            response = yield _plain_request("GET", f"/{self.alias}/_doc/{quote(self.id, safe='')}", params={})
            body = response.body
        except NotFoundError as error:
            _raise_if_index_missing(error)
            body = error.body
        if body["_index"] != self.index:
            raise VersionChanged
        return Document.of(body)


@dataclass(frozen=True, slots=True)
class MultiGet:
    """Realtime read of parts of several documents. Result: id -> source, unknown ids left out.

    fields: which parts, vector fields among them.
    """

    index: str
    ids: tuple[str, ...]
    fields: tuple[str, ...]

    def steps(self) -> Steps[dict[str, Any]]:
        sources: dict[str, Any] = {}
        for start in range(0, len(self.ids), IDS_PER_REQUEST):
            response = yield _plain_request(
                "POST",
                f"/{self.index}/_mget",
                params={"_source_includes": ",".join(self.fields), "_source_exclude_vectors": "false"},
                body={"ids": list(self.ids[start : start + IDS_PER_REQUEST])},
            )
            sources.update((doc["_id"], doc["_source"]) for doc in response.body["docs"] if doc.get("found"))
        return sources


@dataclass(frozen=True, slots=True)
class MultiSearch:
    """Several searches in one `_msearch`. Result: one response a body, in order; a failed one has "error".

    bodies: bytes are a body as JSON.
    """

    index: str
    bodies: tuple[Mapping[str, Any] | bytes, ...]

    def steps(self) -> Steps[list[Any]]:
        response = yield _plain_request(
            "POST",
            f"/{self.index}/_msearch",
            params={"max_concurrent_searches": _CONCURRENT_SEARCHES, "include_named_queries_score": True},
            # A header may name the index of its own body; here all have the request's.
            body=[line for body in self.bodies for line in ({}, body)],
            content_type=_NDJSON,
        )
        return response.body["responses"]  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Search:
    """One search with a body that is sent as it is. Result: the response's body.

    documents: whether it reads documents by their ids. headers: beside or in place of the client's own. parameters: of the URL.
    """

    index: str
    body: Mapping[str, Any]
    documents: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict)

    def steps(self) -> Steps[Mapping[str, Any]]:
        path = f"/{quote(self.index, safe=',*-')}/_search"
        request = _plain_request("POST", path, params=self.parameters, body=self.body)
        request.arguments["headers"].update(self.headers)
        response = yield request
        return response.body  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class GetAndSearch:
    """A read and searches at the same time. Result: those of both. The error of the searches goes before that of the read."""

    read: Get
    search: MultiSearch | Search

    def steps(self) -> Steps[tuple[Document | None, Any]]:
        read: Steps[Document | None] = self.read.steps()
        search: Steps[Any] = self.search.steps()
        first, second = next(read), next(search)
        assert isinstance(first, Request) and isinstance(second, Request)
        document, responses = yield Pair(first, second)
        found = _end(search, responses)
        return _end(read, document), found


@dataclass(frozen=True, slots=True)
class CompareAndSet:
    """Write of one document if it is still the version read (`expected`), or still absent where that is None.

    Result: the document as it was written, None where it was not.
    """

    index: str
    id: str
    source: Mapping[str, Any]
    expected: Document | None

    def steps(self) -> Steps[Document | None]:
        condition: dict[str, Any] = {"op_type": "create"}
        if self.expected is not None:
            condition = {"if_seq_no": self.expected.seq_no, "if_primary_term": self.expected.primary_term}
        try:
            path = f"/{self.index}/_doc/{quote(self.id, safe='')}"
            response = yield _plain_request("PUT", path, params=condition, body=self.source)
        except ConflictError:
            return None
        return Document(self.source, response.body["_seq_no"], response.body["_primary_term"])


@dataclass(frozen=True, slots=True)
class Delete:
    """Deletion of one document. Result: whether it was there."""

    index: str
    id: str

    def steps(self) -> Steps[bool]:
        try:
            yield Request("delete", {"index": self.index, "id": self.id})
        except NotFoundError as error:
            _raise_if_index_missing(error)
            return False
        return True


@dataclass(frozen=True, slots=True)
class Recommend:
    """The best items of a model for a history, as `Model.recommend` gives them.

    Flows that run side by side are answered by one call of the model.
    """

    model: Model
    history: History
    n: int
    exclude: frozenset[str]

    def steps(self) -> Steps[list[tuple[str, float]]]:
        recommend = partial(self.model.recommend, self.history, self.n, self.exclude)
        if len(self.model.item_ids) <= _QUICK_ITEMS:
            return recommend()
        return (yield RunBlocking(partial(on_one_thread, recommend)))  # type: ignore[no-any-return]


Operation = (
    Get
    | GetLive
    | GetAndSearch
    | MultiGet
    | MultiSearch
    | Search
    | CompareAndSet
    | Delete
    | Recommend
    | EncodeQuery
    | RunBlocking
    | Sleep
    | LogAnswer
)
Flow = Generator[Operation, Any, T]


def _end(steps: Steps[T], outcome: Any) -> T:
    """Return the value of an operation of one request, whose outcome is a response or an error."""
    try:
        steps.throw(outcome) if isinstance(outcome, Exception) else steps.send(outcome)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise RuntimeError("an operation beside another takes one request")


def _raise_if_index_missing(error: ApiError) -> None:
    """Raise the error where the index is missing: that is an error, a missing document an answer."""
    if isinstance(error.body, dict) and "error" in error.body:
        raise error
