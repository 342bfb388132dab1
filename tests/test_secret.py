"""The secret behind users' keys: made once, and never an empty one."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from es_recsys.errors import InputError, KeyMismatch
from es_recsys.keys import confirm_key, key_check, user_key
from es_recsys.settings import Settings, load_settings


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_secret_that_is_set_to_nothing_is_refused(blank: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ES_RECSYS_USER_SECRET", blank)
    with pytest.raises(InputError, match=r"user_secret.*empty"):
        load_settings()
    monkeypatch.delenv("ES_RECSYS_USER_SECRET")
    (tmp_path / "es_recsys.toml").write_text('user_secret = ""\n')
    with pytest.raises(InputError, match=r"user_secret.*empty"):
        load_settings()


@pytest.mark.parametrize("content", [b"", b"\n", b"  "])
def test_an_empty_key_file_is_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "user.key").write_bytes(content)
    with pytest.raises(InputError, match=r"user\.key is empty") as caught:
        Settings(home=tmp_path).secret()
    assert "ES_RECSYS_USER_SECRET" in caught.value.remedy
    assert (tmp_path / "user.key").read_bytes() == content


def test_a_key_file_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "user.key").mkdir()
    with pytest.raises(InputError, match="can't be read or made"):
        Settings(home=tmp_path).secret()


def test_many_first_runs_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: Settings(home=tmp_path / "home").secret(), range(32)))
    assert len(found) == 1
    assert len(found.pop()) == 64
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["user.key"]
    assert stat.S_IMODE((tmp_path / "home" / "user.key").stat().st_mode) == 0o600


def test_a_run_that_was_killed_while_it_made_the_key_left_none(tmp_path: Path) -> None:
    """It is written beside its place, so a part of it is never taken for the whole."""
    (tmp_path / ".user.key.1.abc").write_bytes(b"0123")
    assert len(Settings(home=tmp_path).secret()) == 64


def test_a_key_check_tells_secrets_apart_and_is_no_users_key() -> None:
    confirm_key(b"one", key_check(b"one"))
    confirm_key(b"one", None)
    confirm_key(b"one", "")
    with pytest.raises(KeyMismatch) as caught:
        confirm_key(b"two", key_check(b"one"))
    for secret in (key_check(b"one"), key_check(b"two")):
        assert secret not in str(caught.value)
    assert key_check(b"one") != user_key("es_recsys key check", b"one")
    assert "hush" not in repr(Settings(user_secret=SecretStr("hush")))
