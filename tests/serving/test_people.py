"""Who asks, where only items are known of them."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

from es_recsys.events.decayed_sums import ItemContent
from es_recsys.serving.user_profiles import profile_of_views
from es_recsys.settings import Settings


def test_of_bare_items_it_is_not_known_what_was_done_with_them_nor_when() -> None:
    snapshot: Any = SimpleNamespace(settings=Settings())
    history = profile_of_views(snapshot, ("a", "b", "?"), {"a": ItemContent(), "b": ItemContent()}, 0.0).history
    assert history.item_ids == ("a", "b") and history.weights.tolist() == [1.0, 1.0]
    assert history.event_types == () and math.isnan(history.newest)
