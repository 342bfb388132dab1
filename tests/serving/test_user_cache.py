"""Users as they were read last."""

from __future__ import annotations

from typing import Any

from es_recsys.dataset import Profile
from es_recsys.search.request import UserState
from es_recsys.serving import user_cache
from es_recsys.serving.operations import Document
from es_recsys.serving.user_cache import UserCache

INDEX = "shop-profiles-000001"


def stored(key: str, seq_no: int = 1) -> Document:
    return Document({"user_key": key, "seq": seq_no}, seq_no, 1)


def built(source: Any) -> Profile:
    return Profile(source["user_key"], strength=float(source["seq"]))


def test_a_profile_is_built_once_a_write() -> None:
    users, builds = UserCache(), list[Any]()

    def build(source: Any) -> Profile:
        builds.append(source)
        return built(source)

    first = users.profile(INDEX, stored("u"), build)
    assert users.profile(INDEX, stored("u"), build) is first and len(builds) == 1
    assert users.profile(INDEX, stored("u", 2), build).strength == 2.0
    assert users.profile("shop-profiles-000002", stored("u", 2), build).strength == 2.0 and len(builds) == 3


def test_a_state_is_of_its_profile_and_inputs() -> None:
    users, models = UserCache(), {"als": object()}
    profile = users.profile(INDEX, stored("u"), built)
    state = UserState(strength=1.0)
    users.store(INDEX, profile, (models, frozenset("a")), state)
    assert users.state(INDEX, profile, (models, frozenset("a"))) is state
    assert users.state(INDEX, profile, (models, frozenset("b"))) is None
    assert users.state(INDEX, profile, ({"als": object()}, frozenset("a"))) is None
    assert users.state(INDEX, built(stored("u").source), (models, frozenset("a"))) is None
    newer = users.profile(INDEX, stored("u", 2), built)
    assert users.state(INDEX, newer, (models, frozenset("a"))) is None
    users.store(INDEX, profile, (models, frozenset("a")), state)
    assert users.state(INDEX, newer, (models, frozenset("a"))) is None


def test_it_holds_the_users_that_came_last(monkeypatch: Any) -> None:
    monkeypatch.setattr(user_cache, "_MOST_USERS", 3)
    users = UserCache()
    kept = {key: users.profile(INDEX, stored(key), built) for key in "abc"}
    assert users.profile(INDEX, stored("a"), built) is kept["a"]
    users.profile(INDEX, stored("d"), built)
    assert users.profile(INDEX, stored("b"), built) is not kept["b"]
    assert users.profile(INDEX, stored("a"), built) is kept["a"]


def test_a_profile_at_hand_is_told_with_its_write() -> None:
    users = UserCache()
    assert users.known(INDEX, "u") is None
    profile = users.profile(INDEX, stored("u", 3), built)
    known = users.known(INDEX, "u")
    assert known is not None and known.profile is profile and users.profile(INDEX, known, built) is profile
    assert known.is_still(Document({}, 3, 1))
    assert not known.is_still(Document({}, 3, 2)) and not known.is_still(Document({}, 4, 1)) and not known.is_still(None)
