"""How the values of fields are written, inferred from all rows: ids, numbers, times, and the words that stand for no text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any, Protocol

from es_recsys.values import (
    DecimalMarkInference,
    IdFormat,
    IdFormatInference,
    NullWordInference,
    NumberFormat,
    TimeFormat,
    TimeFormatInference,
)

__all__ = ["FieldFormatInference", "FieldFormats"]


class _Inference(Protocol):
    def add(self, value: Any) -> None: ...


@dataclass(frozen=True)
class FieldFormats:
    """The format of each field's values.

    null_words: the words of a field that stand for nothing. notes: what was inferred, a line each.
    """

    ids: Mapping[str, IdFormat] = field(default_factory=dict)
    numbers: Mapping[str, NumberFormat] = field(default_factory=dict)
    times: Mapping[str, TimeFormat] = field(default_factory=dict)
    null_words: Mapping[str, Collection[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class FieldFormatInference:
    """Infers the formats of the named fields from their values, over all files. Memory is flat.

    texts: field -> inference of its null words. day_first: what dates such as 01/02/2021 are, None for what the files show.
    """

    def __init__(
        self,
        *,
        ids: Iterable[str],
        times: Iterable[str],
        numbers: Iterable[str] = (),
        texts: Mapping[str, NullWordInference] | None = None,
        day_first: bool | None = None,
    ) -> None:
        self.ids = {name: IdFormatInference() for name in ids}
        self.numbers = {name: DecimalMarkInference() for name in numbers}
        self.times = {name: TimeFormatInference(day_first) for name in times}
        self.texts = dict(texts or {})
        self._named_texts = tuple(self.texts)
        self._by_name: list[tuple[str, _Inference]] = [
            *self.ids.items(),
            *self.numbers.items(),
            *self.times.items(),
            *self.texts.items(),
        ]

    def add(self, fields: Mapping[str, Any]) -> None:
        """Look at the fields of one row."""
        for name, inference in self._by_name:
            if name in fields:
                inference.add(fields[name])

    def add_columns(self, fields: Mapping[str, Sequence[Any]]) -> None:
        """Look at the fields of many rows."""
        for name, ids in self.ids.items():
            ids.add_all(fields.get(name, ()))
        for name, times in self.times.items():
            times.add_all(fields.get(name, ()))

    def add_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Look at the texts of one row under other names, for their null words."""
        for name, value in attributes.items():
            if type(value) is str:
                words = self.texts.get(name)
                if words is None:
                    words = self.texts[name] = NullWordInference(named=False)
                words.add(value)

    def infer(self, zone: tzinfo = UTC) -> FieldFormats:
        """Return what the values show. zone: of times that name none."""
        null_words = {name: words for name, inference in self.texts.items() if (words := inference.infer())}
        return FieldFormats(
            {name: inference.infer() for name, inference in self.ids.items()},
            {name: inference.infer() for name, inference in self.numbers.items()},
            {name: inference.infer(zone) for name, inference in self.times.items()},
            null_words,
            tuple(self._notes(null_words)),
        )

    def _notes(self, null_words: Mapping[str, Collection[str]]) -> Iterator[str]:
        for group in (self.ids, self.numbers, self.times):
            for name, inference in group.items():
                yield from inference.notes(name)
        for name in self._named_texts:
            if words := null_words.get(name):
                yield f"{name}: {' and '.join(sorted(words))} {'stands' if len(words) == 1 else 'stand'} for nothing."
