"""JSON lines, one object a line; and one array of objects, an object at a time."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import orjson

from es_recsys.sources.input_files import MAX_LINE, NumberedLine
from es_recsys.sources.python_literals import parse_python_literal
from es_recsys.sources.row_errors import OnRowError, RowError

__all__ = ["array_rows", "jsonl_rows"]

_CHUNK = 1 << 18
_BLOCK_LINES, _LONG = 500, 1 << 20
_BETWEEN = re.compile(r"[\s,]*")
_INT64 = 2.0**63
_NEXT_OBJECT = re.compile(r"\n[\s,]*(?=\{)")

OnNote = Callable[[str], None]


def jsonl_rows(
    lines: Iterable[NumberedLine], report: OnRowError, note: OnNote | None = None, charset: str = "UTF-8"
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and values of each line that is an object; blank lines are passed over, others go to `report`.

    A line that Python printed is read, too, and `note` is told so.
    """
    for block in _blocks(lines):
        values = _plain_objects([line for _, line in block])
        if values is not None:
            yield from zip((number for number, _ in block), values, strict=True)
        else:
            yield from _objects(block, report, note, charset)


def _blocks(lines: Iterable[NumberedLine]) -> Iterator[list[NumberedLine]]:
    """Yield lines some hundred at once, fewer where they are long."""
    block: list[NumberedLine] = []
    size = 0
    for numbered in lines:
        block.append(numbered)
        size += _LONG if numbered[1] is None else len(numbered[1])
        if size >= _LONG or len(block) >= _BLOCK_LINES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _plain_objects(lines: list[bytes | None]) -> list[dict[str, Any]] | None:
    """Return the object of each line; None where one is no object, or may have a number that orjson doesn't read to its end."""
    try:
        objects = list(map(orjson.loads, lines))  # type: ignore[arg-type]
    except orjson.JSONDecodeError:
        return None
    if set(map(type, objects)) != {dict}:
        return None
    types = set(map(type, chain.from_iterable(map(dict.values, objects))))
    return None if types & {float, dict, list} and any(map(_has_big_number, objects)) else objects


def _objects(
    lines: Iterable[NumberedLine], report: OnRowError, note: OnNote | None, charset: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in lines:
        if line is None:
            report(RowError(number, "", f"is longer than {MAX_LINE >> 20} MiB", None))
            continue
        try:
            values = orjson.loads(line)
            if _has_big_number(values):
                values = _parse_exact(line, values)
        except orjson.JSONDecodeError as error:
            if not line.strip():
                continue
            values = _parse_with_nan(line)
            if values is None and (values := _parse_printed(line)) is not None and note is not None:
                note("its lines are Python's notation, not JSON; they are read as Python prints them")
            if values is None:
                report(RowError(number, "", _reason(line, error, charset), line.rstrip(b"\r\n")))
                continue
        if isinstance(values, dict):
            yield number, values
        else:
            report(RowError(number, "", "is not a JSON object", line.rstrip(b"\r\n")))


def _has_big_number(value: Any) -> bool:
    """Return whether there may be a whole number in it that has more than 64 bits."""
    for each in value.values() if type(value) is dict else value if type(value) is list else (value,):
        kind = type(each)
        if kind is float:
            if not -_INT64 < each < _INT64:
                return True
        elif (kind is dict or kind is list) and _has_big_number(each):
            return True
    return False


def _parse_exact(line: bytes, values: Any) -> Any:
    # orjson makes a float of a number of more than 64 bits, and an id loses digits.
    try:
        return json.loads(line)
    except ValueError:  # more digits than Python reads
        return values


def array_rows(lines: Iterable[NumberedLine], report: OnRowError, charset: str = "UTF-8") -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line number and values of each object in one JSON array (or in several).

    One that is broken goes to `report`, with all up to the next line that begins an object. Memory is that of an object.
    """
    decoder, window = json.JSONDecoder(), _Window(lines)
    while window.skip(_BETWEEN):
        text, start = window.text, window.position
        if text[start] in "[]":
            window.take(start + 1)
            continue
        try:
            values, end = decoder.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError) as error:
            if not _is_broken(error, len(text)) and window.more():
                continue
            message = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
            number, raw = window.line, window.take_until(_NEXT_OBJECT)
            report(RowError(number, "", f"is not JSON: {message}", raw[:MAX_LINE]))
            continue
        if end == len(text) and window.more():  # a number may go on
            continue
        number, raw = window.line, window.take(end)
        if not isinstance(values, dict):
            report(RowError(number, "", "is not a JSON object", raw))
        elif not _is_unicode(raw, values):
            report(RowError(number, "", f"is not {charset}", ascii(raw)))
        else:
            yield number, values


class _Window:
    """A part of a text: `text`, the `position` that has been read to, and the number of the line there."""

    def __init__(self, lines: Iterable[NumberedLine]) -> None:
        self._lines = iter(lines)
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._wanted = _CHUNK
        self.text = ""
        self.position = 0
        self.line = 1

    def more(self) -> bool:
        """Lengthen the window; False where the file ends, or an object is longer than a line may be."""
        rest = self.text[self.position :]
        if len(rest) > MAX_LINE:
            return False
        parts, size = [rest], len(rest)
        goal = size + self._wanted
        while size < goal and (line := next(self._lines, None)) is not None:
            part = self._decoder.decode(b"\n" if line[1] is None else line[1])
            parts.append(part)
            size += len(part)
        self.text, self.position = "".join(parts), 0
        self._wanted = min(2 * self._wanted, MAX_LINE)  # doubled, so that a long object isn't begun again too often
        return size > len(rest)

    def skip(self, between: re.Pattern[str]) -> bool:
        """Pass over what stands between values; False at the end."""
        while True:
            found = between.match(self.text, self.position)
            self.take(found.end() if found else self.position)
            if self.position < len(self.text):
                return True
            self._wanted = _CHUNK
            if not self.more():
                return False

    def take(self, end: int) -> str:
        raw = self.text[self.position : end]
        self.position = end
        self.line += raw.count("\n")
        return raw

    def take_until(self, start: re.Pattern[str]) -> str:
        found = start.search(self.text, self.position)
        return self.take(found.end() if found else len(self.text))


def _is_broken(error: json.JSONDecodeError | RecursionError, end: int) -> bool:
    """Return whether more text can't mend it: the fault is well before the end, and not a text that has no end yet."""
    if isinstance(error, RecursionError):
        return True
    return error.pos < end - 64 and not error.msg.startswith("Unterminated string")


def _parse_with_nan(line: bytes) -> Any | None:
    # Many programs write NaN and Infinity, which JSON has not; the fields themselves say what they make of them.
    if b"NaN" not in line and b"Infinity" not in line:
        return None
    try:
        values = json.loads(line)
        json.dumps(values, ensure_ascii=False).encode()  # refuses what is not Unicode
    except (ValueError, RecursionError, TypeError):
        return None
    return values


def _parse_printed(line: bytes) -> dict[str, Any] | None:
    if not line.lstrip().startswith(b"{") or b"'" not in line:
        return None
    try:
        values = parse_python_literal(line.decode("utf-8"))
        json.dumps(values, ensure_ascii=False, default=str).encode()  # refuses what is not Unicode
    except (RecursionError, ValueError, TypeError):
        return None
    return values if isinstance(values, dict) else None


def _is_unicode(raw: str, values: Any) -> bool:
    if raw.isascii() and "\\u" not in raw:
        return True
    try:
        orjson.dumps(values)
    except orjson.JSONEncodeError as error:
        return "surrogates" not in str(error)
    return True


def _reason(line: bytes, error: orjson.JSONDecodeError, charset: str) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return f"is not {charset} (byte {wrong.start + 1})"
    return f"is not JSON: {error.msg}"
