"""What searches remember of those with the same words and filters."""

from __future__ import annotations

import numpy as np

from es_recsys.search.past_searches import PastSearches
from es_recsys.search.request import Request, UserState

SHOES, NOBODY = Request(now=0.0, text="Shoes"), UserState()
AGAIN = Request(now=9.0, text="shoes", n=50)
FILTERED = Request(now=0.0, text="shoes", filters=({"term": {"brand": "x"}},))


def test_searches_that_needed_more_are_told_by_text_filters_and_user() -> None:
    past = PastSearches()
    past.store_need(SHOES, NOBODY, needed=True)
    assert past.needed_more(AGAIN, NOBODY)
    assert not past.needed_more(FILTERED, NOBODY)
    assert not past.needed_more(SHOES, UserState(factors={"als": np.ones(2, np.float32)}))
    past.store_need(AGAIN, NOBODY, needed=False)
    assert not past.needed_more(SHOES, NOBODY)


def test_the_weights_of_a_search_are_expected_again() -> None:
    past = PastSearches()
    assert past.table(SHOES) is None and past.table(Request(now=0.0)) is None
    past.store_table(SHOES, "query_vague")
    assert past.table(AGAIN) == "query_vague"
    assert past.table(FILTERED) is None
