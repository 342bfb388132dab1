"""Stores ready lists, which `recommend` serves: for the users of a batch, of some ids, or for all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from es_recsys.batching import batched
from es_recsys.errors import RecsysError
from es_recsys.events.actors import user_of
from es_recsys.index.ready_lists import map_ready_lists, write_ready_lists
from es_recsys.jobs.batch import answer_requests
from es_recsys.jobs.batch_requests import BatchRequest
from es_recsys.progress import Progress
from es_recsys.query import Answer, Query
from es_recsys.serving.batch_answers import BlocksFirst
from es_recsys.serving.ready_list_making import MadeList, can_make_by_block, check_servable, make_ready_list, make_ready_lists
from es_recsys.serving.workspace import Workspace

__all__ = ["ReadyListReport", "ReadyListWriter", "store_ready_lists"]

_BATCH = 256
_MAX_TRIES = 3


@dataclass(frozen=True, slots=True)
class ReadyListReport:
    """How many users got a ready list, and why others did not.

    unknown: nothing is stored of them, or a history was given in its place. degraded: a part of the answer failed. changed: their
    events came in faster than lists were made. failed: there was no answer, because of `first_error`.
    """

    stored: int = 0
    unknown: int = 0
    degraded: int = 0
    changed: int = 0
    failed: int = 0
    first_error: str = ""


class ReadyListWriter:
    """Answers queries as `Client.execute_many` does, and stores the lists that they are taken from. Raises what no list can pass.

    report: the counts so far.
    """

    def __init__(self, work: Workspace) -> None:
        self.report = ReadyListReport()
        self._work = work
        self._making = BlocksFirst(work, can_make_by_block, make_ready_lists, make_ready_list)
        with work.translating_errors():
            snapshot = work.snapshots.latest()
            check_servable(snapshot)
            map_ready_lists(work.job_es, snapshot.metadata.profiles)

    def execute_many(self, queries: Iterable[Query]) -> Iterator[Answer | RecsysError]:
        """Yield the answers in the order of the queries, each after its list is stored. Raises WriteError, IndexStateError."""
        for batch in batched(queries, _BATCH):
            yield from self._execute(batch)

    def _execute(self, queries: Sequence[Query]) -> list[Answer | RecsysError]:
        results: dict[int, MadeList | RecsysError] = {}
        pending = list(range(len(queries)))
        for _ in range(_MAX_TRIES):
            found = self._making.run([queries[number] for number in pending])
            results.update(zip(pending, found, strict=True))
            changed = self._write([made for number in pending if isinstance(made := results[number], MadeList)])
            # Events came in between; of a user who was erased the next making finds nothing.
            pending = [number for number in pending if _has_list(results[number], changed)]
            if not pending:
                break
        self._count(results.values(), changed=len(pending))
        return [found.answer if isinstance(found, MadeList) else found for _, found in sorted(results.items())]

    def _write(self, made: Sequence[MadeList]) -> frozenset[str]:
        """Store the lists and return the keys of profiles that changed meanwhile."""
        by_index = defaultdict(list)
        for one in made:
            if one.document is not None and one.stored is not None:
                by_index[one.index].append((one.key, (one.stored.seq_no, one.stored.primary_term), one.document))
        changed: frozenset[str] = frozenset()
        for index, lists in by_index.items():
            with self._work.translating_errors():
                changed |= write_ready_lists(self._work.job_es, index, lists)
        return changed

    def _count(self, results: Iterable[MadeList | RecsysError], changed: int) -> None:
        report = self.report
        for found in results:
            if isinstance(found, RecsysError):
                report = replace(report, failed=report.failed + 1, first_error=report.first_error or str(found))
            elif found.document is not None:
                report = replace(report, stored=report.stored + 1)
            elif found.stored is None:
                report = replace(report, unknown=report.unknown + 1)
            else:
                report = replace(report, degraded=report.degraded + 1)
        self.report = replace(report, stored=report.stored - changed, changed=report.changed + changed)


def store_ready_lists(
    work: Workspace, user_ids: Iterable[str] | None = None, progress: Progress | None = None
) -> ReadyListReport:
    """Store the ready lists of users, of all that have events where none are named. Raises EngineError, KeyMismatch."""
    ids = _all_users(work) if user_ids is None else user_ids
    writer = ReadyListWriter(work)
    answer_requests(writer.execute_many, (BatchRequest({}, Query(user_id=user_id)) for user_id in ids), progress)
    return writer.report


def _all_users(work: Workspace) -> Iterator[str]:
    return (user_id for actor in work.events.actors() if (user_id := user_of(actor)) is not None)


def _has_list(found: MadeList | RecsysError, keys: Collection[str]) -> bool:
    return isinstance(found, MadeList) and found.document is not None and found.key in keys
