"""Yes or no, in the words of shops and languages; of an item: whether it can be had."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from es_recsys.values.nulls import is_null, stripped, words
from es_recsys.values.unicode import nfc

__all__ = ["parse_bool"]

_TRUE_WORDS = words(
    "true t yes y 1 on enabled active available instock instoreonly onlineonly limitedavailability limitedstock lowstock"
    " backorder onbackorder backordered backorderable preorder presale preordered madetoorder published"
    " visible ja oui si sí sì sim da tak"
    " auflager lieferbar verfügbar vorrätig enstock disponible disponibile disponível"
    " dostępny opvoorraad vorhanden"
)
_FALSE_WORDS = words(
    "false f no n 0 off disabled inactive unavailable outofstock notinstock notavailable nostock soldout discontinued"
    " draft hidden archived expired nein non não nao nej nie niet ausverkauft nichtlieferbar nichtverfügbar nichtvorrätig"
    " vergriffen rupturedestock épuisé indisponible agotado sinstock esaurito esgotado indisponível nondisponibile"
    " nodisponible niedostępny uitverkocht nietopvoorraad"
)
_BOOL_WORDS = _TRUE_WORDS | _FALSE_WORDS
_SEPARATORS = str.maketrans("", "", " _-.'\u00a0")


def parse_bool(value: Any) -> bool | None:
    """Return True or False, None where the value means nothing.

    A number says how many there are.

    What can be ordered counts as available: "backorder" and "preorder" do, "discontinued" doesn't. An address of
    schema.org ("https://schema.org/InStock") is read by its end. Raises ValueError.
    """
    if isinstance(value, bool):
        return value
    # "True" and "False", as most flags are.
    if isinstance(value, str) and value.isascii() and (word := value.lower()) in _BOOL_WORDS:
        return word in _TRUE_WORDS
    if is_null(value):
        return None
    if isinstance(value, str):
        text = stripped(value)
        word = text.rsplit("/", 1)[-1] if "schema.org/" in text.lower() else text
        word = nfc(word).lower()
        word = word.translate(_SEPARATORS) if word[-1:].isalpha() else word
        if word in _TRUE_WORDS:
            return True
        if word in _FALSE_WORDS:
            return False
        try:
            value = float(text)
        except ValueError:
            value = -1
    if isinstance(value, int | float | Decimal) and value >= 0:
        return value > 0
    raise ValueError("is not true or false (nor yes, no, 1, 0, in stock, out of stock, ...)")
