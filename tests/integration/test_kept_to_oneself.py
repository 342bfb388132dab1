"""What is kept of people: for its owner alone, and never in the way of an answer."""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
from pathlib import Path

import pytest

from es_recsys import Client, Event, Item, Settings
from es_recsys.doctor import diagnose
from es_recsys.errors import InputError
from es_recsys.jobs.load_events import load_events
from es_recsys.settings import EncoderSettings

pytestmark = pytest.mark.engine

ITEMS = [Item(item_id=f"i{n}", title=f"red shoe {n}") for n in range(12)]


@pytest.fixture
def plain(settings: Settings) -> Settings:
    return settings.model_copy(update={"encoders": EncoderSettings(text="none", image="none")})


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_files_and_folders_are_their_owners_whatever_the_umask(plain: Settings, umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        events = tmp_path / "events.jsonl"
        liked = [{"event_type": "like", "user_id": f"u{n}", "item_id": f"i{n}", "timestamp": 1_700_000_000 + n} for n in range(9)]
        events.write_text("\n".join([*map(json.dumps, liked), "{nonsense"]) + "\n")
        with Client(settings=plain) as client:
            client.insert_items(ITEMS)
            load_events(client.workspace, [events])
            client.train(["covisitation"], budget=0.0)
            client.search("shoe", user_id="u1")
    finally:
        os.umask(before)
    made = [*plain.home.rglob("*"), plain.home, tmp_path / "events.jsonl.rejected.jsonl"]
    assert len([path for path in made if path.is_file()]) > 10
    wrong = {
        str(path.relative_to(tmp_path)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in made
        if stat.S_IMODE(path.stat().st_mode) != (0o700 if path.is_dir() else 0o600)
    }
    assert wrong == {}


def test_a_database_of_before_is_closed_to_others(plain: Settings) -> None:
    with Client(settings=plain) as client:
        client.insert_items(ITEMS[:1])
        client.put_events(Event(event_type="like", user_id="u1", item_id="i1"))
    database = plain.home / "events.sqlite3"
    database.chmod(0o664)
    with Client(settings=plain) as client:
        client.put_events(Event(event_type="like", user_id="u2", item_id="i1"))
    assert stat.S_IMODE(database.stat().st_mode) == 0o660


def test_an_answer_is_given_where_it_can_not_be_logged(plain: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with Client(settings=plain) as client:
        client.insert_items(ITEMS)
        assert client.search("shoe").hits
        shutil.rmtree(plain.answers)
        plain.answers.write_text("in the way")
        with caplog.at_level(logging.WARNING):
            assert client.search("shoe").hits and client.search("shoe").hits
        assert len([one for one in caplog.messages if "Answers are not logged" in one]) == 1
    (found,) = [check for check in diagnose(plain) if check.name == "answer log"]
    assert not found.ok and "Answers are not logged" in found.what and found.remedy
    plain.answers.unlink()
    (found,) = [check for check in diagnose(plain) if check.name == "answer log"]
    assert found.ok


def test_a_home_that_can_only_be_read_answers(plain: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written but the log; a key that isn't there can't be made."""
    with Client(settings=plain) as client:
        client.insert_items(ITEMS)
        client.put_events(Event(event_type="like", user_id="u1", item_id="i1"))

    def refused(path: Path, mode: int = 0o777, *_: object, **__: object) -> None:
        raise PermissionError(30, "Read-only file system")

    shutil.rmtree(plain.answers, ignore_errors=True)
    monkeypatch.setattr(Path, "mkdir", refused)
    with Client(settings=plain) as client:
        assert client.search("shoe", user_id="u1").hits and client.recommend("u1").hits
        assert client.get_user_profile("u1").counts == {"like": 1}
    (plain.home / "user.key").unlink()
    monkeypatch.setattr("os.link", refused)
    with pytest.raises(InputError, match=r"user.key can't be read or made"):
        Client(settings=plain.model_copy(update={"home": plain.home / "no" / "such"}))
