"""Numbers and prices as people and programs write them: 1,299.00 and 1.299,00, $12.99 and 15.00 USD."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from es_recsys.values.nulls import is_null, stripped, words

__all__ = ["DecimalMarkInference", "NumberFormat", "parse_number", "parse_price"]

_PLAIN = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_BODY = re.compile(r"[+-]?[0-9.,](?:[0-9.,' ]*[0-9.,])?", re.ASCII)
_DECIMAL = re.compile(r"[0-9]+\.(?:[0-9]{1,2}|[0-9]{4,})", re.ASCII)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?P<mark>[.,' ])[0-9]{3}(?:(?P=mark)[0-9]{3})*", re.ASCII)
_LAKHS = re.compile(r"[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}", re.ASCII)
_AMBIGUOUS = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}", re.ASCII)
_DASHED = re.compile(r"[.,] ?[-–—]{1,2}$")
_WHITESPACE = re.compile(r"[\s\u00a0\u202f\u2009]+")
_QUOTES = str.maketrans("’ʼ´`−", "''''-")

_CURRENCY_CODES = words(
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY"
    " COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS"
    " INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU"
    " MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK"
    " SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD"
    " XOF XPF YER ZAR ZMW ZWL"
)
_CURRENCY_SIGNS = {
    "€": "EUR", "£": "GBP", "₹": "INR", "₽": "RUB", "₩": "KRW", "₺": "TRY", "₴": "UAH", "₪": "ILS", "₫": "VND", "฿": "THB",
    "₱": "PHP", "₦": "NGN", "₸": "KZT", "₾": "GEL", "₿": "BTC", "元": "CNY", "円": "JPY", "원": "KRW", "zł": "PLN", "Kč": "CZK",
    "Ft": "HUF", "lei": "RON", "руб": "RUB", "руб.": "RUB", "грн": "UAH", "Fr.": "CHF", "SFr.": "CHF", "Rs": "INR", "Rs.": "INR",
    "R$": "BRL", "US$": "USD", "U$S": "USD", "A$": "AUD", "AU$": "AUD", "C$": "CAD", "CA$": "CAD", "CAN$": "CAD", "NZ$": "NZD",
    "HK$": "HKD", "NT$": "TWD", "S$": "SGD", "SG$": "SGD", "MX$": "MXN", "CN¥": "CNY", "JP¥": "JPY", "RM": "MYR", "Rp": "IDR",
    "Euro": "EUR", "EURO": "EUR", "euro": "EUR",
    # Signs of several currencies stay as they are written.
    "$": "$", "¥": "¥", "￥": "¥", "kr": "kr", "kr.": "kr",
}  # fmt: skip
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_LEADING_SIGN = re.compile("(" + "|".join(map(re.escape, sorted(_CURRENCY_SIGNS, key=len, reverse=True))) + ")(?![^\\W\\d])")
_TRAILING_SIGN = re.compile("(?<![^\\W\\d])(" + "|".join(map(re.escape, sorted(_CURRENCY_SIGNS, key=len, reverse=True))) + ")$")


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How the numbers of one column are written.

    decimal_mark: "." or ","; "" where no value shows it, and then 1.299 is a little more than 1, as programs write it, and
    1,299 a thousand and more.
    """

    decimal_mark: str = ""


def parse_number(value: Any, number_format: NumberFormat = NumberFormat()) -> float | None:
    """Return a finite number, None where the value means nothing.

    Raises ValueError for everything else, a range or "from 5" too.
    """
    return parse_price(value, number_format, currency=False)[0]


def parse_price(
    value: Any,
    number_format: NumberFormat = NumberFormat(),
    *,
    currency: bool = True,
) -> tuple[float | None, str | None]:
    """Return a price and its currency, where the value names one.

    The currency is a code (ISO 4217), or a sign that belongs to several as it is written ("$"). currency: whether one is
    allowed. Raises ValueError.
    """
    if type(value) is float or type(value) is int:
        return (None if value != value else _finite(value)), None
    if isinstance(value, str):
        if number_format.decimal_mark != ",":
            try:
                return _finite(float(value)), None  # as programs write it
            except (ValueError, OverflowError):
                pass  # "nan" among them, which is no number
        return (None, None) if is_null(value) else _parse_text(value, number_format, currency)
    if is_null(value):
        return None, None
    if isinstance(value, bool) or not (isinstance(value, int | float | Decimal) or hasattr(value, "dtype")):
        raise ValueError("is not a number")
    try:
        return _finite(value), None
    except (TypeError, ValueError):
        raise ValueError("is not a finite number") from None


def _finite(value: Any) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("is not a finite number")
    return number


def _parse_text(value: str, number_format: NumberFormat, currency: bool) -> tuple[float, str | None]:
    body, unit = _split_currency(_normalize(value)) if currency else (_normalize(value), None)
    if body.lower().lstrip("+-") in {"inf", "infinity"}:
        raise ValueError("is not a finite number")
    if _PLAIN.fullmatch(body) and not _AMBIGUOUS.fullmatch(body.lstrip("+-")):
        return _finite(body), unit
    if not _BODY.fullmatch(body):
        raise ValueError("is not a number")
    sign = -1.0 if body[0] == "-" else 1.0
    body = body.lstrip("+-")
    mark = number_format.decimal_mark
    if _AMBIGUOUS.fullmatch(body) and not mark:
        # A price has two decimals, but for a few currencies; three digits after a mark are thousands beside a currency.
        thousands = body.count(",") or (unit is not None and unit not in _THREE_DECIMALS)
        mark = ("." if "," in body else ",") if thousands else "."
    return sign * _parse_digits(body, mark), unit


def _normalize(value: str) -> str:
    text = stripped(value).translate(_QUOTES)
    if not text.isascii():
        text = "".join(_ascii_digit(letter) for letter in text)
    return _WHITESPACE.sub(" ", text)


def _ascii_digit(letter: str) -> str:
    digit = unicodedata.decimal(letter, None)
    if digit is not None:
        return str(digit)
    return {"٫": ".", "٬": ",", "，": ",", "．": "."}.get(letter, letter)


def _split_currency(text: str) -> tuple[str, str | None]:
    """Return the number and the currency beside it, where there is one."""
    text = _DASHED.sub("", text)
    sign = ""
    if text[:1] in {"-", "+"}:
        sign, text = text[0], text[1:].lstrip()
    unit = None
    if text[:3].upper() in _CURRENCY_CODES and not text[3:4].isalpha():
        unit, text = text[:3].upper(), text[3:]
    elif text[-3:].upper() in _CURRENCY_CODES and not text[-4:-3].isalpha():
        unit, text = text[-3:].upper(), text[:-3]
    # "$ 12.99 USD", "US$12": a code tells more than a sign.
    if match := _LEADING_SIGN.match(text.lstrip()):
        unit, text = unit or _CURRENCY_SIGNS[match[1]], text.lstrip()[match.end() :]
    elif match := _TRAILING_SIGN.search(text.rstrip()):
        unit, text = unit or _CURRENCY_SIGNS[match[1]], text.rstrip()[: match.start()]
    return sign + _DASHED.sub("", text.strip()), unit


def _parse_digits(body: str, mark: str) -> float:
    """Return the value of digits with marks between; `mark` is the decimal one where both readings make sense."""
    if not _AMBIGUOUS.fullmatch(body):
        mark = _only_mark(body) or mark
    whole, found, part = body.partition(mark) if mark else (body, "", "")
    if found and not (part.isdigit() or not part):
        raise ValueError("is not a number")
    if not (whole.isdigit() or _THOUSANDS.fullmatch(whole) or _LAKHS.fullmatch(whole) or (not whole and part)):
        raise ValueError("is not a number")
    return _finite(re.sub("[.,' ]", "", whole) + "." + part)


class DecimalMarkInference:
    """Infers the decimal mark of one column's numbers, over all files.

    assumed: the mark where no value shows it, as a file between semicolons has a comma.
    """

    __slots__ = ("_ambiguous", "_commas", "_points", "assumed")

    def __init__(self) -> None:
        self.assumed = ""
        self._points = self._commas = 0
        self._ambiguous: str | None = None

    def add(self, value: Any) -> None:
        if not isinstance(value, str) or (mark := _decimal_mark_of(value)) is None:
            return
        if mark == ".":
            self._points += 1
        elif mark == ",":
            self._commas += 1
        else:
            self._ambiguous = self._ambiguous or stripped(value)

    def infer(self) -> NumberFormat:
        """Return the format that most values show."""
        if not self._points and not self._commas:
            return NumberFormat(self.assumed)
        return NumberFormat("." if self._points >= self._commas else ",")

    def notes(self, name: str) -> Iterator[str]:
        """Yield what was assumed of the column `name`, where no value shows it."""
        if self._ambiguous is not None and not (self._points or self._commas):
            number = parse_price(self._ambiguous, self.infer())[0]
            yield f"{name}: {self._ambiguous} is read as {number:,g}; no value of the column shows its decimal mark."


def _decimal_mark_of(value: str) -> str | None:
    """Return the decimal mark that a value shows, "" where it has one mark with two readings, None where it has none."""
    if value.isdigit():
        return None
    if _DECIMAL.fullmatch(value):  # as programs write it
        return "."
    body, unit = _split_currency(_normalize(value))
    body = body.lstrip("+-")
    if not _BODY.fullmatch(body):
        return None
    if _AMBIGUOUS.fullmatch(body):
        return None if unit is not None and "." in body and unit not in _THREE_DECIMALS else ""
    return _only_mark(body)


def _only_mark(body: str) -> str | None:
    """Return the decimal mark of digits that have one reading (none of several like ones is it); None without marks."""
    points, commas = body.count("."), body.count(",")
    if points and commas:
        return "." if body.rindex(".") > body.rindex(",") else ","
    if points > 1:
        return ","
    if commas > 1:
        return "."
    return "." if points else "," if commas else None
