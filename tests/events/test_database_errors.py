from __future__ import annotations

import sys
from pathlib import Path

import pytest

from es_recsys.errors import InputError, MissingExtra, SetupError
from es_recsys.events.store import EventStore


@pytest.mark.parametrize("url", ["no url with hunter2", "nosuchkind://u:hunter2@127.0.0.1/x"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(InputError, match="ES_RECSYS_SQL_URL") as caught:
        EventStore(url, "shop", b"k")
    assert "hunter2" not in str(caught.value)


def test_a_server_that_is_away() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(SetupError, match="can't be reached") as caught:
        EventStore("postgresql://u:hunter2@127.0.0.1:1/x", "shop", b"k")
    assert "hunter2" not in str(caught.value)


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"es-recsys\[postgresql\]"):
        EventStore("postgresql://127.0.0.1/x", "shop", b"k")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite3"
    path.write_bytes(b"not a database, but long enough to look like one" * 100)
    with pytest.raises(SetupError):
        EventStore(f"sqlite:///{path}", "shop", b"k")


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError):
        EventStore(f"sqlite:///{tmp_path / 'file' / 'events.sqlite3'}", "shop", b"k")
