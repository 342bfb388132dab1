"""Vectors that were computed before, on disk, by the content's digest and the encoder's fingerprint."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from es_recsys.sqlite import enable_wal

__all__ = ["VectorCache"]

_log = logging.getLogger(__name__)

_CHUNK = 500
_TIMEOUT_S = 30.0
_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (digest BLOB NOT NULL UNIQUE, vector BLOB NOT NULL)"


class VectorCache:
    """One SQLite file a fingerprint under `folder / "vectors"`; delete one to forget that model's vectors.

    Several threads and processes may use it at once, and a kill at any time loses at most the batch being written.
    A cache must never stop the work: where the file is damaged it is set aside and begun anew, and where it can't be
    read or written, vectors are computed again; both are logged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "vectors"
        self._lock = threading.Lock()
        self._open: dict[str, sqlite3.Connection | None] = {}

    def get(self, fingerprint: str, dims: int, digests: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        """Return the known ones of these digests, each with its unit vector (dims,) float32."""
        found: dict[bytes, NDArray[np.float32]] = {}
        with self._lock:
            for attempt in range(2):
                database = self._database(fingerprint)
                if database is None:
                    return {}
                try:
                    for chunk in _chunks(digests):
                        found.update(_valid_vectors(_rows(database, chunk), dims))
                    return found
                except sqlite3.DatabaseError as error:
                    self._failed(fingerprint, error, last=attempt > 0)
        return found

    def put(self, fingerprint: str, vectors: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Keep vectors (d,) float32 by digest, all or none of them."""
        rows = [(digest, np.ascontiguousarray(vector, np.float32).tobytes()) for digest, vector in vectors.items()]
        if not rows:
            return
        with self._lock:
            for attempt in range(2):
                database = self._database(fingerprint)
                if database is None:
                    return
                try:
                    with database:
                        database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
                    return
                except sqlite3.DatabaseError as error:
                    self._failed(fingerprint, error, last=attempt > 0)

    def close(self) -> None:
        """Close the files; the next use opens them again."""
        with self._lock:
            for database in self._open.values():
                if database is not None:
                    database.close()
            self._open.clear()

    def path(self, fingerprint: str) -> Path:
        """Return the file of one model's vectors."""
        return self._folder / f"{fingerprint}.sqlite3"

    def _database(self, fingerprint: str) -> sqlite3.Connection | None:
        if fingerprint not in self._open:
            self._open[fingerprint] = self._connect(fingerprint)
        return self._open[fingerprint]

    def _connect(self, fingerprint: str) -> sqlite3.Connection | None:
        for attempt in range(2):
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                # Every use is under the lock, so that threads may share the connection.
                database = sqlite3.connect(self.path(fingerprint), timeout=_TIMEOUT_S, check_same_thread=False)
                database.execute("PRAGMA page_size = 8192")
                enable_wal(database, _TIMEOUT_S)
                database.execute("PRAGMA synchronous = NORMAL")
                database.execute(_SCHEMA)
                return database
            except (sqlite3.Error, OSError) as error:
                self._failed(fingerprint, error, last=attempt > 0)
                if not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.OperationalError):
                    break
        return None

    def _failed(self, fingerprint: str, error: Exception, *, last: bool) -> None:
        """Close the file; a damaged one (not a locked or full one) is set aside."""
        database = self._open.pop(fingerprint, None)
        if database is not None:
            database.close()
        path = self.path(fingerprint)
        if last or isinstance(error, sqlite3.OperationalError | OSError):
            _log.warning("The vector cache %s can't be used (%s); vectors are computed again.", path, error)
            self._open[fingerprint] = None
            return
        _log.warning("The vector cache %s is damaged (%s); it is begun anew.", path, error)
        for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            with suppress(OSError):
                file.replace(file.with_name(file.name + ".damaged"))


def _chunks(digests: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(digests), _CHUNK):
        yield digests[start : start + _CHUNK]


def _rows(database: sqlite3.Connection, digests: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    marks = ",".join("?" * len(digests))
    query = f"SELECT digest, vector FROM vectors WHERE digest IN ({marks})"  # noqa: S608  only question marks are put in
    return database.execute(query, digests).fetchall()


def _valid_vectors(rows: Iterable[tuple[bytes, bytes]], dims: int) -> dict[bytes, NDArray[np.float32]]:
    """Return the rows that are unit vectors of `dims` dimensions; what a disk has spoilt is computed again."""
    sized = [(digest, blob) for digest, blob in rows if len(blob) == 4 * dims]
    if not sized:
        return {}
    vectors = np.frombuffer(b"".join(blob for _, blob in sized), np.float32).reshape(-1, dims)
    with np.errstate(all="ignore"):
        good = np.abs(np.einsum("ij,ij->i", vectors, vectors) - 1.0) < 1e-3
    return {digest: vectors[row] for row, (digest, _) in enumerate(sized) if good[row]}
