"""The command keys."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from es_recsys.cli import main
from es_recsys.service.api_keys import ApiKeys
from es_recsys.settings import Settings


def _run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, int]:
    monkeypatch.setattr(sys, "argv", ["es-recsys", *words])
    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    return capsys.readouterr().out, code


def test_keys_are_made_listed_and_revoked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("ES_RECSYS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    made = json.loads(_run(monkeypatch, capsys, "keys", "create", "--scope", "write", "--name", "web", "--json")[0])
    keys = ApiKeys(Settings(home=tmp_path))
    found = keys.find(made["key"])
    assert found is not None
    assert (found.key_id, found.scope, found.name) == (made["key_id"], "write", "web")
    listed, _ = _run(monkeypatch, capsys, "keys", "list")
    assert made["key_id"] in listed
    assert made["key"] not in listed
    assert _run(monkeypatch, capsys, "keys", "create", "--scope", "root")[1] == 2
    _run(monkeypatch, capsys, "keys", "revoke", made["key_id"])
    assert keys.find(made["key"]) is None
    assert "no keys" in _run(monkeypatch, capsys, "keys", "list")[0]


def test_without_keys_serve_listens_on_this_machine_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("ES_RECSYS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert _run(monkeypatch, capsys, "serve", "--host", "0.0.0.0", "--port", "0")[1] == 2
