"""The answer log: what was shown to whom, by which retriever, at which position. One JSON line an answer, files by day.

Learning to rank, experiments and reports read it. It holds user keys, never user ids. It never costs an answer: what can't be
written is left out, and said once. It has a size that it doesn't outgrow.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from os import SEEK_END
from pathlib import Path
from typing import Any

import orjson

from es_recsys.private import make_folder, private_opener
from es_recsys.query import Answer, Hit, Query
from es_recsys.renamed import RETRIEVERS, current_feature, current_keys
from es_recsys.serving.snapshot import ServingSnapshot

__all__ = ["MAX_BYTES", "AnswerLog", "LoggedFeatures", "answer_record", "logged_features"]

_log = logging.getLogger(__name__)

MAX_BYTES = 4 << 30
"""Bytes of a log at most, unless told otherwise."""

LoggedFeatures = Mapping[str, float | list[float | None] | None]
"""Feature -> its value for each hit, or the one that all have."""

# So many files share the limit, and the oldest goes when there is no more room.
_FILES = 16


class AnswerLog:
    """An answer log in a folder: records are appended to files of a day each.

    The files are `folder/YYYY-MM-DD.jsonl`, and `YYYY-MM-DD-002.jsonl` and so on where a day has many. Several processes may
    write at once: each write is one append.

    limit: bytes that all files have at most, about; then the oldest are removed. 0: nothing is logged.
    """

    def __init__(self, folder: Path, limit: int = MAX_BYTES) -> None:
        self.folder = folder
        self._limit = limit
        self._path: Path | None = None
        self._warned = False

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Append the records; where that is not possible, warn, once until it is again."""
        if not self._limit:
            return
        try:
            lines = b"".join(orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n" for record in records)
            self._append(lines)
        except (OSError, TypeError) as error:
            if not self._warned:
                why = error.strerror if isinstance(error, OSError) else type(error).__name__
                _log.warning("Answers are not logged: %s can't be written (%s). es-recsys doctor looks at it.", self.folder, why)
            self._warned = True
        else:
            self._warned = False

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield all records, oldest day first. A line cut off by a crash, or erased, is left out."""
        for path in self._files():
            with suppress(FileNotFoundError), path.open("rb") as lines:  # it may have been the oldest
                for line in lines:
                    try:
                        record = orjson.loads(line) if line.endswith(b"\n") else None
                    except orjson.JSONDecodeError:
                        continue
                    if isinstance(record, dict):
                        yield _present(record)

    def erase(self, user_key: str) -> int:
        """Overwrite a user's records with blanks, so that no other writer loses anything; return how many there were."""
        key, erased = f'"{user_key}"'.encode(), 0
        for path in self._files():
            with suppress(FileNotFoundError), path.open("r+b") as log:
                at = 0
                for line in log.readlines():
                    # The key is searched as it stands, so that a line that was cut off goes as well.
                    if key in line:
                        log.seek(at)
                        log.write(b" " * len(line.rstrip(b"\n")))
                        erased += 1
                    at += len(line)
        return erased

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.jsonl"), key=lambda path: path.stem)

    def _append(self, lines: bytes) -> None:
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        if self._path is None or not self._path.name.startswith(day):
            self._path = self._newest(day)
        try:
            size = _append(self._path, lines)
        except FileNotFoundError:
            make_folder(self.folder)
            size = _append(self._path, lines)
        if size > self._limit // _FILES:
            self._make_room()
            self._path = self._newest(day)

    def _newest(self, day: str) -> Path:
        """Return the file of a day to write to: the last one while it is small, else one more."""
        today = [path for path in self._files() if path.name.startswith(day)]
        if not today:
            self._make_room()
            return self.folder / f"{day}.jsonl"
        if today[-1].stat().st_size <= self._limit // _FILES:
            return today[-1]
        number = int(today[-1].stem.removeprefix(day).lstrip("-") or 1) + 1
        return self.folder / f"{day}-{number:03d}.jsonl"

    def _make_room(self) -> None:
        """Remove the oldest files until one more has room."""
        sizes = [(path, path.stat().st_size) for path in self._files()]
        total = sum(size for _, size in sizes)
        for path, size in sizes[:-1]:
            if total <= self._limit - self._limit // _FILES:
                return
            path.unlink(missing_ok=True)
            total -= size


def _append(path: Path, lines: bytes) -> int:
    """Append to a file and return its size. Raises OSError where not all could be written."""
    with open(path, "a+b", buffering=0, opener=private_opener) as log:
        if log.tell() and (log.seek(-1, SEEK_END), log.read(1))[1] != b"\n":
            lines = b"\n" + lines  # what a crash cut off must not spoil the first record after it
        written = log.write(lines)
        while written < len(lines):  # a disk that fills up takes a part first, and then says so
            written += log.write(lines[written:])
        return log.tell()


def _present(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record under present names: it may have been written when retrievers and keys had others."""
    for values in (record, *record.get("hits", ())):
        for old, new in (("signals", "features"), ("shown", "inclusion_probability")):
            if old in values:
                values[new] = values.pop(old)
        if isinstance(values.get("parts"), dict):
            values["parts"] = current_keys(values["parts"], RETRIEVERS)
    if isinstance(record.get("features"), dict):
        record["features"] = {current_feature(name): column for name, column in record["features"].items()}
    return record


def answer_record(
    snapshot: ServingSnapshot,
    query: Query,
    answer: Answer,
    situation: str,
    keys: Sequence[str],
    now: float,
    features: LoggedFeatures | None = None,
) -> dict[str, Any]:
    """Return JSON values.

    keys: profile keys of the user; user ids are not logged. now: epoch seconds. features: of the hits, where these lack them.
    """
    return {
        "answer_id": answer.answer_id,
        "kind": answer.kind,
        "situation": situation if answer.kind in ("search", "recommend") else None,
        "time": now,
        "user_key": keys[0] if keys else None,
        "store": snapshot.metadata.store,
        "version": snapshot.metadata.version,
        "query": query.text or None,
        "offset": query.offset if query.body is None else int(query.body.get("from", 0)),
        "hits": [_hit(hit) for hit in answer.hits],
        "features": logged_features(answer.hits) if features is None else features,
        "degraded": list(answer.ranking.degraded),
        "took_ms": answer.took_ms,
        **({} if answer.made_at is None else {"made_at": answer.made_at}),
    }


def _hit(hit: Hit) -> dict[str, Any]:
    return {
        "item_id": hit.item_id,
        "position": hit.rank,
        "score": hit.score,
        "parts": dict(hit.parts),
        "propensity": hit.propensity,
        "inclusion_probability": hit.inclusion_probability,
    }


def logged_features(hits: Sequence[Hit]) -> LoggedFeatures:
    """Return the features of hits, in six digits.

    A learned ranking is trained on them, as they were when the hits were shown.
    """
    names = dict.fromkeys(name for hit in hits for name in hit.features)
    found = {name: [_rounded(hit.features.get(name)) for hit in hits] for name in names}
    return {name: values[0] if len(set(values)) == 1 else values for name, values in found.items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
