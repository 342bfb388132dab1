"""What is held out, what stays known, and that nothing of it leaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.evaluation.holdout import leave_last_out, leave_last_two_out, new_users_after, random_holdout, temporal_split
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.models.types import take

Make = Callable[..., Interactions]


def named(data: Interactions, part: HoldoutSplit) -> dict[str, tuple[list[str], set[str], list[str]]]:
    """User -> history, known and targets; users are told by their training events."""
    ids = data.item_ids
    seen = {tuple(part.train.items[part.train.users == user].tolist()): name for user, name in enumerate(data.user_ids)}
    found = {}
    for user in range(len(part)):
        items = part.histories.one(user).items
        history = [str(item) for item in ids[items]]
        found[str(seen[tuple(items.tolist())])] = (
            history,
            {str(item) for item in ids[part.seen[user]]},
            [str(item) for item in ids[part.targets[user]]],
        )
    return found


def test_the_last_item_is_the_last_new_item_and_all_after_it(interactions: Make) -> None:
    data = interactions({"u": ["a", "b", "c"], "v": ["a", "d", "a"], "w": ["c", "c"], "x": ["b", ("e", -1), "a", ("f", -1)]})
    found = named(data, leave_last_out(data, np.random.default_rng(0), 10))
    assert found == {
        "u": (["a", "b"], {"a", "b"}, ["c"]),
        "v": (["a"], {"a"}, ["d"]),  # what was repeated after it goes too
        "x": (["b", "e"], {"b"}, ["a"]),  # a dislike is no target; one from before is known
    }


def test_of_many_users_some_are_asked(interactions: Make) -> None:
    data = interactions({f"u{n}": [f"a{n}", f"b{n}", f"c{n}"] for n in range(20)})
    one, again, other = (leave_last_out(data, np.random.default_rng(seed), 5) for seed in (1, 1, 2))
    assert len(one) == 5 and not set(np.concatenate(one.targets).tolist()) & set(one.train.items.tolist())
    assert [t.tolist() for t in one.targets] == [t.tolist() for t in again.targets] != [t.tolist() for t in other.targets]


def test_the_first_users_are_those_that_fewer_would_have_been(interactions: Make) -> None:
    data = interactions({f"u{n}": [f"i{n}", f"i{(3 * n) % 7}", "z", f"i{(5 * n) % 11}"] for n in range(20)})
    whole, few = leave_last_out(data, np.random.default_rng(3), 20), leave_last_out(data, np.random.default_rng(3), 6)
    assert named(data, whole.first(6)) == named(data, few)
    assert [one.tolist() for one in whole.first(6).gains] == [one.tolist() for one in few.gains]
    assert len(few.first(50)) == len(few) == 6


def test_a_random_holdout_holds_out_items_whole(interactions: Make) -> None:
    data = interactions({f"u{n}": [f"i{(n + k) % 11:02}" for k in range(10)] + [f"i{n:02}"] for n in range(8)})
    part = random_holdout(data, np.random.default_rng(0), 10, share=0.3)
    assert len(part) == 8
    for history, known, targets in named(data, part).values():
        assert len(targets) == 3 and set(history) == known and not known & set(targets)
        assert len(known) == 7


def test_in_time_nothing_after_the_moment_is_learnt(interactions: Make) -> None:
    users = {
        f"u{n}": [(f"i{n:02}", 1, float(n)), ("j", 1, 50.0), (f"i{n:02}", 1, 100.0), (f"k{n:02}", 1, 101.0 + n), ("l", -1, 300.0)]
        for n in range(20)
    }
    data = interactions(users | {"late": [("m", 1, 102.0)], "early": [("j", 1, 3.0)]}, timed=True)
    part = temporal_split(data, np.random.default_rng(0), 100, share=0.58)
    assert part.train.times.max() < 100 * 86_400
    found = named(data, part)
    assert set(found) == {f"u{n}" for n in range(20)}
    assert found["u7"] == (["i07", "j"], {"i07", "j"}, ["k07"])
    ages = part.histories.one(0).ages
    assert ages[-1] == 0 and 30 <= ages[0] <= 50
    assert part.histories.one(0).recency_rank.tolist() == [1, 0]


def test_at_most_five_next_items_count(interactions: Make) -> None:
    data = interactions({"u": [("a", 1, 0.0), *((f"n{k}", 1, 10.0 + k) for k in range(9))]}, timed=True)
    part = temporal_split(data, np.random.default_rng(0), 10, share=0.85)
    assert named(data, part)["u"][2] == ["n1", "n2", "n3", "n4", "n5"]


def bought(item: str, day: float) -> tuple[str, float, float, str]:
    return item, 5.0, day, "purchase"


def looked(item: str, day: float) -> tuple[str, float, float, str]:
    return item, 1.0, day, "view"


def test_earlier_moments_follow_each_other(interactions: Make) -> None:
    data = interactions({f"u{n}": [(f"i{(n + 3 * k) % 29:02}", 1, float(k)) for k in range(20)] for n in range(9)}, timed=True)
    newest, before = (temporal_split(data, np.random.default_rng(0), 99, share=0.2, back=back) for back in (0, 1))
    assert newest.train.times.max() == 15 * 86_400.0 and before.train.times.max() == 11 * 86_400.0
    # As if nothing of what came later had happened yet.
    until_then = take(data, data.times < 16 * 86_400.0)
    same = temporal_split(until_then, np.random.default_rng(0), 99, share=0.25)
    assert len(before) and named(until_then, same) == named(data, before)


def test_what_was_bought_is_to_be_found_and_what_led_to_it_is_not_known(interactions: Make) -> None:
    users = {
        "u": [looked("a", 0), looked("b", 1), bought("b", 2), looked("c", 3)],
        "v": [bought("d", 0), looked("a", 1), looked("d", 2)],  # nothing is known before what it bought
        "w": [looked("a", 0), looked("c", 1)],
        "x": [bought("e", 0), bought("b", 1), looked("b", 2), bought("e", 3)],
    }
    found = named(interactions(users), leave_last_out(interactions(users), np.random.default_rng(0), 10, targets=("purchase",)))
    assert found == {"u": (["a"], {"a"}, ["b"]), "x": (["e"], {"e"}, ["b"])}


def test_a_share_of_what_was_bought(interactions: Make) -> None:
    data = interactions(
        {
            f"u{n}": [event for k in range(5) for event in (looked(f"l{k}", k), looked(f"b{k}{n}", k), bought(f"b{k}{n}", k))]
            for n in range(8)
        }
        | {"all": [bought("b00", 0), bought("b01", 1)], "none": [looked("l0", 0), looked("l1", 1)]}
    )
    part = random_holdout(data, np.random.default_rng(0), 20, share=0.4, targets=("purchase",))
    found = named(data, part)
    assert set(found) == {*(f"u{n}" for n in range(8)), "all"}
    for name, (history, known, targets) in found.items():
        assert len(targets) == (1 if name == "all" else 2)
        assert all(target.startswith("b") for target in targets) and not set(targets) & set(history)
        assert known == set(history)


def test_the_next_purchases_are_of_what_was_not_touched_before(interactions: Make) -> None:
    users = {
        "u": [
            looked("a", 0),
            looked("b", 1),
            looked("c", 11),
            bought("c", 12),
            bought("b", 13),
            looked("d", 14),
            bought("e", 15),
        ],
        "v": [looked("a", 2), looked("c", 12)],
        "w": [bought("a", 12), bought("b", 13)],
    }
    data = interactions(users, timed=True)
    part = temporal_split(data, np.random.default_rng(0), 10, share=0.7, targets=("purchase",))
    assert named(data, part) == {"u": (["a", "b"], {"a", "b"}, ["c", "e"])}
    # What was bought counts by the purchase, not by how often it was looked at.
    assert [one.tolist() for one in part.gains] == [[5.0, 5.0]]
    assert "with purchase" in part.kind


def test_with_types_asked_for_a_fifth_of_the_events_is_held_out(interactions: Make) -> None:
    users = {
        f"u{n}": [looked(f"i{(n + k) % 9}", k) if k % 2 else bought(f"i{(n + k) % 9}", k) for k in range(20)] for n in range(5)
    }
    data = interactions(users, timed=True)
    rng = np.random.default_rng(0)
    assert temporal_split(data, rng, 10).train.times.max() == 17 * 86_400.0
    assert temporal_split(data, rng, 10, targets=("purchase",)).train.times.max() == 15 * 86_400.0


@pytest.mark.parametrize("hold", [leave_last_out, random_holdout, temporal_split])
def test_targets_of_events_without_types_are_an_error(hold: Callable[..., HoldoutSplit], interactions: Make) -> None:
    plain = replace(interactions({"u": ["a", "b"]}, timed=True), type_idx=None, event_types=())
    with pytest.raises(InputError, match="no types"):
        hold(plain, np.random.default_rng(0), 10, targets=("purchase",))


def test_nothing_to_hold_out(interactions: Make) -> None:
    data = interactions({"u": ["a"], "v": [("b", -1)]}, timed=True)
    for hold in (leave_last_out, random_holdout, temporal_split):
        for targets in ((), ("purchase",)):
            part = hold(data, np.random.default_rng(0), 10, targets=targets)
            assert len(part) == 0 == len(part.histories)


def test_a_target_gains_the_weights_of_its_events(interactions: Make) -> None:
    data = interactions({"u": ["a", "b", ("c", 5)], "v": ["a", ("d", 2), ("d", 3)], "w": ["b", "e"]})
    part = leave_last_out(data, np.random.default_rng(0), 10)
    worth = {str(data.item_ids[wanted[0]]): gain.tolist() for wanted, gain in zip(part.targets, part.gains, strict=True)}
    assert worth == {"c": [5.0], "d": [5.0], "e": [1.0]}
    # Only the user who looked at "e" is understood: one of eleven parts of what there was to win.
    lists = [wanted if data.item_ids[wanted[0]] == "e" else np.array([0]) for wanted in part.targets]
    assert part.ndcg(lists, 20).mean() == pytest.approx(1.0 / 11.0)
    assert part.ndcg(list(part.targets), 20).mean() == pytest.approx(1.0)


def test_the_published_protocol_leaves_the_last_two_out_of_training(interactions: Make) -> None:
    data = interactions({"u": ["a", "b", "c", "d"], "v": ["a", "d", "b", "d"], "w": ["c", "a"], "x": ["d"]})
    validation, test = leave_last_two_out(data, np.random.default_rng(0), 10)
    assert validation.train.items.tolist() == test.train.items.tolist()
    left = {name: data.item_ids[test.train.items[test.train.users == user]].tolist() for user, name in enumerate("uvwx")}
    # Who has too few items for both questions is learned from whole.
    assert left == {"u": ["a", "b"], "v": ["a"], "w": ["c", "a"], "x": ["d"]}
    assert [asked(data, part) for part in (validation, test)] == [{"u": "c", "v": "d"}, {"u": "d", "v": "b"}]
    for user, row in zip(test.users.tolist(), range(len(test)), strict=True):
        history = data.item_ids[test.histories.one(row).items].tolist()
        assert history == {"u": ["a", "b", "c"], "v": ["a", "d"]}[str(data.user_ids[user])]
        assert set(data.item_ids[test.seen[row]]) == set(history)


def asked(data: Interactions, part: HoldoutSplit) -> dict[str, str]:
    return {
        str(data.user_ids[user]): str(data.item_ids[wanted[0]])
        for user, wanted in sorted(zip(part.users.tolist(), part.targets, strict=True))
    }


def test_of_equal_times_none_tells_of_the_other(interactions: Make) -> None:
    users = {"u": [("a", 1, 0.0), ("b", 1, 1.0), ("c", 1, 1.0)], "v": [("a", 1, 2.0), ("b", 1, 2.0)]}
    data = interactions(users, timed=True)
    part = leave_last_out(data, np.random.default_rng(0), 10)
    # What was at the same moment is held out with the target; who has nothing before it is not asked, and keeps all.
    assert named(data, part) == {"u": (["a"], {"a"}, ["c"])}
    assert part.train.users.tolist() == [0, 1, 1]


def test_of_new_users_the_first_event_is_known_and_nothing_is_learned(interactions: Make) -> None:
    days = {
        "old": [("a", 1.0, 0.0), ("b", 1.0, 1.0), ("c", 1.0, 11.0)],
        "new": [("a", 1.0, 10.0), ("a", 1.0, 10.5), *((item, 1.0, 11.0 + place) for place, item in enumerate("bcdefg"))],
        "disliking": [("b", -1.0, 10.0), ("c", 1.0, 11.0)],
        "once": [("c", 1.0, 12.0)],
    }
    data = interactions(days, timed=True)
    part = new_users_after(data, 10 * 86_400.0, np.random.default_rng(0))
    assert data.user_ids[part.users].tolist() == ["new"]
    assert data.item_ids[part.train.items].tolist() == ["a", "b"] and set(part.train.users.tolist()) == {0}
    assert data.item_ids[part.histories.items].tolist() == ["a"] == data.item_ids[part.seen[0]].tolist()
    assert data.item_ids[part.targets[0]].tolist() == ["b", "c", "d", "e", "f"]
    assert part.train.times.max() < 10 * 86_400.0
