"""Sends one chunk of a bulk write until every document in it is stored or has a reason why not.

Why not `elasticsearch.helpers.streaming_bulk`: it neither halves a request that is too large for a proxy, nor waits for a
full disk, nor tells a document that was stored though the response was lost, nor keeps writes to one id in order.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from elastic_transport import TlsError, TransportError
from elasticsearch import ApiError, Elasticsearch

from es_recsys.errors import BadResponse, WriteError
from es_recsys.index.bulk_actions import EncodedAction
from es_recsys.index.dead_letters import WriteFailure
from es_recsys.index.stored_metadata import error_reason

__all__ = ["BulkAborted", "BulkInterrupted", "ChunkResult", "ChunkSender", "RetryPolicy"]

_log = logging.getLogger(__name__)

_BUSY = frozenset({429, 502, 503, 504})
_SPLIT = frozenset({400, 413})
# Nobody knows whether the request was carried out: no response came, or one from something in between.
_UNCERTAIN = frozenset({0, 502, 504})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to retry, in seconds.

    A refused document is tried `attempts` times, after pauses that double from `initial_delay_s` to `max_delay_s`, each
    shortened by up to half at random. A write block (a full disk) is waited out for `block_timeout_s`, with an attempt every
    `block_poll_s`. request_timeout_s: of one bulk request.
    """

    attempts: int = 10
    initial_delay_s: float = 0.1
    max_delay_s: float = 15.0
    block_timeout_s: float = 1_800.0
    block_poll_s: float = 2.0
    request_timeout_s: float = 120.0


@dataclass(slots=True)
class ChunkResult:
    """What became of the documents of a chunk."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    missing: int = 0
    retried: int = 0
    failed: list[tuple[EncodedAction, WriteFailure]] = field(default_factory=list)


class BulkAborted(WriteError):
    """Elasticsearch takes nothing at all; `result` has the chunk's documents, those not stored as failed."""

    def __init__(self, what: str, remedy: str, result: ChunkResult) -> None:
        super().__init__(what, remedy)
        self.result = result


class BulkInterrupted(Exception):
    """The bulk write was stopped while this chunk waited."""


class _RequestRefused(Exception):
    """No document of the request can be written, now or later."""


@dataclass(frozen=True, slots=True)
class _ItemResult:
    """What Elasticsearch says of one document; status 0 for no response."""

    status: int
    type: str = ""
    reason: str = ""

    @property
    def blocked(self) -> bool:
        return self.type == "cluster_block_exception"


_Unsettled = tuple[EncodedAction, _ItemResult]


class ChunkSender:
    """Posts chunks to one index; safe to use from several threads."""

    def __init__(
        self,
        client: Elasticsearch,
        index: str,
        retry: RetryPolicy,
        rng: np.random.Generator,
    ) -> None:
        # The transport's own retries come without a pause and resend what was stored already.
        self._client = client.options(max_retries=0, retry_on_timeout=False, request_timeout=retry.request_timeout_s)
        self._index = index
        self._retry = retry
        self._rng = rng
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Make chunks that wait raise BulkInterrupted at once."""
        self._stopped.set()

    def send(self, actions: Sequence[EncodedAction]) -> ChunkResult:
        """Send the actions until each is settled.

        Raises BulkAborted where Elasticsearch stays away, stays blocked or refuses the caller as such.
        """
        result, waiting, uncertain = ChunkResult(), list(actions), False
        attempt, blocked_since = 0, None
        while True:
            try:
                responses = self._post(waiting)
            except _RequestRefused as refused:
                self._fail([(action, _ItemResult(0, "refused", str(refused))) for action in waiting], result)
                raise BulkAborted(
                    f"Elasticsearch refuses to write to {self._index}: {refused}.",
                    "See that the address, the certificate and these credentials' rights are right.",
                    result,
                ) from refused
            again = self._settle(waiting, responses, result, uncertain)
            if not again:
                return result
            uncertain = uncertain or any(response.status in _UNCERTAIN for _, response in again)
            waiting = [action for action, _ in again]
            last = next((response for _, response in again if response.blocked), again[0][1])
            if last.blocked:
                if blocked_since is None:
                    blocked_since = time.monotonic()
                    _log.warning("%s takes no writes (%s); waiting until the block is lifted.", self._index, last.reason)
                self._wait_for_block(last, blocked_since, again, result)
                attempt = 0
                continue
            attempt, blocked_since = attempt + 1, None
            if attempt >= self._retry.attempts:
                self._give_up(again, result)
                return result
            result.retried += len(again)
            self._pause(self._delay(attempt))

    def _settle(
        self, actions: Sequence[EncodedAction], responses: Sequence[_ItemResult], result: ChunkResult, uncertain: bool
    ) -> list[_Unsettled]:
        """Count what is settled and return what has to be sent again."""
        again = []
        for action, response in zip(actions, responses, strict=True):
            if response.status == 201:
                result.created += 1
            elif response.status == 200:
                result.deleted += action.operation == "delete"
                result.updated += action.operation != "delete"
            elif response.blocked or response.status in _BUSY or response.status == 0:
                again.append((action, response))
            elif response.status == 404 and action.operation == "delete" and not response.type:
                result.missing += 1
            elif response.status == 409 and action.operation == "create" and uncertain:
                # The response to the first request was lost: it is this very document that is there already.
                result.created += 1
            else:
                result.failed.append((action, _failure(action, response)))
        return again

    def _post(self, actions: Sequence[EncodedAction]) -> list[_ItemResult]:
        """Return one result an action, whatever became of the request."""
        body = b"".join(part for action in actions for part in (action.header, action.body))
        try:
            response = self._client.bulk(
                index=self._index,
                operations=[body],  # type: ignore[list-item]  # ready bytes; the serializer passes them on
                filter_path=["items.*.status", "items.*.error.type", "items.*.error.reason", "items.*.error.caused_by.reason"],
            )
        except ApiError as error:
            return self._whole_refused(actions, error)
        except TlsError as error:
            raise _RequestRefused(f"no trusted connection: {error.message}") from error
        except (TransportError, BadResponse) as error:
            return [_ItemResult(0, "no_answer", f"no answer ({type(error).__name__})")] * len(actions)
        items = response.get("items", [])
        if len(items) != len(actions):
            return [_ItemResult(0, "no_answer", f"an answer for {len(items)} of {len(actions)} documents")] * len(actions)
        return [_item_result(next(iter(item.values()))) for item in items]

    def _whole_refused(self, actions: Sequence[EncodedAction], error: ApiError) -> list[_ItemResult]:
        """Make all wait where the request as a whole was refused, or halve it until the one to blame stands alone."""
        result = _ItemResult(error.meta.status, error.error or "", error_reason(error))
        if result.blocked or result.status in _BUSY:
            return [result] * len(actions)
        if result.status in _SPLIT:
            if len(actions) == 1:
                return [result]
            middle = len(actions) // 2
            return self._post(actions[:middle]) + self._post(actions[middle:])
        raise _RequestRefused(f"HTTP {result.status} {result.type}: {result.reason}") from error

    def _wait_for_block(self, block: _ItemResult, since: float, again: Sequence[_Unsettled], result: ChunkResult) -> None:
        if time.monotonic() - since >= self._retry.block_timeout_s:
            self._fail(again, result)
            raise BulkAborted(
                f"Elasticsearch has refused writes to {self._index} for {self._retry.block_timeout_s:.0f} s: {block.reason}",
                "Free disk space, or lift the index's block; then run this again: what is stored costs nothing.",
                result,
            )
        self._pause(self._retry.block_poll_s)

    def _give_up(self, again: Sequence[_Unsettled], result: ChunkResult) -> None:
        self._fail(again, result)
        if all(response.status in _UNCERTAIN for _, response in again):
            raise BulkAborted(
                f"Elasticsearch did not answer {self._retry.attempts} times in a row.",
                "See that it is up (es-recsys doctor); then run this again: what is stored costs nothing.",
                result,
            )

    def _fail(self, again: Sequence[_Unsettled], result: ChunkResult) -> None:
        result.failed.extend((action, _failure(action, response)) for action, response in again)

    def _delay(self, attempt: int) -> float:
        with self._lock:
            share = float(self._rng.uniform(0.5, 1.0))
        return min(self._retry.max_delay_s, self._retry.initial_delay_s * 2.0 ** (attempt - 1)) * share

    def _pause(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise BulkInterrupted


def _item_result(item: Any) -> _ItemResult:
    error = item.get("error")
    if not error:
        return _ItemResult(item["status"])
    reason = error.get("reason", "")
    cause = (error.get("caused_by") or {}).get("reason", "")
    return _ItemResult(item["status"], error.get("type", ""), f"{reason} ({cause})" if cause and cause not in reason else reason)


def _failure(action: EncodedAction, result: _ItemResult) -> WriteFailure:
    reason = result.reason
    if "Limit of total fields" in reason:
        reason += " Too many different attribute names: put rare ones into one attribute or a tag."
    return WriteFailure(action.id, action.operation, result.status, result.type, reason)
