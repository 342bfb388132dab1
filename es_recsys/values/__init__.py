"""What a single value of a file means: an id, a time, a number, a flag, a text, or nothing. Pure functions."""

from __future__ import annotations

from es_recsys.values.flags import read_flag
from es_recsys.values.ids import IdForm, IdTally, id_text
from es_recsys.values.markup import plain_text
from es_recsys.values.missing import WordTally, is_blank, is_missing, is_no_label
from es_recsys.values.numbers import NumberForm, NumberTally, read_amount, read_number
from es_recsys.values.times import TimeForm, read_time
from es_recsys.values.timetally import TimeTally

__all__ = [
    "IdForm",
    "IdTally",
    "NumberForm",
    "NumberTally",
    "TimeForm",
    "TimeTally",
    "WordTally",
    "id_text",
    "is_blank",
    "is_missing",
    "is_no_label",
    "plain_text",
    "read_amount",
    "read_flag",
    "read_number",
    "read_time",
]
