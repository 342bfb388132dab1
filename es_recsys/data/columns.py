"""Whose column is whose: renames, constants, and what to say when a column is not there."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from es_recsys.data.rejects import Rejects
from es_recsys.data.tables import Row, Table
from es_recsys.errors import InputError

__all__ = ["Columns", "checked_rows", "dig", "parse_columns", "parse_constants"]

_LOOKED_AT = 100
_OTHER_NAMES = {
    "item_id": "id itemid item productid product sku asin movieid docid documentid articleid trackid isbn",
    "user_id": "userid user uid visitorid visitor customerid customer memberid reviewerid",
    "session_id": "sessionid session visitid clientid",
    "timestamp": "time ts date datetime unixtime createdat eventtime unixreviewtime",
    "event_type": "event type action eventname behavior behaviour actionname",
}


@dataclass(frozen=True)
class Columns:
    """What each of our fields is called in the files.

    fields: names of ours. renames: ours -> theirs; a dotted name reaches into an object. constants: ours -> a value
    for lines that have none. required: groups of which each line needs at least one. free: whether other columns are
    kept (attributes of items).
    """

    fields: tuple[str, ...]
    renames: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[tuple[str, ...], ...] = ()
    free: bool = False

    def __post_init__(self) -> None:
        if self.free:
            return
        forms = ((self.renames, "--columns", "OURS=THEIRS"), (self.constants, "--constant", "NAME=VALUE"))
        for given, option, form in forms:
            for name in given:
                if name not in self.fields:
                    raise InputError(
                        f"{option}: there is no field {name!r}.{_did_you_mean(name, self.fields)}",
                        f"The fields are {', '.join(self.fields)}; write {option} {form}.",
                    )

    def theirs(self, name: str) -> str:
        return self.renames.get(name, name)

    def check(self, path: Any, names: Sequence[str], *, complete: bool) -> str | None:
        """Raise InputError where a required column is not among `names`; return a remark on others that are named but
        not there. complete: `names` is a whole header, so a column that was asked for and isn't there is an error."""
        for group in self.required:
            if not any(name in self.constants or _has(names, self.theirs(name)) for name in group):
                raise self._missing(path, group, names)
        absent = [theirs for theirs in self.renames.values() if not _has(names, theirs)]
        if absent and complete:
            raise InputError(
                f"{path} has no column {absent[0]!r}.{_did_you_mean(absent[0], names)}", f"It has: {_some(names)}. See --columns."
            )
        return f"{path}: no line of the first {_LOOKED_AT} has {', '.join(absent)} (--columns)." if absent else None

    def _missing(self, path: Any, group: tuple[str, ...], names: Sequence[str]) -> InputError:
        wanted = " or ".join(self.theirs(name) for name in group)
        hint = next(((name, near) for name in group if (near := _nearest(name, names))), None)
        remedy = f"If it is called {hint[1]!r} there, say --columns {hint[0]}={hint[1]}." if hint else "Name it with --columns."
        return InputError(f"{path} has no column {wanted}; it has: {_some(names)}.", remedy)


def checked_rows(table: Table, columns: Columns, rejects: Rejects | None = None) -> Iterator[Row]:
    """Rows of a table whose columns are there: by its header, or by its first lines together where it has none."""
    if table.columns is not None:
        if "action_name" not in table.columns and not any(name.startswith("event_attributes") for name in table.columns):
            columns.check(table.path, table.columns, complete=True)
        yield from table.rows
        return
    first = list(islice(table.rows, _LOOKED_AT))
    seen = dict.fromkeys(chain.from_iterable(_names(row.values) for row in first))
    # UBI documents bring their own names; where there is no line at all, the rejects say why.
    if first and "action_name" not in seen and "user_query" not in seen:
        remark = columns.check(table.path, list(seen), complete=False)
        if remark and rejects is not None:
            rejects.note(remark)
    yield from first
    yield from table.rows


def dig(values: Mapping[str, Any], name: str) -> Any:
    """The value of a column, or of a dotted path into objects; None where it is not there."""
    if name in values or "." not in name:
        return values.get(name)
    here: Any = values
    for part in name.split("."):
        if not isinstance(here, Mapping):
            return None
        here = here.get(part)
    return here


def parse_columns(texts: str | Iterable[str]) -> dict[str, str]:
    """`item_id=movieId,title=name` -> {"item_id": "movieId", "title": "name"}; several such texts are joined."""
    given = (texts,) if isinstance(texts, str) else texts
    return _pairs((part for text in given for part in text.split(",") if part.strip()), "--columns", "OURS=THEIRS")


def parse_constants(texts: str | Iterable[str]) -> dict[str, str]:
    """`event_type=view` -> {"event_type": "view"}; the value may have commas."""
    return _pairs((texts,) if isinstance(texts, str) else texts, "--constant", "NAME=VALUE")


def _pairs(parts: Iterable[str], option: str, form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name or not value:
            raise InputError(f"{option} {part.strip()!r} is not {form}.", f"Write {option} {form}.")
        if name in pairs:
            raise InputError(f"{option} names {name} twice.", "Keep one of the two.")
        pairs[name] = value
    return pairs


def _names(values: Mapping[str, Any], prefix: str = "", depth: int = 3) -> Iterator[str]:
    for key, value in values.items():
        yield prefix + str(key)
        if isinstance(value, dict) and depth:
            yield from _names(value, f"{prefix}{key}.", depth - 1)


def _has(names: Sequence[str], theirs: str) -> bool:
    # The header of a Parquet file shows an object, not what is in it.
    return theirs in names or ("." in theirs and theirs.split(".")[0] in names)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _nearest(name: str, names: Sequence[str]) -> str | None:
    known = _OTHER_NAMES.get(name, "").split()
    plain = {_plain(theirs): theirs for theirs in reversed(names)}
    for other in (_plain(name), *known):
        if other in plain:
            return plain[other]
    close = difflib.get_close_matches(_plain(name), list(plain), n=1, cutoff=0.6)
    return plain[close[0]] if close else None


def _did_you_mean(name: str, names: Sequence[str]) -> str:
    near = _nearest(name, names)
    return f" Did you mean {near!r}?" if near else ""


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:20])
    return f"{shown}, ..." if len(names) > 20 else shown
