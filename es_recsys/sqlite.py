"""Setup that every SQLite file of the package needs, whoever opens it first."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

__all__ = ["enable_wal"]


def enable_wal(connection: Any, timeout_s: float) -> None:
    """Switch a file to the write-ahead log, waiting up to `timeout_s` seconds for others who open it.

    connection: a DBAPI connection. SQLite itself does not wait here, whatever its busy timeout, so two first openings at
    once would fail. Raises sqlite3.OperationalError.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
