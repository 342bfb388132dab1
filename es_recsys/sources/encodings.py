"""Text that isn't UTF-8: known by its first bytes, or named, and read as if it were UTF-8."""

from __future__ import annotations

import codecs
import io
from typing import BinaryIO

from es_recsys.errors import InputError

__all__ = ["TranscodedStream", "detect_encoding", "parse_encoding"]

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHUNK = 1 << 18
_ERROR_HANDLER = "es_recsys.undecoded"


def parse_encoding(name: str) -> str:
    """Return Python's name of an encoding that a person wrote. Raises InputError for one that isn't known."""
    try:
        found = codecs.lookup(name)
        "a".encode(found.name)
    except (LookupError, UnicodeError, ValueError):
        raise InputError(
            f"There is no text encoding {name!r}.", "Usual ones are utf-8, windows-1252, latin-1, utf-16, shift_jis and gb18030."
        ) from None
    return found.name


def detect_encoding(head: bytes, named: str | None = None) -> str | None:
    """Return the encoding of a text by its first bytes, otherwise the named one; None for UTF-8, which needs nothing.

    A byte order mark tells UTF-16 and UTF-32; without one, UTF-16 is told by the zero bytes of its header line.
    """
    found = next((encoding for mark, encoding in _BYTE_ORDER_MARKS if head.startswith(mark)), None) or _utf16_by_null_bytes(head)
    if found is not None:
        return found
    encoding = None if named is None else parse_encoding(named)
    return None if encoding in {"utf-8", "utf-8-sig", "ascii"} else encoding


def _utf16_by_null_bytes(head: bytes) -> str | None:
    start = head[:64]
    even, odd = start[::2], start[1::2]
    if len(odd) < 4:
        return None
    for zeros, letters, encoding in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if zeros.count(0) >= 0.8 * len(zeros) and 0 not in letters:
            return encoding
    return None


class TranscodedStream(io.RawIOBase):
    """A stream of text in some encoding as a stream of UTF-8. What can't be decoded becomes a byte that UTF-8 hasn't."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(_ERROR_HANDLER)
        self._ready = b""
        self._begun = self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready and not self._ended:
            chunk = self._stream.read(_CHUNK)
            self._ended = not chunk
            text = self._decoder.decode(chunk, self._ended)
            if text and not self._begun:
                text, self._begun = text.removeprefix("\ufeff"), True
            self._ready = text.encode("utf-8", "surrogateescape")
        taken = self._ready[: len(buffer)]
        self._ready = self._ready[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _replace_undecodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


codecs.register_error(_ERROR_HANDLER, _replace_undecodable)
