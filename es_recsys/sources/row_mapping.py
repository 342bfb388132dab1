"""A row of a catalogue -> what is a field of Item and what an attribute, before any type is decided."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from es_recsys.errors import InputError
from es_recsys.sources.attribute_types import TypeInference, convert
from es_recsys.sources.attributes import MAX_ATTRIBUTES, attribute_name, flatten
from es_recsys.sources.column_mapping import ColumnMapping, get_path
from es_recsys.sources.list_cells import ListFormat, split_cell
from es_recsys.sources.row_errors import InvalidValue, OnInvalidField
from es_recsys.types import Item
from es_recsys.values import is_null_text

__all__ = ["ITEM_FIELDS", "ItemRowMapping"]

ITEM_FIELDS = tuple(name for name in Item.model_fields if name != "attributes")

_CONTAINERS = frozenset({dict, list})
_Target = tuple[bool, str]


class ItemRowMapping:
    """Where each column goes. Remembers every name it has met: at most MAX_ATTRIBUTES of them are attributes.

    list_formats: of attributes whose cells hold lists in a way that was said.
    """

    def __init__(self, columns: ColumnMapping, list_formats: Mapping[str, ListFormat] | None = None) -> None:
        self._list_formats = list_formats or {}
        self._owners: dict[str, str] = {}
        self.use(columns)

    def use(self, columns: ColumnMapping) -> None:
        """Take the columns of another file from now on."""
        self.columns = columns
        self._plan: dict[str, tuple[_Target, ...]] = {}
        self._is_dropped = lru_cache(maxsize=1_000)(columns.is_dropped)
        self._wanted: dict[str, list[_Target]] = {}
        for field in dict.fromkeys((*ITEM_FIELDS, *columns.renames)):
            for column in columns.columns_of(field):
                self._wanted.setdefault(column, []).append((field in ITEM_FIELDS, field))
        for field in columns.inferred.also_attributes - set(columns.dropped):
            column = columns.inferred.found[field]
            self._wanted[column].append((False, column))
        for column, targets in self._wanted.items():
            self._plan[column] = tuple(
                (is_field, field if is_field else self._named(field, column)) for is_field, field in targets
            )
        self._constants: list[tuple[bool, str, Any]] = []
        for field, value in columns.constants.items():
            is_field = field in ITEM_FIELDS
            name = field if is_field else self._named(field, columns.column_of(field))
            self._constants.append((is_field, name, value if is_field else _typed_constant(value)))

    @property
    def displaced(self) -> tuple[str, ...]:
        """Fields that are read from another column; a column of the field's own name is not read."""
        return tuple(field for field in self.columns.renamed if field in ITEM_FIELDS and field not in self._wanted)

    def column(self, attribute: str) -> str:
        """Return what an attribute is called in the files."""
        return self._owners.get(attribute, attribute)

    def plan(self, name: str) -> tuple[_Target, ...]:
        """Return where a column goes: (whether to a field, its name there).

        Raises InvalidValue for a name that no attribute can have, or that another has already, InputError for one
        attribute too many.
        """
        targets = self._plan.get(name)
        if targets is None:
            unread = name in self.displaced or self._is_dropped(name)
            targets = () if unread else ((False, self._attribute(name, name)),)
            self._plan[name] = targets
        return targets

    def split(self, values: Mapping[str, Any], typed: bool, drop: OnInvalidField) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return fields and attributes of a row, values as they are, lists of attributes taken apart, absent ones left out.

        drop: gets the names that can't be used.
        """
        fields: dict[str, Any] = {}
        attributes: dict[str, Any] = {}
        plan = self._plan
        for key, value in values.items():
            if value is None or value == "":
                continue
            targets = plan.get(key)
            if type(value) is not str and (not targets or not targets[0][0]) and _is_nested(value):
                if not self._is_dropped(key):
                    self._split_nested(key, targets[0][1] if targets else key, value, fields, attributes, drop)
                continue
            if targets is None:
                targets = self._targets(key, value, drop)
            for is_field, name in targets:
                if not is_field:
                    attributes[name] = value if typed and not self._list_formats else self._cell(name, value, typed)
                elif not is_null_text(value):
                    fields[name] = value
        for is_field, name, value in self._constants:
            (fields if is_field else attributes).setdefault(name, value)
        return fields, attributes

    def _cell(self, name: str, value: Any, typed: bool) -> Any:
        list_format = self._list_formats.get(name)
        if not isinstance(value, str) or (typed and list_format is None):
            return value
        return split_cell(value) if list_format is None else split_cell(value, list_format)

    def _targets(self, name: str, value: Any, drop: OnInvalidField) -> tuple[_Target, ...]:
        """Return `plan` of a column; none, and `drop` is told, where its name can't be used."""
        try:
            return self.plan(name)
        except InvalidValue as bad:
            drop(bad.field, bad.reason, value)
            return ()

    def _split_nested(
        self, key: str, shown: str, value: Any, fields: dict[str, Any], attributes: dict[str, Any], drop: OnInvalidField
    ) -> None:
        """Add the leaves of an object under `key`, which are named from `shown`."""
        for column in self._wanted:
            # A whole list that a dotted rename asks for, such as categories=meta.path.
            if column.startswith(key + ".") and (inner := get_path({key: value}, column)) not in (None, ""):
                for is_field, name in self._plan[column]:
                    if is_field or not _is_nested(inner):
                        (fields if is_field else attributes)[name] = inner
        try:
            found = list(flatten(shown, value))
        except InvalidValue as bad:
            drop(bad.field, bad.reason, None)
            return
        for name, leaf in found:
            if leaf is not None and leaf != "":
                for is_field, field in self._targets(name, leaf, drop):
                    (fields if is_field else attributes).setdefault(field, leaf)

    def _named(self, name: str, column: str) -> str:
        """Return what `_attribute` does, for a name that --columns or --constant gives. Raises InputError."""
        try:
            return self._attribute(name, column)
        except InvalidValue as bad:
            raise InputError(f"The column {column!r} {bad.reason}.", "Give another name with --columns NEW=OLD.") from None

    def _attribute(self, name: str, column: str) -> str:
        clean = attribute_name(name)
        owner = self._owners.setdefault(clean, column)
        if owner != column:
            raise InvalidValue(column, f"and the column {owner!r} would both be the attribute {clean}")
        if len(self._owners) > MAX_ATTRIBUTES:
            raise InputError(
                f"The catalogue has more than {MAX_ATTRIBUTES} attributes; the one too many is {column!r}.",
                f"Leave columns out ({_drop_option(self._owners)}), or put such values into one list (tags, or an attribute"
                " of lists).",
            )
        return clean


def _drop_option(names: Iterable[str]) -> str:
    """Return the option that leaves the most columns of one pattern out."""
    stems = Counter(re.sub(r"[0-9]+", "*", name) for name in names)
    pattern, count = stems.most_common(1)[0]
    return f"--columns '{pattern}=-'" if count > 1 else "--columns NAME=-"


def _is_nested(value: Any) -> bool:
    kind = type(value)
    return kind is dict or (kind is list and not _CONTAINERS.isdisjoint(map(type, value)))


def _typed_constant(value: Any) -> Any:
    """Return a constant attribute, which a person wrote as text, with the type that a CSV cell would have."""
    if not isinstance(value, str):
        return value
    inference = TypeInference()
    inference.add(value, typed=False)
    return convert(value, inference.infer(), typed=False)
