from __future__ import annotations

import json

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.errors import InputError
from es_recsys.index.bulk_actions import Action, encode_action


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_id_and_text_stay_on_one_line_each(item_id: str, text: str) -> None:
    line = encode_action(Action(item_id, {"title": text}), {})
    assert line.header.count(b"\n") == line.body.count(b"\n") == 1
    assert json.loads(line.header) == {"index": {"_id": item_id}}
    assert json.loads(line.body) == {"title": text}
    assert line.size == len(line.header + line.body)


def test_updates_wrap_the_fields_and_deletions_have_no_body() -> None:
    assert json.loads(encode_action(Action("1", {"a": 1}, "update"), {}).body) == {"doc": {"a": 1}}
    assert encode_action(Action("1", operation="delete"), {}).body == b""


def test_a_column_of_a_matrix_is_written_like_any_vector() -> None:
    matrix = np.arange(6, dtype=np.float32).reshape(3, 2)
    action = Action("1", {"v": matrix[:, 1]})
    assert json.loads(encode_action(action, {"v": 3}).body) == {"v": [1.0, 3.0, 5.0]}
    assert matrix.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]


@pytest.mark.parametrize("document", [{"v": [float("nan")] * 2}, {"text": "\ud800"}, {"n": 2**70}, {"x": object()}])
def test_what_cant_be_sent_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(InputError):
        encode_action(Action("1", document), {"v": 2})


def test_float32_goes_out_without_loss() -> None:
    vector = np.random.default_rng(3).normal(size=64).astype(np.float32)
    back = np.asarray(orjson.loads(encode_action(Action("1", {"v": vector}), {"v": 64}).body)["v"], np.float32)
    assert np.array_equal(back, vector)
