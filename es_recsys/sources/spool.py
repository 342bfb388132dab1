"""Copies the rows of an index or a database table to a file, so that they are read from there only once.

Rows are read three times before they are stored: to see how values are written, to check them, and to load them. A point in time
or a transaction that is open all the while would keep what the source has deleted since.
"""

from __future__ import annotations

import gzip
import os
import secrets
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from es_recsys.errors import SetupError
from es_recsys.locks import file_lock, try_file_lock
from es_recsys.private import make_folder, private_opener
from es_recsys.sources.input_files import SpooledTable

__all__ = ["Spool", "spool_folder"]

_LEVEL = 1  # of gzip: the disk is spared four parts in five, at little of the processor's time


class Spool:
    """A file of gzipped JSON lines to which rows are written, by several threads; a context manager. name: of the source."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path, self._name = folder / "rows.jsonl.gz", name
        self._disk = open(self._path, "wb", opener=private_opener)  # noqa: SIM115
        self._file = gzip.GzipFile(fileobj=self._disk, mode="wb", compresslevel=_LEVEL)
        self._lock = threading.Lock()
        self.count = 0

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows. Values of a database that JSON lacks become texts or numbers; bytes are left out."""
        lines = [orjson.dumps(row, default=_to_json, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS) for row in rows]
        with self._lock:
            try:
                self._file.write(b"".join(lines))
            except OSError as error:
                raise SetupError(
                    f"The rows of {self._name} can't be kept in {self._path.parent} ({error.strerror}).",
                    "Make room there, or set ES_RECSYS_HOME to a folder on a larger disk.",
                ) from error
            self.count += len(lines)

    def table(self) -> SpooledTable:
        """End the file and return it as a table."""
        self.close()
        return SpooledTable(self._path, self._name, self.count)

    def close(self) -> None:
        self._file.close()
        self._disk.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@contextmanager
def spool_folder(home: Path) -> Iterator[Path]:
    """Yield a folder that only its owner may read; it is removed afterwards, and so are those that killed runs left in `home`."""
    for lock in home.glob("*.lock"):
        with try_file_lock(lock) as free:
            if free:
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
    folder = home / f"{os.getpid()}-{secrets.token_hex(4)}"
    lock = folder.with_suffix(".lock")
    with file_lock(lock):
        make_folder(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _to_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, date | time):
        return value.isoformat()
    return None if isinstance(value, bytes | memoryview) else str(value)
