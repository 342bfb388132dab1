"""Files as streams of bytes and lines: gzip by content, encodings, the format, progress. Memory is flat."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO

from es_recsys.errors import InputError
from es_recsys.sources.encodings import TranscodedStream, detect_encoding

__all__ = [
    "MAX_LINE",
    "InputFile",
    "NumberedLine",
    "Paths",
    "Progress",
    "SpooledTable",
    "as_paths",
    "detect_format",
    "read_lines",
    "shown_path",
]

MAX_LINE = 16 * 1024 * 1024
"""Bytes of a line, or of a CSV record; a longer one is rejected, so that a file without line ends can't fill memory."""

Progress = Callable[[int, int], None]
"""Called as `progress(bytes_read, bytes_in_all)`; bytes are those on disk."""

NumberedLine = tuple[int, bytes | None]
"""Number from 1 and bytes with the line end; None for a line that is longer than MAX_LINE."""

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_UNSUPPORTED = {
    b"PK\x03\x04": ("a ZIP archive or a spreadsheet", "Unpack it, or save the sheet as CSV (UTF-8)."),
    b"BZh": ("compressed with bzip2", "Unpack it, or compress it with gzip."),
    b"\xfd7zXZ": ("compressed with xz", "Unpack it, or compress it with gzip."),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "Unpack it, or compress it with gzip."),
}
_OBJECT_OVER_LINES = re.compile(rb"\s*\{(?:[^\n]*[,\[{])?[ \t]*\r?\n")
_XML = re.compile(rb"\s*<(?:\?xml|rss|feed|channel)\b")
_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "csv", ".tab": "csv"}


@dataclass(frozen=True, slots=True)
class SpooledTable:
    """The rows of an index or a database table in a file of JSON lines, to be read more than once (spool.py).

    name: of the index or table, which messages show in place of the file. count: of rows.
    """

    path: Path
    name: str
    count: int


Paths = str | Path | SpooledTable | Sequence[str | Path | SpooledTable]


@dataclass(frozen=True, slots=True)
class InputFile:
    """What a file is.

    path: where it is; shown: what messages call it. format: "jsonl", "json" (an array of objects, or objects over several lines),
    "csv", "xml" or "parquet". tabs: whether its name says that tabs separate it. encoding: of its text, where that isn't UTF-8.
    """

    path: Path
    shown: Path
    format: str
    gzipped: bool
    size: int
    tabs: bool
    encoding: str | None = None

    def open(self) -> tuple[BinaryIO, BinaryIO]:
        """Return the unpacked stream, and the stream on disk, whose `tell()` is the progress. Closing the first closes both."""
        disk = self.path.open("rb", buffering=1 << 18)
        plain: BinaryIO = io.BufferedReader(_Gzip(disk), 1 << 18) if self.gzipped else disk
        return (plain if self.encoding is None else io.BufferedReader(TranscodedStream(plain, self.encoding), 1 << 18)), disk


class _Gzip(gzip.GzipFile):
    """Closes the file that it reads, too."""

    def __init__(self, disk: BinaryIO) -> None:
        super().__init__(fileobj=disk, mode="rb")
        self._disk = disk

    def close(self) -> None:
        super().close()
        self._disk.close()


def as_paths(paths: Paths) -> tuple[Path | SpooledTable, ...]:
    """Return one file or several as a tuple. Raises InputError where there is none."""
    given = (paths,) if isinstance(paths, str | Path | SpooledTable) else tuple(paths)
    if not given:
        raise InputError("No file is given.", "Name one or more files.")
    return tuple(path if isinstance(path, SpooledTable) else Path(path) for path in given)


def shown_path(file: Path | SpooledTable) -> Path:
    """Return what messages call a file; the rejected rows of a spooled table go to a file of this name."""
    return Path(file.name) if isinstance(file, SpooledTable) else file


def detect_format(path: Path | SpooledTable, encoding: str | None = None) -> InputFile:
    """Detect what the file is by its first bytes, and by its name where these leave it open.

    encoding: of its text; without it UTF-8, or UTF-16 where the first bytes show that.
    Raises InputError where it is missing, empty, a folder, cut off at once, or of a kind that isn't read.
    """
    if isinstance(path, SpooledTable):
        return InputFile(path.path, shown_path(path), "jsonl", True, path.path.stat().st_size, False)
    try:
        status = path.stat()
        if S_ISDIR(status.st_mode):
            raise InputError(f"{path} is a folder.", "Name the files in it.")
        if not S_ISREG(status.st_mode):
            raise InputError(f"{path} is not a regular file; it is read more than once.", "Save its content to a file.")
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.", "Check the name and the permissions.") from error
    gzipped = head.startswith(_GZIP)
    head = _head(path, gzipped)
    found = None if head.startswith(b"PAR1") else detect_encoding(head, encoding)
    if found is not None:
        head = head.decode(found, "ignore").lstrip("\ufeff").encode("utf-8", "ignore")
    if not head.removeprefix(_BOM).strip():
        raise InputError(f"{path} is empty.", "Check how it was made; nothing was read.")
    for magic, (kind, remedy) in _UNSUPPORTED.items():
        if head.startswith(magic):
            raise InputError(f"{path} is {kind}.", remedy)
    name = path.with_suffix("") if path.suffix.lower() in {".gz", ".gzip"} else path
    suffix = name.suffix.lower()
    return InputFile(path, path, _format(path, suffix, head), gzipped, status.st_size, suffix in {".tsv", ".tab"}, found)


def _head(path: Path, gzipped: bool) -> bytes:
    if not gzipped:
        with path.open("rb") as stream:
            return stream.read(65_536)
    try:
        with gzip.open(path) as unpacked:
            return unpacked.read(65_536)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path} is not a whole gzip file ({error}).", "Fetch or make it anew.") from error


def _format(path: Path, suffix: str, head: bytes) -> str:
    if head.startswith(b"PAR1"):
        return "parquet"
    if suffix in {".parquet", ".pq"}:
        raise InputError(f"{path} is not a Parquet file.", "Check how it was made, or give it the suffix of its format.")
    start = head.removeprefix(_BOM).lstrip()[:1]
    known = _SUFFIXES.get(suffix)
    if known is None and _XML.match(head.removeprefix(_BOM)):
        return "xml"
    if known != "csv" and (start == b"[" or _OBJECT_OVER_LINES.match(head.removeprefix(_BOM))):
        return "json"
    return known or ("jsonl" if start == b"{" else "csv")


def read_lines(stream: BinaryIO, path: Path) -> Iterator[NumberedLine]:
    """Yield lines of an unpacked stream, without the byte order mark. Raises InputError where the gzip data are broken."""
    number = 0
    try:
        while line := stream.readline(MAX_LINE + 1):
            number += 1
            if number == 1:
                line = line.removeprefix(_BOM)
            if len(line) > MAX_LINE:
                while line and not line.endswith(b"\n"):
                    line = stream.readline(MAX_LINE)
                yield number, None
            else:
                yield number, line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is cut off or damaged after line {number} ({error}).", "Fetch or make it anew.") from error
