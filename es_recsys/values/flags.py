"""Yes or no, in the words of shops and languages; of an item: whether it can be had."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from es_recsys.values.forms import composed
from es_recsys.values.missing import is_missing, stripped, words

__all__ = ["read_flag"]

_YES = words(
    "true t yes y 1 on enabled active available instock instoreonly onlineonly limitedavailability limitedstock lowstock"
    " backorder onbackorder backordered backorderable preorder presale preordered madetoorder published"
    " visible ja oui si sí sì sim da tak"
    " auflager lieferbar verfügbar vorrätig enstock disponible disponibile disponível"
    " dostępny opvoorraad vorhanden"
)
_NO = words(
    "false f no n 0 off disabled inactive unavailable outofstock notinstock notavailable nostock soldout discontinued"
    " draft hidden archived expired nein non não nao nej nie niet ausverkauft nichtlieferbar nichtverfügbar nichtvorrätig"
    " vergriffen rupturedestock épuisé indisponible agotado sinstock esaurito esgotado indisponível nondisponibile"
    " nodisponible niedostępny uitverkocht nietopvoorraad"
)
_EITHER = _YES | _NO
_JOINTS = str.maketrans("", "", " _-.'\u00a0")


def read_flag(value: Any) -> bool | None:
    """True or False, None where the value means nothing. A number says how many there are.

    What can be ordered counts as available: "backorder" and "preorder" do, "discontinued" doesn't. An address of
    schema.org ("https://schema.org/InStock") is read by its end. Raises ValueError.
    """
    if isinstance(value, bool):
        return value
    # "True" and "False", as most flags are.
    if isinstance(value, str) and value.isascii() and (word := value.lower()) in _EITHER:
        return word in _YES
    if is_missing(value):
        return None
    if isinstance(value, str):
        text = stripped(value)
        word = text.rsplit("/", 1)[-1] if "schema.org/" in text.lower() else text
        word = composed(word).lower()
        word = word.translate(_JOINTS) if word[-1:].isalpha() else word
        if word in _YES:
            return True
        if word in _NO:
            return False
        try:
            value = float(text)
        except ValueError:
            value = -1
    if isinstance(value, int | float | Decimal) and value >= 0:
        return value > 0
    raise ValueError("is not true or false (nor yes, no, 1, 0, in stock, out of stock, ...)")
