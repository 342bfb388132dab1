"""An output of lines that appears under its name when it is whole, and is gone on with where it was broken off."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from es_recsys.errors import InputError, WriteError
from es_recsys.private import opener

__all__ = ["Partial"]


class Partial:
    """Lines go to OUT.part, which `finish` renames to OUT; a context manager.

    about: what the lines depend on beside the input. Where that was another, what is there is no beginning of this output and
    is replaced. Raises InputError where the file can't be opened.
    """

    def __init__(self, out: Path, about: Mapping[str, Any]) -> None:
        self._out = out
        self.path = out.with_name(f"{out.name}.part")
        self._about = out.with_name(f".{out.name}.part.json")
        self._told = orjson.dumps(dict(about), option=orjson.OPT_SORT_KEYS)
        self.count = 0
        try:
            if not (self.path.exists() and self._about.exists() and self._about.read_bytes() == self._told):
                for path, held in ((self.path, b""), (self._about, self._told)):
                    with open(path, "wb", opener=opener) as file:
                        file.write(held)
            self._file = self.path.open("r+b")
        except OSError as error:
            raise InputError(
                f"{out} can't be written ({error.strerror}).", "Give a file in a folder that can be written."
            ) from error

    def lines(self) -> Generator[dict[str, Any], None, None]:
        """What is there already, a line at a time. Whoever stops asking keeps all but the last line given; what follows is
        overwritten."""
        kept = 0
        self._file.seek(0)
        try:
            for line in iter(self._file.readline, b""):
                try:
                    found = orjson.loads(line) if line.endswith(b"\n") else None
                except orjson.JSONDecodeError:
                    found = None
                if not isinstance(found, dict):
                    break
                yield found
                kept += len(line)
                self.count += 1
        finally:
            self._file.seek(kept)
            self._file.truncate()

    def write(self, line: bytes) -> None:
        """Raises WriteError where the disk is full."""
        try:
            self._file.write(line)
        except OSError as error:
            raise self._full(error) from error
        self.count += 1

    def kept(self) -> str:
        """What a person should know of a run that is broken off."""
        if not self.count:
            return ""
        return f"The first {self.count:,} lines are in {self.path}; the same command goes on after them."

    def finish(self) -> None:
        """Gives the output its name. Raises WriteError."""
        try:
            self._file.close()
            self.path.replace(self._out)
            self._about.unlink(missing_ok=True)
        except OSError as error:
            raise self._full(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):  # what could not be written is asked for again
            self._file.close()
        if not self.count or kind is None:
            self._about.unlink(missing_ok=True)
        if not self.count:
            self.path.unlink(missing_ok=True)

    def _full(self, error: OSError) -> WriteError:
        return WriteError(f"{self._out} can't be written ({error.strerror}).", "Make room.")
