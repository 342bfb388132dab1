"""Item table: the catalogue as the models read it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import ItemTable
from es_recsys.encoders.item_content import item_text
from es_recsys.index.documents import from_document
from es_recsys.index.fetch import scan
from es_recsys.index_metadata import IndexMetadata
from es_recsys.serving.workspace import Workspace
from es_recsys.types import Item
from es_recsys.vector_fields import is_encoder_field

__all__ = ["item_table", "plain_table", "table_of"]

_PLAIN = ("group_id", "categories", "brand", "price", "created_at")


def item_table(work: Workspace, metadata: IndexMetadata) -> ItemTable:
    """Return all items of a version, by id, with the vectors that encoders gave them.

    It is held in memory: about 4 bytes a dimension and item, and the texts.
    """
    fields = [name for name in metadata.vectors if is_encoder_field(name)]
    items: list[Item] = []
    rows: dict[str, list[tuple[int, NDArray[np.float32]]]] = {name: [] for name in fields}
    for hits in scan(work.es, metadata.index, vectors=bool(fields)):
        for hit in hits:
            source = hit["_source"]
            for name in fields:
                if source.get(name) is not None:
                    rows[name].append((len(items), np.asarray(source[name], np.float32)))
            items.append(from_document({key: value for key, value in source.items() if key not in metadata.vectors}))
    vectors = {}
    for name in fields:
        vectors[name] = np.zeros((len(items), metadata.vectors[name].dims), np.float32)
        for row, vector in rows.pop(name):
            vectors[name][row] = vector
    return table_of(items, vectors)


def plain_table(work: Workspace, metadata: IndexMetadata) -> ItemTable:
    """Return all items of a version, by id, without texts, attributes and vectors."""
    pages = scan(work.es, metadata.index, fields=_PLAIN)
    return table_of([from_document({**hit["_source"], "item_id": hit["_id"]}) for hits in pages for hit in hits])


def table_of(items: Sequence[Item], vectors: dict[str, NDArray[np.float32]] | None = None) -> ItemTable:
    """Return the table of these items, sorted by id.

    The first variant by id stands for its product, under the product's id. vectors: field -> (n, d) float32 in the order of
    `items`.
    """
    firsts: dict[str, int] = {}
    for row in sorted(range(len(items)), key=lambda row: items[row].item_id):
        firsts.setdefault(items[row].product_id, row)
    ids = sorted(firsts)
    order = [firsts[product_id] for product_id in ids]
    ordered = [items[row] for row in order]
    return ItemTable(
        item_ids=np.array(ids, dtype=np.str_),
        texts=[item_text(one) or "" for one in ordered],
        titles=[one.title for one in ordered],
        categories=[one.categories for one in ordered],
        brands=[one.brand or "" for one in ordered],
        prices=np.array([math.nan if one.price is None else one.price for one in ordered]),
        created=np.array([math.nan if one.created_at is None else one.created_at.timestamp() for one in ordered]),
        vectors={name: rows[order] for name, rows in (vectors or {}).items()},
        attributes=_attributes(ordered),
    )


def _attributes(items: Sequence[Item]) -> dict[str, list[tuple[str, ...]]]:
    """Return tags and attributes as words; numbers and dates are no such words, a yes or no is one."""
    found = {"tags": [one.tags for one in items]}
    if any(one.author for one in items):
        found["author"] = [(one.author,) if one.author else () for one in items]
    for name in sorted({name for one in items for name in one.attributes}):
        values = [_words(one.attributes.get(name)) for one in items]
        if any(values):
            found[f"attributes.{name}"] = values
    return found


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, bool):
        return (str(value).lower(),)
    if isinstance(value, str):
        return (value,) if value else ()
    if isinstance(value, list | tuple):
        return tuple(one for one in value if isinstance(one, str) and one)
    return ()
