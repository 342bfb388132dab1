"""The answer log: what was shown to whom, by which leg, at which position. One JSON line an answer, a file a day.

Learning to rank, experiments and reports read it. It holds user keys, never user ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from os import SEEK_END
from pathlib import Path
from typing import Any

import orjson

from es_recsys.errors import SetupError

__all__ = ["AnswerLog"]


class AnswerLog:
    """Appends records to `folder/YYYY-MM-DD.jsonl`. Several processes may write at once: each write is one append."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        lines = b"".join(orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n" for record in records)
        path = self.folder / f"{datetime.now(UTC):%Y-%m-%d}.jsonl"
        try:
            self._append(path, lines)
        except FileNotFoundError:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._append(path, lines)
        except OSError as error:
            raise SetupError(
                f"The answer log {path} can't be written ({error.strerror}).", "Make room, or the folder writable."
            ) from error

    def read(self) -> Iterator[dict[str, Any]]:
        """All records, oldest day first. A line cut off by a crash, or erased, is left out."""
        for path in sorted(self.folder.glob("*.jsonl")):
            with path.open("rb") as lines:
                for line in lines:
                    try:
                        record = orjson.loads(line) if line.endswith(b"\n") else None
                    except orjson.JSONDecodeError:
                        continue
                    if isinstance(record, dict):
                        yield record

    def erase(self, user_key: str) -> int:
        """Blanks a user's records where they stand, so that a writer at the same moment loses nothing; returns how many
        there were."""
        key, erased = f'"{user_key}"'.encode(), 0
        for path in sorted(self.folder.glob("*.jsonl")):
            with path.open("r+b") as log:
                at = 0
                for line in log.readlines():
                    # The key is searched as it stands, so that a line that was cut off goes as well.
                    if key in line:
                        log.seek(at)
                        log.write(b" " * len(line.rstrip(b"\n")))
                        erased += 1
                    at += len(line)
        return erased

    @staticmethod
    def _append(path: Path, lines: bytes) -> None:
        with path.open("a+b", buffering=0) as log:
            if log.tell() and (log.seek(-1, SEEK_END), log.read(1))[1] != b"\n":
                lines = b"\n" + lines  # what a crash cut off must not spoil the first record after it
            log.write(lines)
