"""Exports of shops as plain rows: names of options become names of attributes, and every variant has an id.

Shopify: the rows of a handle are its variants; only the first says title, text and what the options are called, and some only
bring another picture. WooCommerce: variations name their product under Parent, by `id:` and number or by SKU.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from es_recsys.counting import counted
from es_recsys.sources.column_aliases import HANDLE_COLUMNS, is_shopify, is_woocommerce, normalize_name
from es_recsys.sources.column_mapping import ColumnMapping
from es_recsys.sources.rejected_rows import RejectedRows
from es_recsys.sources.tables import Row, Table
from es_recsys.types import Item

__all__ = ["normalize_shop_rows"]

_OPTION = re.compile(r"(?:option|attribute)(\d+)(name|values?)")
_VARIANT_COLUMNS = frozenset({"sku", "price", "barcode", "compareatprice"})
_MAX_OPTIONS = 50
_DEFAULT_OPTION = "default title"


def normalize_shop_rows(
    table: Table, columns: ColumnMapping, rows: Iterator[Row], rejected: RejectedRows | None = None
) -> Iterator[Row]:
    """Return the rows of a file, those of an export of Shopify or WooCommerce as ordinary rows.

    Of such an export, options are under their own names, the products of variations under the id that they have as items,
    and each variant has an id. rejected: is told what was done.

    The same rows come out as often as a file is read.
    """
    plain = {normalize_name(name): name for name in reversed(table.columns or ())}
    options = _Options(table.columns or (), columns)
    if is_shopify(plain):
        handle = next(plain[name] for name in HANDLE_COLUMNS if name in plain)
        return _shopify(rows, columns, options, handle, rejected)
    if is_woocommerce(plain):
        return _woocommerce(rows, columns, options, plain)
    return rows


class _Options:
    """Columns that go in pairs: what an option is called (Size), and its value (S)."""

    def __init__(self, names: Iterable[str], columns: ColumnMapping) -> None:
        pairs: dict[str, dict[str, str]] = {}
        for name in names:
            if (found := _OPTION.fullmatch(normalize_name(name))) is not None:
                pairs.setdefault(found[1], {})[found[2].rstrip("s")] = name
        named = {*columns.renamed.values()}
        self.values = [pair["value"] for pair in pairs.values() if "value" in pair]
        self._pairs = [(p["name"], p["value"]) for p in pairs.values() if len(p) == 2 and not named & set(p.values())]
        # An attribute has no name that is another column's or a field's.
        self._taken = {normalize_name(name) for name in (*names, *Item.model_fields)}
        self._names: dict[str, str] = {}

    def named(self, values: dict[str, Any], product: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values with those of options under the options' names, which the product's first row says."""
        for called, valued in self._pairs:
            name, value = _text(values.get(called)) or _text(product.get(called)), _text(values.get(valued))
            ours = self._name(name) if name and value else None
            if ours is not None or value.lower() == _DEFAULT_OPTION:
                values = {key: each for key, each in values.items() if key not in (called, valued)}
            if ours is not None and value.lower() != _DEFAULT_OPTION:
                values[ours] = value
        return values

    def _name(self, name: str) -> str | None:
        plain = normalize_name(name)
        if plain not in self._names and plain and plain not in self._taken and len(self._names) < _MAX_OPTIONS:
            self._names[plain] = name
        # One option in several spellings is one attribute.
        return self._names.get(plain)


def _shopify(
    rows: Iterator[Row], columns: ColumnMapping, options: _Options, handle: str, rejected: RejectedRows | None
) -> Iterator[Row]:
    item = columns.column_of("item_id")
    first: Mapping[str, Any] = {}
    variant: list[str] | None = None
    pictures = unnamed = 0
    for row in rows:
        values = row.values
        if variant is None:
            variant = [name for name in values if _is_variant_column(name)]
        if _text(values.get(handle)) != _text(first.get(handle)):
            first = values
        elif not any(_text(values.get(name)) for name in variant):
            pictures += 1
            continue
        if item != handle and not _text(values.get(item)) and _text(values.get(handle)):
            values = {**values, item: _variant_id(values, handle, options)}
            unnamed += 1
        yield row._replace(values=options.named(values, first))
    if rejected is not None and pictures:
        rejected.note(
            counted(
                pictures,
                "row only has another picture of a product and is not loaded.",
                "rows only have another picture of a product and are not loaded.",
            )
        )
    if rejected is not None and unnamed:
        rejected.note(
            f"{counted(unnamed, 'variant has', 'variants have')} no `{item}`: the item_id is made of `{handle}` and the options."
        )


def _woocommerce(rows: Iterator[Row], columns: ColumnMapping, options: _Options, plain: Mapping[str, str]) -> Iterator[Row]:
    item, number, sku, parent = columns.column_of("item_id"), plain["id"], plain["sku"], plain["parent"]
    products: dict[str, str] = {}
    for row in rows:
        values = row.values
        if _text(values.get(plain["type"])).lower() == "variable" and (own := _text(values.get(item))):
            names = [name for name in (f"id:{_text(values.get(number))}", _text(values.get(sku))) if name]
            # Variations that came before their product have named the group.
            group = next((products[name] for name in names if name in products), own)
            products.update(dict.fromkeys(names, group))
            if group != own:
                values = {**values, parent: group}
        elif whose := _text(values.get(parent)):
            values = {**values, parent: products.setdefault(whose, whose.removeprefix("id:"))}
        yield row._replace(values=options.named(values, {}))


def _is_variant_column(name: str) -> bool:
    plain = normalize_name(name)
    return (
        plain in _VARIANT_COLUMNS or (plain.startswith("variant") and plain != "variantimage") or bool(_OPTION.fullmatch(plain))
    )


def _variant_id(values: Mapping[str, Any], handle: str, options: _Options) -> str:
    chosen = [_text(values.get(name)) for name in options.values]
    return "/".join([_text(values.get(handle)), *(value for value in chosen if value and value.lower() != _DEFAULT_OPTION)])


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
