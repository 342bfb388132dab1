"""Sends one chunk of a bulk until every document in it is stored or has a reason why not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from elastic_transport import TlsError, TransportError
from elasticsearch import ApiError, Elasticsearch

from es_recsys.errors import BadResponse, WriteError
from es_recsys.index.actions import Line
from es_recsys.index.deadletters import Failure

__all__ = ["Interrupted", "Outcome", "Patience", "Sender", "Unsettled"]

_BUSY = frozenset({429, 502, 503, 504})
_SPLIT = frozenset({400, 413})
# Nobody knows whether the request was carried out: no answer came, or one from something in between.
_UNCERTAIN = frozenset({0, 502, 504})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for Elasticsearch, in seconds.

    A refused document is tried `attempts` times, after pauses that double from `first_s` to `longest_s`, each shortened
    by up to half at random. A write block (a full disk) is waited out for `block_s`, asking every `ask_s`.
    """

    attempts: int = 10
    first_s: float = 0.1
    longest_s: float = 15.0
    block_s: float = 1_800.0
    ask_s: float = 2.0
    request_s: float = 120.0


@dataclass(slots=True)
class Outcome:
    """What became of the documents of a chunk."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    missing: int = 0
    retried: int = 0
    failed: list[tuple[Line, Failure]] = field(default_factory=list)


class Unsettled(WriteError):
    """Elasticsearch takes nothing at all; `outcome` has the chunk's documents, the unsettled ones as failed."""

    def __init__(self, what: str, remedy: str, outcome: Outcome) -> None:
        super().__init__(what, remedy)
        self.outcome = outcome


class Interrupted(Exception):
    """The bulk was stopped while this chunk waited."""


class _Refused(Exception):
    """No document of the request can be written, now or later."""


@dataclass(frozen=True, slots=True)
class _Result:
    status: int
    type: str = ""
    reason: str = ""

    @property
    def blocked(self) -> bool:
        return self.type == "cluster_block_exception"


class Sender:
    """Posts chunks to one index; safe to use from several threads."""

    def __init__(
        self,
        client: Elasticsearch,
        index: str,
        patience: Patience,
        rng: np.random.Generator,
        on_pause: Callable[[str], None],
    ) -> None:
        # The transport's own retries come without a pause and resend what was stored already.
        self._client = client.options(max_retries=0, retry_on_timeout=False, request_timeout=patience.request_s)
        self._index = index
        self._patience = patience
        self._rng = rng
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._on_pause = on_pause

    def stop(self) -> None:
        """Chunks that wait give up at once."""
        self._stopped.set()

    def send(self, lines: Sequence[Line]) -> Outcome:
        """Raises Unsettled where Elasticsearch stays away, stays blocked or refuses the caller as such."""
        outcome, waiting, uncertain = Outcome(), list(lines), False
        attempt, blocked_since = 0, None
        while True:
            try:
                results = self._post(waiting)
            except _Refused as refused:
                self._fail([(line, _Result(0, "refused", str(refused))) for line in waiting], outcome)
                raise Unsettled(
                    f"Elasticsearch refuses to write to {self._index}: {refused}.",
                    "See that the address, the certificate and these credentials' rights are right.",
                    outcome,
                ) from refused
            again = self._settle(waiting, results, outcome, uncertain)
            if not again:
                return outcome
            uncertain = uncertain or any(result.status in _UNCERTAIN for _, result in again)
            waiting = [line for line, _ in again]
            last = next((result for _, result in again if result.blocked), again[0][1])
            if last.blocked:
                blocked_since = blocked_since or time.monotonic()
                self._wait_for_block(last, blocked_since, again, outcome)
                attempt = 0
                continue
            attempt, blocked_since = attempt + 1, None
            if attempt >= self._patience.attempts:
                self._give_up(again, outcome)
                return outcome
            outcome.retried += len(again)
            self._pause(self._delay(attempt))

    def _settle(
        self, lines: Sequence[Line], results: Sequence[_Result], outcome: Outcome, uncertain: bool
    ) -> list[tuple[Line, _Result]]:
        """Counts what is settled and returns what has to be sent again."""
        again = []
        for line, result in zip(lines, results, strict=True):
            if result.status == 201:
                outcome.created += 1
            elif result.status == 200:
                outcome.deleted += line.operation == "delete"
                outcome.updated += line.operation != "delete"
            elif result.blocked or result.status in _BUSY or result.status == 0:
                again.append((line, result))
            elif result.status == 404 and line.operation == "delete" and not result.type:
                outcome.missing += 1
            elif result.status == 409 and line.operation == "create" and uncertain:
                # The answer to the first request was lost: it is this very document that is there already.
                outcome.created += 1
            else:
                outcome.failed.append((line, _failure(line, result)))
        return again

    def _post(self, lines: Sequence[Line]) -> list[_Result]:
        """One result a line, whatever became of the request."""
        body = b"".join(part for line in lines for part in (line.header, line.body))
        try:
            answer = self._client.bulk(
                index=self._index,
                operations=[body],  # type: ignore[list-item]  # ready bytes; the serializer passes them on
                filter_path=["items.*.status", "items.*.error.type", "items.*.error.reason", "items.*.error.caused_by.reason"],
            )
        except ApiError as error:
            return self._refused(lines, error)
        except TlsError as error:
            raise _Refused(f"no trusted connection: {error.message}") from error
        except (TransportError, BadResponse) as error:
            return [_Result(0, "no_answer", f"no answer ({type(error).__name__})")] * len(lines)
        items = answer.get("items", [])
        if len(items) != len(lines):
            return [_Result(0, "no_answer", f"an answer for {len(items)} of {len(lines)} documents")] * len(lines)
        return [_result(next(iter(item.values()))) for item in items]

    def _refused(self, lines: Sequence[Line], error: ApiError) -> list[_Result]:
        """The request as a whole was refused: all wait, or it is halved until the one to blame stands alone."""
        result = _Result(error.meta.status, error.error or "", _whole_reason(error))
        if result.blocked or result.status in _BUSY:
            return [result] * len(lines)
        if result.status in _SPLIT:
            if len(lines) == 1:
                return [result]
            middle = len(lines) // 2
            return self._post(lines[:middle]) + self._post(lines[middle:])
        raise _Refused(f"HTTP {result.status} {result.type}: {result.reason}") from error

    def _wait_for_block(self, block: _Result, since: float, again: Sequence[tuple[Line, _Result]], outcome: Outcome) -> None:
        if time.monotonic() - since >= self._patience.block_s:
            self._fail(again, outcome)
            raise Unsettled(
                f"Elasticsearch has refused writes to {self._index} for {self._patience.block_s:.0f} s: {block.reason}",
                "Free disk space, or lift the index's block; then run this again: what is stored costs nothing.",
                outcome,
            )
        self._on_pause(f"{self._index} takes no writes ({block.reason}); waiting until the block is lifted")
        self._pause(self._patience.ask_s)

    def _give_up(self, again: Sequence[tuple[Line, _Result]], outcome: Outcome) -> None:
        self._fail(again, outcome)
        if all(result.status in _UNCERTAIN for _, result in again):
            raise Unsettled(
                f"Elasticsearch did not answer {self._patience.attempts} times in a row.",
                "See that it is up (es-recsys doctor); then run this again: what is stored costs nothing.",
                outcome,
            )

    def _fail(self, again: Sequence[tuple[Line, _Result]], outcome: Outcome) -> None:
        outcome.failed.extend((line, _failure(line, result)) for line, result in again)

    def _delay(self, attempt: int) -> float:
        with self._lock:
            share = float(self._rng.uniform(0.5, 1.0))
        return min(self._patience.longest_s, self._patience.first_s * 2.0 ** (attempt - 1)) * share

    def _pause(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise Interrupted


def _result(item: Any) -> _Result:
    error = item.get("error")
    if not error:
        return _Result(item["status"])
    reason = error.get("reason", "")
    cause = (error.get("caused_by") or {}).get("reason", "")
    return _Result(item["status"], error.get("type", ""), f"{reason} ({cause})" if cause and cause not in reason else reason)


def _whole_reason(error: ApiError) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    cause = body.get("error", {})
    return str(cause.get("reason", "")) if isinstance(cause, dict) else str(cause)


def _failure(line: Line, result: _Result) -> Failure:
    reason = result.reason
    if "Limit of total fields" in reason:
        reason += " Too many different attribute names: put rare ones into one attribute or a tag."
    return Failure(line.id, line.operation, result.status, result.type, reason)
