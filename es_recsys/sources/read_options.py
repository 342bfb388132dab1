"""How files of items and events are read, as a person says it: one checked value that goes through every step of reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from datetime import UTC, tzinfo
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict
from pydantic.dataclasses import dataclass

from es_recsys.errors import InputError
from es_recsys.sources.encodings import parse_encoding
from es_recsys.sources.list_cells import ListFormat
from es_recsys.sources.option_pairs import parse_pairs
from es_recsys.sources.separators import parse_separator
from es_recsys.values.timezones import parse_timezone

__all__ = ["DEFAULT_OPTIONS", "ReadOptions", "parse_columns", "parse_constants"]


def parse_columns(texts: str | Iterable[str]) -> dict[str, str]:
    """Parse `item_id=movieId,title=name` to {"item_id": "movieId", "title": "name"}; several such texts are joined.

    Raises InputError for what is not FIELD=COLUMN, and for a field that is named twice.
    """
    return _unique(parse_pairs(texts, "--columns", "FIELD=COLUMN", "item_id=movieId,title=name"), "--columns")


def parse_constants(texts: str | Iterable[str]) -> dict[str, str]:
    """Parse `event_type=view` to {"event_type": "view"}; the value may have commas. Raises InputError as `parse_columns`."""
    return _unique(parse_pairs(texts, "--constant", "FIELD=VALUE", "currency=EUR", one=True), "--constant")


def _unique(pairs: Iterable[tuple[str, str]], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise InputError(f"{option} names {name} twice.", "Keep one of the two.")
        found[name] = value
    return found


def _checked_separator(text: str | None) -> str | None:
    if text is not None:
        parse_separator(text)
    return text


def _checked_encoding(name: str | None) -> str | None:
    return None if name is None else parse_encoding(name)


def _checked_timezone(given: tzinfo | str | None) -> tzinfo | None:
    if not isinstance(given, str):
        return given
    try:
        return parse_timezone(given)
    except ValueError as error:
        raise InputError(f"--timezone: {error}.", "Give the zone in which times without one were written.") from None


@dataclass(frozen=True, config=ConfigDict(arbitrary_types_allowed=True, extra="forbid"))
class ReadOptions:
    """Options of reading files.

    columns: field -> column of the file, which may be a dotted path into objects; for items also new name of an attribute ->
    column. "-" leaves the column out. constants: field -> value for rows that have none.
    separator: of CSV, None to detect it in the first lines. header: False for CSV whose first line is data; its columns are then
    column1, column2, ... encoding: of text, None for UTF-8, or UTF-16 where the first bytes show that.
    day_first: whether 01/02/2021 is in February; None for what the column shows.
    format: name of a well-known data set or export (named_formats/), which says what the other options don't.
    names: of the columns of a file without a header. transform: makes other rows of those of a file. notes: what is told of it.

    Of items: list_separators: attribute -> format of its cells with lists, "" for categories and tags (`parse_list_separators`);
    else what the column shows.

    Of events: timestamps: False for a source whose order is each user's order. actions: name of an action in any spelling ->
    event type or "ignore", before the names that are known. timezone: of times that name none; UTC where it isn't given.
    rating_scale: worst and best rating ("0..10"); None for what the ratings show.

    Raises InputError for a value that can't be used.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    separator: Annotated[str | None, AfterValidator(_checked_separator)] = None
    header: bool = True
    encoding: Annotated[str | None, AfterValidator(_checked_encoding)] = None
    day_first: bool | None = None
    format: str | None = None
    names: tuple[str, ...] = ()
    transform: Callable[[Iterator[Any]], Iterator[Any]] | None = None
    notes: tuple[str, ...] = ()
    list_separators: Mapping[str, ListFormat] = field(default_factory=dict)
    timestamps: bool = True
    actions: Mapping[str, str] = field(default_factory=dict)
    timezone: Annotated[tzinfo | str | None, AfterValidator(_checked_timezone)] = None
    rating_scale: str | None = None

    @property
    def zone(self) -> tzinfo:
        """The zone of times that name none."""
        return self.timezone if isinstance(self.timezone, tzinfo) else UTC


DEFAULT_OPTIONS = ReadOptions()
