"""What a flow may ask of the outside. A flow is a generator: it yields effects and is sent their results.

The logic of an answer or a single write is so written once; `client` drives it synchronously, asynchronously, or many
flows side by side with their searches joined into one request.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from es_recsys.models.base import Model
    from es_recsys.types import History

__all__ = ["Call", "Delete", "Document", "Effect", "Fetch", "Flow", "Get", "Log", "Pause", "Put", "Search", "Top"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document with the version that a compare-and-set names."""

    source: Mapping[str, Any]
    seq_no: int
    primary_term: int


@dataclass(frozen=True, slots=True)
class Get:
    """Realtime read of one document. Result: `Document`, or None where there is none."""

    index: str
    id: str


@dataclass(frozen=True, slots=True)
class Search:
    """One `_msearch`. Result: one response a body, in order; a failed one has "error"."""

    index: str
    bodies: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Fetch:
    """Realtime read of parts of several documents. Result: id -> source, unknown ids left out.

    fields: which parts, vector fields among them.
    """

    index: str
    ids: tuple[str, ...]
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Put:
    """Writes one document if it is still the version read (`expected`), or still absent where that is None.
    Result: whether it was written."""

    index: str
    id: str
    source: Mapping[str, Any]
    expected: Document | None


@dataclass(frozen=True, slots=True)
class Delete:
    """Deletes one document. Result: whether it was there."""

    index: str
    id: str


@dataclass(frozen=True, slots=True)
class Top:
    """The best items of a model for a history, as `Model.weights` gives them; of many flows, one model is asked at once."""

    model: Model
    history: History
    n: int
    exclude: frozenset[str]


@dataclass(frozen=True, slots=True)
class Call:
    """A blocking call that is no Elasticsearch request: SQL, or an encoder. Result: what it returns."""

    function: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """Waits, seconds. Result: None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Log:
    """Appends to the answer log. Result: None."""

    record: Mapping[str, Any]


Effect = Get | Fetch | Search | Put | Delete | Top | Call | Pause | Log
Flow = Generator[Effect, Any, T]
