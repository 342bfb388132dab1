"""What a single value of a file means: an id, a time, a number, a boolean, a text, or nothing. Pure functions.

`parse_*` read one value in a format and raise ValueError; `is_null*` tell what stands for nothing. Where one value leaves open
what is meant (17.0, 1.299, 01/02/2021, "NA"), a `*Inference` looks at all values of its column: `add` each, then `infer` the
format, and `notes` say what was inferred.
"""

from __future__ import annotations

from es_recsys.values.booleans import parse_bool
from es_recsys.values.html_text import html_to_text
from es_recsys.values.ids import IdFormat, IdFormatInference, parse_id
from es_recsys.values.nulls import NullWordInference, is_null, is_null_label, is_null_text
from es_recsys.values.numbers import DecimalMarkInference, NumberFormat, parse_number, parse_price
from es_recsys.values.time_inference import TimeFormatInference
from es_recsys.values.times import TimeFormat, parse_time

__all__ = [
    "DecimalMarkInference",
    "IdFormat",
    "IdFormatInference",
    "NullWordInference",
    "NumberFormat",
    "TimeFormat",
    "TimeFormatInference",
    "html_to_text",
    "is_null",
    "is_null_label",
    "is_null_text",
    "parse_bool",
    "parse_id",
    "parse_number",
    "parse_price",
    "parse_time",
]
