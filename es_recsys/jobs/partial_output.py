"""An output file of lines that appears when it is whole, and is resumed where an earlier run was interrupted."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from es_recsys.errors import InputError, WriteError
from es_recsys.private import private_opener

__all__ = ["PartialOutput"]


class PartialOutput:
    """Lines in OUT.part, which `finish` renames to OUT; a context manager.

    parameters: what the lines depend on beside the input. They lie beside the lines; where an interrupted run had others, its
    lines are replaced. count: lines so far. Raises InputError where the file can't be opened.
    """

    def __init__(self, out: Path, parameters: Mapping[str, Any]) -> None:
        self._out = out
        self.path = out.with_name(f"{out.name}.part")
        self._parameters_path = out.with_name(f".{out.name}.part.json")
        self.count = 0
        try:
            self._begin(orjson.dumps(dict(parameters), option=orjson.OPT_SORT_KEYS))
            self._file = self.path.open("r+b")
        except OSError as error:
            raise InputError(
                f"{out} can't be written ({error.strerror}).", "Give a file in a folder that can be written."
            ) from error

    def lines(self) -> Generator[dict[str, Any], None, None]:
        """Yield what is there already, a line at a time.

        Whoever stops early keeps all but the last line given. What follows is overwritten, a line that was cut off as well.
        """
        kept_bytes = 0
        self._file.seek(0)
        try:
            for line in iter(self._file.readline, b""):
                value = _parse(line)
                if value is None:
                    break
                yield value
                kept_bytes += len(line)
                self.count += 1
        finally:
            self._file.seek(kept_bytes)
            self._file.truncate()

    def write(self, line: bytes) -> None:
        """Add a line. Raises WriteError where the disk is full."""
        try:
            self._file.write(line)
        except OSError as error:
            raise self._write_error(error) from error
        self.count += 1

    def resume_hint(self) -> str:
        """Return how an interrupted run is resumed, as a sentence; "" where there is no line."""
        if not self.count:
            return ""
        return f"The first {self.count:,} lines are in {self.path}; the same command goes on after them."

    def finish(self) -> None:
        """Rename the lines to OUT. Raises WriteError."""
        try:
            self._file.close()
            self.path.replace(self._out)
            self._parameters_path.unlink(missing_ok=True)
        except OSError as error:
            raise self._write_error(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):  # the next run writes what could not be written
            self._file.close()
        if not self.count or kind is None:
            self._parameters_path.unlink(missing_ok=True)
        if not self.count:
            self.path.unlink(missing_ok=True)

    def _begin(self, parameters: bytes) -> None:
        """Empty the output, unless what is there was made with the same parameters."""
        stored = self._parameters_path
        if self.path.exists() and stored.exists() and stored.read_bytes() == parameters:
            return
        for path, content in ((self.path, b""), (stored, parameters)):
            with open(path, "wb", opener=private_opener) as file:
                file.write(content)

    def _write_error(self, error: OSError) -> WriteError:
        return WriteError(f"{self._out} can't be written ({error.strerror}).", "Make room.")


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the object of a line; None for one that is none, or was cut off."""
    try:
        value = orjson.loads(line) if line.endswith(b"\n") else None
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
