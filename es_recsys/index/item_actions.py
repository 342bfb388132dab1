"""The bulk actions that make an index hold given items: which have changed, which need encoding, which are to go."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from elasticsearch import Elasticsearch

from es_recsys.errors import InputError
from es_recsys.index import versions
from es_recsys.index.bulk_actions import Action
from es_recsys.index.documents import Vectors, document_digest, to_document, with_vectors
from es_recsys.index.fetch import fetch_sources, fetch_vectors, scan_ids
from es_recsys.index.id_set import IdSet
from es_recsys.index.item_languages import ItemLanguages
from es_recsys.index.sequence_numbers import Checkpoints, checkpoints
from es_recsys.index.stored_metadata import encoder_fingerprints
from es_recsys.index_metadata import IndexMetadata
from es_recsys.progress import ProgressCounter
from es_recsys.types import Item

__all__ = ["Encode", "ItemActions"]

Encode = Callable[[Sequence[Item]], Sequence[Vectors]]
"""Items -> the encoders' vectors of each, a field being left out or None where an item has no such content."""

_BATCH = 256
_RECENT = 20 * _BATCH
# How often a load looks whether another version went live.
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Changed:
    """An item that has to be written, with its document and digest. stored: whether the index has it."""

    item: Item
    source: Mapping[str, Any]
    digest: str
    stored: bool


class ItemActions:
    """Turns items into actions on the index of `metadata`, and counts what it leaves alone.

    remove_others: whether items that are not given are removed. into_empty: whether the index was empty at
    the start, so that there is nothing to compare with. checkpoints: up to where the index was written before.
    """

    def __init__(
        self,
        client: Elasticsearch,
        metadata: IndexMetadata,
        encode: Encode | None,
        progress: ProgressCounter,
        *,
        remove_others: bool = False,
    ) -> None:
        self.metadata = metadata
        self.progress = progress
        self.unchanged = 0
        self.regrouped = 0
        self.into_empty = False
        self.checkpoints: Checkpoints = {}
        self._client = client
        self._encode = encode
        self._remove_others = remove_others
        self._given = IdSet()
        self._any_given = False
        self._recent: OrderedDict[str, None] = OrderedDict()
        self._looked_at = 0.0
        # Attribute -> whether its field is one of texts.
        self._is_text: dict[str, bool] = {}
        self.languages = ItemLanguages(metadata.language) if metadata.mixes_languages else None

    def begin(self) -> None:
        """Look at the index that is written to from now on."""
        index = self.metadata.index
        self._client.indices.refresh(index=index)
        self.checkpoints = checkpoints(self._client, index)
        self.into_empty = self._client.count(index=index)["count"] == 0
        self._recent.clear()
        self._is_text = {path.removeprefix("attributes."): kind == "keyword" for path, kind in self.metadata.fields.items()}

    def of(self, items: Iterator[Item]) -> Iterator[Action]:
        """Yield the actions of the items that are left, up to where another version goes live.

        Raises InputError where others are to be removed and no items are given, which would remove everything.
        """
        fingerprints = encoder_fingerprints(self.metadata)
        while not self._is_version_replaced():
            batch = list(islice(items, _BATCH))
            if not batch:
                yield from self._removals()
                return
            self._any_given = True
            self._given.update(item.item_id for item in batch)
            yield from self._batch(batch, fingerprints)

    def _is_version_replaced(self) -> bool:
        if time.monotonic() - self._looked_at < _LOOK_S:
            return False
        self._looked_at = time.monotonic()
        return versions.live_version(self._client, self.metadata.store) != self.metadata.version

    def _removals(self) -> Iterator[Action]:
        if not self._remove_others:
            return
        if not self._any_given:
            raise InputError("There are no items, so everything would be removed.", "To mean that: es-recsys index drop --store.")
        for ids in scan_ids(self._client, self.metadata.index):
            yield from (Action(item_id, operation="delete") for item_id in self._given.missing(ids))

    def _batch(self, batch: Sequence[Item], fingerprints: Mapping[str, str]) -> Iterator[Action]:
        stored: dict[str, dict[str, Any]] = {}
        if not self.into_empty:
            ids = [item.item_id for item in batch]
            stored = fetch_sources(self._client, self.metadata.index, ids, ["content_digest", "group_id"])
        changed: list[_Changed] = []
        unchanged = 0
        for item in batch:
            try:
                source = to_document(item)
                digest = document_digest(source, fingerprints)
            except (InputError, TypeError) as error:
                yield Action(item.item_id, item.model_dump(), problem=f"The item can't be written as JSON: {error}")
                continue
            before = stored.get(item.item_id)
            if self._has_changed(item.item_id, digest, before):
                changed.append(_Changed(item, source, digest, before is not None))
                self.regrouped += before is not None and before.get("group_id") != item.group_id
            else:
                unchanged += 1
        if unchanged:
            self.unchanged += unchanged
            self.progress.advance(unchanged)
        yield from self._writes(changed)

    def _has_changed(self, item_id: str, digest: str, stored: Mapping[str, Any] | None) -> bool:
        """Return whether the item has to be written. Ids written a moment ago are: their stored digest may be older."""
        recent = item_id in self._recent
        if not recent and stored is not None and stored.get("content_digest") == digest:
            return False
        self._recent[item_id] = None
        self._recent.move_to_end(item_id)
        while len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
        return True

    def _writes(self, changed: Sequence[_Changed]) -> Iterator[Action]:
        items = [one.item for one in changed]
        encoded: Sequence[Vectors] = self._encode(items) if self._encode is not None and items else [{}] * len(items)
        kept = self._model_vectors(sorted({one.item.item_id for one in changed if one.stored}))
        for one, vectors in zip(changed, encoded, strict=True):
            item_id = one.item.item_id
            source = self._with_searched_texts(one)
            if self.languages is not None:
                source = self.languages.with_fields(source)
            yield Action(item_id, with_vectors(source, {**kept.get(item_id, {}), **vectors}, one.digest))

    def _with_searched_texts(self, one: _Changed) -> Mapping[str, Any]:
        """Return the document with texts among an attribute's numbers, dates or flags copied to where searches find them.

        Elasticsearch by itself copies only those of a field of texts there.
        """
        found: list[str] = []
        for name, value in one.item.attributes.items():
            texts = [each for each in (value if isinstance(value, tuple) else (value,)) if isinstance(each, str)]
            # The first value decides the type of a new field.
            if not self._is_text.setdefault(name, bool(texts)) and texts and "." not in name:
                found += texts
        return one.source if not found else {**one.source, "all_text": [*one.source.get("all_text", ()), *found]}

    def _model_vectors(self, item_ids: Sequence[str]) -> dict[str, Vectors]:
        """Return the vectors that models gave to items that are about to be written again."""
        fields = self.metadata.vectors.keys() - encoder_fingerprints(self.metadata).keys()
        if not fields or not item_ids:
            return {}
        return {**fetch_vectors(self._client, self.metadata.index, item_ids, sorted(fields))}
