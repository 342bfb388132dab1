"""Searches rebuilt from what people took."""

from __future__ import annotations

import numpy as np
import pytest

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.evaluation.queries import EvalQuery, EvalSplit
from es_recsys.evaluation.rebuilt_searches import rebuilt_searches, title_searches
from es_recsys.query import Query

TITLES = ("Night Train", "The Night", "Alone", "")
ITEMS = ItemTable(
    item_ids=np.array(["a", "b", "c", "d"]),
    texts=("",) * 4,
    titles=TITLES,
    categories=(("Drama",), ("Drama", "Crime"), ("Crime",), ()),
    brands=("", "Acme", "", ""),
    prices=np.full(4, np.nan),
    created=np.full(4, np.nan),
    attributes={"tags": (("alone",), (), (), ()), "attributes.director": (("Ann Ode",), ("Ann Ode", "Bo Yi"), (), ())},
)
NOBODY = Interactions(*(np.zeros(0, kind) for kind in (np.str_, np.str_, np.int32, np.int32, np.float32, np.float64)))


def split_of(*targets: set[str]) -> EvalSplit:
    queries = (
        EvalQuery(Query(user_id=f"u{n}"), dict.fromkeys(own, 1.0), f"u{n}", seen=frozenset({"c"}))
        for n, own in enumerate(targets)
    )
    return EvalSplit("the last item", NOBODY, tuple(queries))


def test_an_item_is_asked_for_by_what_it_shares_its_title_or_its_brand() -> None:
    rng = np.random.default_rng(0)
    found = {rebuilt_searches(split_of({"b"}), ITEMS, rng).queries[0].query.text for _ in range(200)}
    assert found == {"Drama", "Crime", "Acme", "Ann Ode", "The Night", "Night"}
    # What one item alone has, other than its title and brand, is not asked for.
    assert {rebuilt_searches(split_of({"c"}), ITEMS, rng).queries[0].query.text for _ in range(50)} == {"Crime", "Alone"}


def test_who_took_several_finds_those_of_the_name() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        (one,) = rebuilt_searches(split_of({"a", "b"}), ITEMS, rng).queries
        both = one.query.text in ("Drama", "Ann Ode", "Night")
        assert one.grades.keys() == {"a", "b"} if both else len(one.grades) == 1
        assert (one.actor, one.query.user_id, one.query.exclude) == ("u0", "u0", frozenset({"c"}))


@pytest.mark.parametrize("targets", [{"d"}, {"gone"}])
def test_what_has_no_name_is_not_asked_for(targets: set[str]) -> None:
    assert len(rebuilt_searches(split_of(targets, {"a"}), ITEMS, np.random.default_rng(0))) == 1


def test_whole_titles_are_asked_for_by_anybody() -> None:
    found = title_searches(split_of({"a"}, {"b"}), ITEMS, np.random.default_rng(0), 10)
    assert {one.query.text: one.grades for one in found} == {
        "night train": {"a": 1.0},
        "the night": {"b": 1.0},
        "alone": {"c": 1.0},
    }
    assert {one.actor for one in found} <= {"u0", "u1"}
