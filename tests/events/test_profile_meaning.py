"""What a profile says after given events, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from es_recsys.dataset import Profile
from es_recsys.errors import FingerprintMismatch, IndexStateError
from es_recsys.events.decayed_sums import ItemContent
from es_recsys.events.profile_documents import from_document, to_document
from es_recsys.events.profile_state import ProfileConfig, empty_state, reset_if_stale
from es_recsys.events.profiles import MAX_PASSED_OVER, build_profile, fold
from es_recsys.events.records import StoredEvent
from es_recsys.settings import ProfileSettings

NOW = 1_790_000_000.0
DAY = 86_400.0
X, Y = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
FEATURES = {
    "shoe": ItemContent(("wear", "shoes"), "acme", ("red",), 99.0, {"text_vector": X}),
    "hat": ItemContent(("wear", "hats"), "brim", (), 9.0, {"text_vector": Y}),
}
_rows = iter(range(1, 10**6))


def did(kind: str, item: str | None, days_ago: float = 0.0, value: float | None = None, **more: object) -> StoredEvent:
    row = next(_rows)
    return StoredEvent(row, kind, NOW - days_ago * DAY, user_id="u1", item_id=item, value=value, key=f"{row:016x}", **more)


def of(*rows: StoredEvent) -> Profile:
    return build_profile(fold(empty_state("k"), rows, FEATURES), NOW)


def test_nothing_known() -> None:
    made = of()
    assert (made.tastes, made.affinities, made.price, made.strength) == ({}, {}, None, 0.0)
    assert (made.history.item_ids, made.seen, made.disliked, made.counts) == ((), frozenset(), frozenset(), {})
    assert made.updated_at == NOW


def test_long_and_short_taste_forget_at_their_own_pace() -> None:
    taste = of(did("view", "shoe", 30), did("view", "hat")).tastes["text_vector"]
    assert taste.long is not None and taste.short is not None
    assert taste.long == pytest.approx(np.array([0.5, 1.0]) / np.hypot(0.5, 1.0), abs=1e-6)
    weight = 2.0**-10
    assert taste.short == pytest.approx(np.array([weight, 1.0]) / np.hypot(weight, 1.0), abs=1e-6)


def test_a_purchase_is_kept_longer_than_a_view_and_the_setting_is_the_ceiling() -> None:
    config = ProfileConfig(long_half_life=60)
    assert [config.half_life("long", kind) for kind in ("view", "purchase", "like")] == [30, 60, 60]
    assert ProfileConfig(long_half_life=500).half_life("long", "purchase") == 120
    assert config.half_life("short", "purchase") == 3
    state = fold(empty_state("k"), [did("purchase", "shoe", 60), did("view", "shoe", 60), did("view", "hat")], FEATURES)
    assert state.sums["long", 60.0].net == pytest.approx(2.5)
    assert state.sums["long", 30.0].net == pytest.approx(1.25)


def test_ages_count_from_the_users_own_last_event() -> None:
    recent = of(did("view", "shoe", 1), did("view", "hat"))
    stale = of(did("view", "shoe", 1_001), did("view", "hat", 1_000))
    assert recent.tastes["text_vector"].short == pytest.approx(stale.tastes["text_vector"].short, abs=1e-6)
    assert stale.history.ages.tolist() == [1.0, 0.0]


def test_affinities_are_shares_of_what_is_liked() -> None:
    made = of(did("purchase", "shoe"), did("view", "hat"))
    assert made.affinities["categories"] == pytest.approx({"wear": 0.5, "shoes": 5 / 12, "hats": 1 / 12})
    assert list(made.affinities["brand"]) == ["acme", "brim"]
    assert made.affinities["tags"] == {"red": 1.0}
    disliked = of(did("view", "shoe"), did("dislike", "hat"))
    assert "brim" not in disliked.affinities["brand"]


def test_price_is_mean_and_spread_of_log_price() -> None:
    made = of(did("view", "shoe"), did("view", "hat"), did("dislike", "hat"))
    logs = np.log1p([99.0, 9.0])
    assert made.price == pytest.approx((logs.mean(), logs.std()))


def test_likes_and_dislikes_that_cancel_are_no_taste() -> None:
    assert of(did("like", "shoe"), did("dislike", "shoe")).tastes == {}
    assert of(did("dislike", "shoe")).tastes == {}


def test_a_later_like_lifts_a_dislike_by_time_not_by_arrival() -> None:
    like, dislike = did("like", "shoe", 1), did("dislike", "shoe", 2)
    assert of(like, dislike).disliked == frozenset()
    assert of(did("like", "shoe", 2), did("dislike", "shoe", 1)).disliked == {"shoe"}
    assert of(did("dislike", "shoe", 2), did("view", "shoe", 1)).disliked == {"shoe"}
    assert of(did("dislike", "shoe", 2), did("rating", "shoe", 1, value=5)).disliked == frozenset()
    assert of(did("like", "shoe", 2), did("rating", "shoe", 1, value=1)).disliked == {"shoe"}


def test_known_can_be_asked_by_event_type() -> None:
    rows = [did("view", "shoe"), did("purchase", "hat"), did("dislike", "shoe"), did("rating", "hat", value=2)]
    state = fold(empty_state("k"), rows, FEATURES)
    assert build_profile(state, NOW).seen == {"shoe", "hat"}
    assert build_profile(state, NOW, seen_types=["purchase"]).seen == {"hat"}
    assert build_profile(state, NOW, seen_types=["rating"]).seen == frozenset()


def test_unknown_items_count_and_nothing_else() -> None:
    made = of(did("purchase", "gone"), did("view", "gone", quarantine="unknown_item"))
    assert made.counts == {"purchase": 1, "view": 1}
    assert (made.seen, made.history.item_ids, made.strength, made.tastes) == (frozenset(), (), 0.0, {})
    later = {**FEATURES, "gone": FEATURES["hat"]}
    rows = [did("purchase", "gone")]
    assert build_profile(fold(empty_state("k"), rows, later), NOW).seen == {"gone"}


def test_what_is_set_aside_is_contained_but_does_not_count() -> None:
    row = did("purchase", "shoe", quarantine="bot_day_rate")
    made = of(row)
    assert (made.counts, made.seen, made.applied_through) == ({}, frozenset(), row.row)


def test_the_last_searches_are_kept_once_each() -> None:
    searches = [did("search", None, 30 - n, query=f"word  {n % 25}") for n in range(30)]
    made = of(*searches)
    assert made.queries == tuple(f"word {n}" for n in [*range(10, 25), *range(5)])
    assert made.counts == {"search": 30}


def test_history_keeps_the_last_events_by_time() -> None:
    rows = [did("view", "shoe" if n % 2 else "hat", n) for n in range(30)]
    state = fold(empty_state("k", ProfileConfig(history=10)), rows, FEATURES)
    made = build_profile(state, NOW)
    assert made.history.ages == pytest.approx(list(range(9, -1, -1)))
    assert made.history.item_ids[-1] == "hat"
    assert made.strength == 30.0


def test_a_state_is_left_when_settings_or_rows_changed() -> None:
    state = fold(empty_state("k", revision=3), [did("view", "shoe")], FEATURES)
    assert reset_if_stale(state, ProfileConfig(), 3) is state
    assert reset_if_stale(state, ProfileConfig(), 4).applied_through == 0
    assert reset_if_stale(state, ProfileConfig.of(ProfileSettings(history=20)), 3).config.history == 20


def test_vectors_of_two_lengths_are_refused() -> None:
    state = fold(empty_state("k"), [did("view", "shoe")], FEATURES)
    longer = {"hat": ItemContent(vectors={"text_vector": np.ones(3, np.float32)})}
    with pytest.raises(FingerprintMismatch, match="text_vector"):
        fold(state, [did("view", "hat")], longer)


@pytest.mark.parametrize("broken", [{}, {"state": None}, {"state": {"format": 99}}, {"user_key": 1, "state": {"format": 1}}])
def test_a_broken_document_is_named(broken: dict[str, object]) -> None:
    with pytest.raises(IndexStateError, match="profiles build"):
        from_document(broken)


def test_a_document_of_a_large_profile_is_small_and_exact() -> None:
    rng = np.random.default_rng(1)
    features = {str(i): ItemContent(vectors={"text_vector": rng.normal(size=384).astype(np.float32)}) for i in range(500)}
    rows = [did("view", str(i), i / 10) for i in range(500)]
    state = fold(empty_state("k"), rows, features)
    again = from_document(to_document(state))
    for key, sums in state.sums.items():
        assert (again.sums[key].vectors["text_vector"] == sums.vectors["text_vector"]).all()
    assert again.history == state.history


def test_a_stores_own_weights_change_the_taste_but_not_what_is_seen() -> None:
    rows = [did("view", "shoe"), did("dislike", "shoe"), did("purchase", "hat")]
    config = ProfileConfig(weights={"view": 0.0, "dislike": 0.0, "purchase": 2.0})
    state = fold(empty_state("k", config), rows, FEATURES)
    made = build_profile(state, NOW)
    assert (made.history.item_ids, made.history.weights.tolist()) == (("hat",), [2.0])
    assert made.strength == 2.0
    assert (made.seen, made.disliked) == ({"shoe", "hat"}, {"shoe"})
    stored = from_document(to_document(state))
    assert stored.config == config
    assert reset_if_stale(stored, config, 0) is stored
    assert reset_if_stale(stored, ProfileConfig(), 0).applied_through == 0


def test_a_profile_knows_variants_by_their_product_and_tastes_by_the_variant() -> None:
    features = {
        "red": replace(FEATURES["shoe"], group_id="shirt"),
        "blue": replace(FEATURES["hat"], group_id="shirt"),
        "shirt": replace(FEATURES["shoe"], group_id="shirt"),
    }
    rows = [did("view", "red", 2), did("purchase", "blue", 1), did("dislike", "shirt")]
    made = build_profile(fold(empty_state("k"), rows, features), NOW)
    assert made.history.item_ids == ("shirt", "shirt", "shirt")
    assert (made.seen, made.disliked) == ({"shirt"}, {"shirt"})
    assert set(made.affinities["brand"]) == {"brim"}
    assert build_profile(fold(fold(empty_state("k"), rows[:1], features), rows[1:], features), NOW).seen == {"shirt"}


def test_what_was_passed_over_moves_a_taste_a_little_and_takes_none_away() -> None:
    liked = did("view", "shoe")
    shown_once = of(liked, did("impression", "hat")).tastes["text_vector"].long
    assert shown_once == pytest.approx(np.array([1.0, -0.02]) / np.hypot(1.0, 0.02), abs=1e-6)
    often = of(liked, *(did("impression", "hat") for _ in range(200)))
    bounded = np.array([1.0, -MAX_PASSED_OVER])
    assert often.tastes["text_vector"].long == pytest.approx(bounded / np.linalg.norm(bounded), abs=1e-6)
    assert (often.history.item_ids, often.seen, often.disliked, often.strength) == (("shoe",), {"shoe"}, frozenset(), 1.0)
    assert often.affinities["brand"] == {"acme": 1.0} and often.counts["impression"] == 200
    assert of(did("impression", "hat")).tastes == {}


def test_hidden_and_reported_items_are_disliked() -> None:
    assert of(did("hide", "shoe"), did("report", "hat")).disliked == {"shoe", "hat"}
    assert of(did("hide", "shoe", 1), did("like", "shoe")).disliked == frozenset()


def test_the_last_word_on_an_author_counts_and_tells_nothing_of_items() -> None:
    made = of(did("follow", "ann", 2), did("mute", "ben", 2), did("follow", "shoe"))
    assert (made.followed, made.muted) == ({"ann", "shoe"}, {"ben"})
    assert (made.history.item_ids, made.seen, made.disliked, made.tastes, made.strength) == (
        (),
        frozenset(),
        frozenset(),
        {},
        0.0,
    )
    assert of(did("follow", "ann", 2), did("mute", "ann", 1)).muted == {"ann"}
    back = of(did("follow", "ann", 1, value=0), did("follow", "ann", 2), did("mute", "ben", 1), did("mute", "ben", value=0))
    assert (back.followed, back.muted) == (frozenset(), frozenset())
