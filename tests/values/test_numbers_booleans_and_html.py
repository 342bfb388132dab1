"""Prices, flags, and HTML as text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.values import DecimalMarkInference, html_to_text, parse_bool, parse_number, parse_price


@pytest.mark.parametrize(
    ("value", "amount", "currency"),
    [
        (12, 12.0, None),
        (12.5, 12.5, None),
        (Decimal("12.5"), 12.5, None),
        (np.float32(12.5), 12.5, None),
        ("12.5", 12.5, None),
        ("1.25e1", 12.5, None),
        ("$12.99", 12.99, "$"),
        ("15.00 USD", 15.0, "USD"),
        ("USD 15", 15.0, "USD"),
        ("US$ 15", 15.0, "USD"),
        ("usd15", 15.0, "USD"),
        ("€ 1.299,00", 1299.0, "EUR"),
        ("1.299,00 €", 1299.0, "EUR"),
        ("1.299 €", 1299.0, "EUR"),
        ("1.299 KWD", 1.299, "KWD"),
        ("1,299.00", 1299.0, None),
        ("1,299", 1299.0, None),
        ("1.299", 1.299, None),
        ("3,50", 3.5, None),
        ("0,500", 0.5, None),
        ("1 299,00", 1299.0, None),
        ("1\u202f299,00\u00a0€", 1299.0, "EUR"),
        ("1'299.50", 1299.5, None),
        ("CHF 1’299.50", 1299.5, "CHF"),
        ("CHF 15.–", 15.0, "CHF"),
        ("15,-", 15.0, None),
        ("₹1,00,000.50", 100000.5, "INR"),
        ("1.299.000", 1299000.0, None),
        ("12,50 zł", 12.5, "PLN"),
        ("99 kr", 99.0, "kr"),
        ("-$5", -5.0, "$"),
        ("１２.5", 12.5, None),
        ("١٢٫٥", 12.5, None),
        ("N/A", None, None),
        ("—", None, None),
        (float("nan"), None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_prices(value: Any, amount: float | None, currency: str | None) -> None:
    assert parse_price(value) == (amount, currency)


@pytest.mark.parametrize(
    "value",
    ["from 5", "5-10", "5 – 10", "10%", "(4.00)", "1,2,3", "1.2.3", "1 2", "$", "USD", "12.5kg", "x", True, [5], {"a": 5}],
)
def test_what_is_no_price(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        parse_price(value)


@pytest.mark.parametrize("value", [float("inf"), "inf", "1e999", pytest.param(10**400, id="long"), "-Infinity"])
def test_what_is_not_finite(value: Any) -> None:
    with pytest.raises(ValueError, match="finite"):
        parse_price(value)


def test_a_number_has_no_currency() -> None:
    assert parse_number("3,5") == 3.5
    with pytest.raises(ValueError, match="is not a number"):
        parse_number("$3.5")


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (["3,50", "1.299", "1,299"], [3.5, 1299.0, 1.299]),
        (["3.50", "1.299", "1,299"], [3.5, 1.299, 1299.0]),
        (["1.299,00", "1.299"], [1299.0, 1299.0]),
        (["1,299.00", "1,299"], [1299.0, 1299.0]),
        (["1.299", "799"], [1.299, 799.0]),
        (["3,50", "4.99"], [3.5, 4.99]),
    ],
)
def test_the_decimal_mark_of_a_column(column: list[str], wanted: list[float]) -> None:
    inference = DecimalMarkInference()
    for value in column:
        inference.add(value)
    assert [parse_price(value, inference.infer())[0] for value in column] == wanted


def test_a_mark_that_no_value_shows_is_told() -> None:
    inference = DecimalMarkInference()
    for value in ("1.299", "799"):
        inference.add(value)
    assert list(inference.notes("price")) == ["price: 1.299 is read as 1.299; no value of the column shows its decimal mark."]
    inference.add("3.50")
    assert not list(inference.notes("price"))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_that_programs_write(number: float) -> None:
    assert parse_price(repr(number))[0] == number


@given(st.integers(0, 10**12), st.integers(0, 99))
def test_grouped_numbers(whole: int, cents: int) -> None:
    english = f"{whole:,}.{cents:02}"
    wanted = float(f"{whole}.{cents:02}")
    german = english.translate(str.maketrans(",.", ".,"))
    french = english.replace(",", "\u202f").replace(".", ",")
    assert [parse_price(text)[0] for text in (english, german, french, f"${english}", f"{german} €")] == [wanted] * 5


@pytest.mark.parametrize("value", [True, "true", "TRUE", "yes", "Y", 1, 1.0, "1", "in stock", "in_stock", "InStock", "ja", "oui"])
def test_yes(value: Any) -> None:
    assert parse_bool(value) is True


@pytest.mark.parametrize("value", [12, "12", "backorder", "preorder", "https://schema.org/InStock", "http://schema.org/PreOrder"])
def test_what_can_be_ordered(value: Any) -> None:
    assert parse_bool(value) is True


@pytest.mark.parametrize(
    "value", [False, "False", "no", "N", 0, "0", 0.0, "out of stock", "OutOfStock", "out-of-stock", "sold out"]
)
def test_no(value: Any) -> None:
    assert parse_bool(value) is False


@pytest.mark.parametrize("value", ["discontinued", "https://schema.org/OutOfStock", "nein", "non", "épuisé", "ausverkauft"])
def test_what_cannot_be_had(value: Any) -> None:
    assert parse_bool(value) is False


@pytest.mark.parametrize("value", [None, "", "N/A", "NULL", float("nan")])
def test_no_flag(value: Any) -> None:
    assert parse_bool(value) is None


@pytest.mark.parametrize("value", ["perhaps", -1, "-1", [True], {}])
def test_what_is_no_flag(value: Any) -> None:
    with pytest.raises(ValueError, match="is not true or false"):
        parse_bool(value)


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [
        ('<p class="lead">A <strong>soft</strong> shirt&nbsp;for <span style="x">all</span></p>', "A soft shirt for all"),
        ("<p>A cap</p><table><tr><td>Size</td></tr></table>", "A cap\nSize"),
        ("A<br>B<br/>C", "A\nB\nC"),
        ("<ul><li>One<li>Two</ul>", "One\nTwo"),
        ("wi<b>fi</b>", "wifi"),
        ("<script>alert('x')</script>Hi<style>p{}</style>!", "Hi!"),
        ("<!-- note -->Hi", "Hi"),
        ("<![CDATA[<b>Hi</b>]]>", "Hi"),
        ("<svg><path d='M0'/></svg>Hi", "Hi"),
        ("Rope &amp; Hook", "Rope & Hook"),
        ("caf&eacute; &#233; &#xe9;", "café é é"),
        ("&lt;p&gt;Hi &amp;amp; bye&lt;/p&gt;", "Hi & bye"),
        ("<p>1 &lt; 2</p>", "1 < 2"),
        ("<a href='x>y'>z</a>", "z"),
        ("<b>I <3 you</b>", "I <3 you"),
    ],
)
def test_html(given_: str, wanted: str) -> None:
    assert html_to_text(given_) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "a < b",
        "5 > 3 & 2",
        "<3",
        "x<y and y>z",
        "AT&T",
        "?a=1&copy=2",
        "List<String> of <foo>",
        "if a<b then c>d",
        "<p",
        "&bogus;",
        "two\n\nlines  with   blanks",
        "&",
        "<",
        "",
        "R&D;",
    ],
)
def test_what_is_no_html(text: str) -> None:
    assert html_to_text(text) == text


def test_a_title_has_one_line() -> None:
    assert html_to_text("<p>Red</p><p>Shirt</p>", lines=False) == "Red Shirt"


@given(st.text("<>&;/ab p=\"'!-[]#1\n", max_size=60))
def test_any_text_ends_in_a_text(text: str) -> None:
    assert isinstance(html_to_text(text), str)
