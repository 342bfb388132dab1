"""Arguments of the Python API, read in one way everywhere; what can't be read is an InputError that names it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from es_recsys.errors import FilterError, InputError, RecsysError
from es_recsys.values import parse_id
from es_recsys.values.nulls import stripped

__all__ = [
    "filters",
    "flag",
    "ids",
    "instances",
    "one_id",
    "optional_choice",
    "optional_id",
    "optional_ids",
    "optional_mapping",
    "optional_number",
    "picture",
    "sound",
    "text",
    "texts",
    "whole",
]

T = TypeVar("T")

_LONGEST_ID, _LONGEST_NAME, _LONGEST_VALUE, _LONGEST_EXPRESSION = 512, 200, 1_024, 65_536
_ID = "Give an id as a text or a whole number."
_IDS = "Give one id, or a list of ids: texts or whole numbers."
_FILTER = "Give expressions (price:10..50), or a mapping of fields to a value, a list of values, or (low, high)."
_VALUES = (str, bool, int, float, Decimal, date, UUID, Real)


def one_id(name: str, value: Any) -> str:
    """Return the id as text.

    17, 17.0 and "17" are one id. A word that stands for nothing in a file ("NULL") is an id like others here.

    Raises InputError for None and for what is no id.
    """
    try:
        found = parse_id(value)
    except ValueError:
        raise InputError(f"{name} is {_kind(value)}, which is no id.", _ID) from None
    if found is None and isinstance(value, str):
        # What stands for nothing in a file ("NULL"): nobody has it by now, but stores of earlier releases may know it.
        found = stripped(value)
    if not found:
        raise InputError(f"{name} is {_kind(value) if value is None else 'empty'}, which is no id.", _ID)
    try:
        size = len(found.encode())
    except UnicodeEncodeError:
        raise InputError(f"{name} is not valid Unicode text.", _ID) from None
    if size > _LONGEST_ID or "\x00" in found:
        raise InputError(f"{name} has {size:,} bytes, or a NUL; an id has 1 to {_LONGEST_ID} bytes and none.", _ID)
    return found


def optional_id(name: str, value: Any) -> str | None:
    """Return the id as text, as `one_id` does, or None for None."""
    return None if value is None else one_id(name, value)


def ids(name: str, values: Any) -> tuple[str, ...]:
    """Return the ids as texts, in the order given.

    One id that stands alone is a list of one: a text is never taken apart.
    """
    if isinstance(values, str | Real | Decimal | UUID) and not isinstance(values, bool):
        return (one_id(name, values),)
    return tuple(one_id(f"{name}[{number}]", value) for number, value in enumerate(_each(name, values, _IDS)))


def optional_ids(name: str, values: Any) -> tuple[str, ...] | None:
    """Return the ids as texts, as `ids` does, or None for None."""
    return None if values is None else ids(name, values)


def texts(name: str, values: Any) -> tuple[str, ...]:
    """Return names, as of models or event types; one that stands alone is a list of one."""
    remedy = "Give a name, or a list of names."
    found = (values,) if isinstance(values, str) else tuple(_each(name, values, remedy))
    for value in found:
        if not isinstance(value, str) or len(value) > _LONGEST_NAME:
            raise InputError(f"{name} holds {_kind(value)}, which is no name.", remedy)
    return found


def instances(name: str, values: Any, kind: type[T]) -> Iterator[T]:
    """Yield one or many objects of a class, one after the other.

    What the caller's own iterator raises is told as the cause.
    """
    if isinstance(values, kind):
        yield values
        return
    remedy = f"Give {kind.__name__} objects: {kind.__name__}(**row) makes one of a row."
    for number, value in enumerate(_each(name, values, remedy)):
        if not isinstance(value, kind):
            raise InputError(f"{name}[{number}] is {_kind(value)}, not {_a(kind.__name__)}.", remedy)
        yield value


def text(name: str, value: Any) -> str:
    """Return a text unchanged; raise InputError for anything else."""
    if not isinstance(value, str):
        raise InputError(f"{name} is {_kind(value)}, not a text.", "Give a text.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name} is not valid Unicode text.", "Give a text.") from None
    return value


def picture(name: str, value: Any) -> bytes | None:
    """Return the bytes of a picture: those given, or those of the file at a path; None for None."""
    return _file_bytes(name, value, "picture")


def sound(name: str, value: Any) -> bytes | None:
    """Return the bytes of a sound, as `picture` does."""
    return _file_bytes(name, value, "sound")


def _file_bytes(name: str, value: Any, kind: str) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if not isinstance(value, str | Path):
        raise InputError(f"{name} is {_kind(value)}, not a {kind}.", f"Give the bytes of a {kind}, or a path.")
    try:
        return Path(value).read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no path"
        raise InputError(f"The {kind} {str(value)[:200]} can't be read ({why}).", f"Give the path of a {kind}.") from error


def whole(name: str, value: Any, least: float = -math.inf) -> int:
    """Return a whole number of `least` or more; raise InputError for anything else."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"{name} is {_kind(value)}, not a whole number.", "Give a whole number.")
    if value < least:
        raise InputError(f"{name} is {value}.", f"Give {least:g} or more.")
    return int(value)


def optional_number(name: str, value: Any, least: float = -math.inf, most: float = math.inf) -> float | None:
    """Return a number within bounds, or None for None; raise InputError for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"{name} is {_kind(value)}, not a number.", "Give a number.")
    number = float(value)
    if math.isnan(number) or not least <= number <= most:
        bounds = f"from {least:g} to {most:g}" if math.isfinite(most) else f"of {least:g} or more"
        raise InputError(f"{name} is {number:g}.", f"Give a number {bounds}.")
    return number


def optional_choice(name: str, value: Any, choices: Sequence[str]) -> str | None:
    """Return one of the choices, or None for None; raise InputError for anything else."""
    if value is None or (isinstance(value, str) and value in choices):
        return value
    known = f"{', '.join(choices[:-1])} or {choices[-1]}"
    raise InputError(f"{name} is {value[:60]!r}." if isinstance(value, str) else f"{name} is {_kind(value)}.", f"Give {known}.")


def optional_mapping(name: str, value: Any) -> Mapping[str, Any] | None:
    """Return a mapping of names, or None for None; raise InputError for anything else."""
    if value is None or (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        return value
    raise InputError(f"{name} is {_kind(value)}, not a mapping of names.", 'Give it like {"query": {...}}.')


def flag(name: str, value: Any) -> bool:
    """Return True or False unchanged; raise InputError for anything else."""
    if not isinstance(value, bool):
        raise InputError(f"{name} is {_kind(value)}, not True or False.", "Give True or False.")
    return value


def filters(name: str, value: Any) -> tuple[str, ...] | Mapping[str, Any]:
    """Return filter expressions, of which one may stand alone, or a mapping of fields to what can be compared.

    Raises FilterError.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        return (_expression(name, value),)
    if isinstance(value, Mapping):
        for field, wanted in value.items():
            if not isinstance(field, str):
                raise FilterError(f"{name} has {_kind(field)} as a field.", _FILTER)
            parts = wanted if isinstance(wanted, list | tuple | set | frozenset) else (wanted,)
            for part in parts:
                if part is not None and not isinstance(part, _VALUES):
                    raise FilterError(f"{name} compares {field[:60]} with {_kind(part)}.", _FILTER)
                if isinstance(part, str) and len(part) > _LONGEST_VALUE:
                    raise FilterError(f"{name} compares {field[:60]} with {len(part):,} characters.", "Give 1 to 1,024.")
                if isinstance(part, float) and not math.isfinite(part):
                    raise FilterError(f"{name} compares {field[:60]} with {part}.", _FILTER)
        return value
    try:
        found = tuple(_each(name, value, _FILTER))
    except InputError as error:
        raise FilterError(error.what, error.remedy) from error
    return tuple(_expression(name, one) for one in found)


def _expression(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise FilterError(f"{name} holds {_kind(value)}, no expression.", _FILTER)
    if len(value) > _LONGEST_EXPRESSION:
        raise FilterError(f"{name} holds an expression of {len(value):,} characters.", f"Give {_LONGEST_EXPRESSION:,} at most.")
    return value


def _each(name: str, values: Any, remedy: str) -> Iterator[Any]:
    if isinstance(values, str | bytes | bytearray | Mapping) or not isinstance(values, Iterable):
        raise InputError(f"{name} is {_kind(values)}.", remedy)
    iterator = iter(values)
    while True:
        try:
            value = next(iterator)
        except StopIteration:
            return
        except RecsysError:
            raise
        except Exception as error:
            raise InputError(f"What gives {name} failed ({type(error).__name__}).", "See its cause.") from error
        yield value


def _kind(value: Any) -> str:
    """Return what a value is (its class), without telling the value."""
    if value is None:
        return "None"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return _a(type(value).__name__)


def _a(word: str) -> str:
    return f"{'an' if word[:1].lower() in 'aeiou' else 'a'} {word}"
