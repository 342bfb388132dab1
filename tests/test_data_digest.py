"""Digests of data: the same for the same, another for whatever differs, and as the trials of stores in use have them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from es_recsys.data_digest import array_digest, data_digest
from es_recsys.dataset import Interactions


@pytest.fixture
def data() -> Interactions:
    return Interactions(
        np.array(["u", "v"]),
        np.array(["a", "b", "c"]),
        np.array([0, 0, 1], np.int32),
        np.array([0, 2, 1], np.int32),
        np.array([1.0, 0.5, 1.0], np.float32),
        np.array([10.0, 20.0, 15.0]),
        type_idx=np.array([0, 1, 0], np.int8),
        event_types=("view", "purchase"),
        values=np.array([np.nan, 2.0, np.nan], np.float32),
    )


def test_whatever_a_score_depends_on_changes_the_digest(data: Interactions) -> None:
    others = [
        replace(data, user_ids=np.array(["u", "w"])),
        replace(data, item_ids=np.array(["a", "b", "d"])),
        replace(data, items=data.items[::-1].copy()),
        replace(data, times=data.times + 1.0),
        replace(data, type_idx=None),
        replace(data, values=data.values * 2.0 if data.values is not None else None),
    ]
    digests = [data_digest(one, "purchase") for one in (data, *others)] + [data_digest(data, "cart")]
    assert len(set(digests)) == len(digests)
    assert data_digest(replace(data, times=data.times.copy()), "purchase") == digests[0]


def test_trials_of_before_are_gone_on_with(data: Interactions) -> None:
    assert data_digest(data, "purchase", 7) == "7ce8aa91b8b46c6ee9fc3019f1c6aa81"


def test_arrays_differ_in_their_values_and_not_in_their_layout() -> None:
    one = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert array_digest(one) == array_digest(np.asfortranarray(one))
    assert len({array_digest(one), array_digest(one + 1.0), array_digest(one, one), array_digest()}) == 4
