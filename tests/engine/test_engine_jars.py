from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from es_recsys.engine import distribution, jars
from es_recsys.engine.distribution import Distribution
from es_recsys.engine.java import Java
from es_recsys.errors import EngineError

GOOD = {"elasticsearch-x.jar": b"server", "netty-x.jar": b"net"}


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    listed = {name: hashlib.sha256(content).hexdigest() for name, content in GOOD.items()}
    monkeypatch.setattr(jars, "expected_digests", lambda: listed)
    monkeypatch.setattr(distribution, "expected_digests", lambda: listed)
    return listed


def _repository(folder: Path, monkeypatch: pytest.MonkeyPatch, **changed: bytes) -> list[int]:
    """A local Maven repository; the list grows with each fetch from it."""
    folder.mkdir()
    for name, content in GOOD.items():
        (folder / name).write_bytes(changed.get(name.partition("-")[0], content))
    fetched: list[int] = []

    def fetch() -> dict[str, Path]:
        fetched.append(1)
        return {path.name: path for path in folder.iterdir()}

    monkeypatch.setattr(jars, "_download", fetch)
    return fetched


def test_jars_are_fetched_once(tmp_path: Path, wanted: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = _repository(tmp_path / "repository", monkeypatch)
    jars.ensure_jars(tmp_path / "jars")
    jars.ensure_jars(tmp_path / "jars")
    assert len(fetched) == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "jars").iterdir()} == GOOD


def test_a_fetched_jar_that_differs_is_refused_and_named(
    tmp_path: Path, wanted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _repository(tmp_path / "repository", monkeypatch, netty=b"something else")
    with pytest.raises(EngineError, match="SHA-256") as raised:
        jars.ensure_jars(tmp_path / "jars")
    assert str(tmp_path / "repository" / "netty-x.jar") in raised.value.what
    assert raised.value.remedy
    assert [path.name for path in (tmp_path / "jars").iterdir()] == ["elasticsearch-x.jar"], "no draft of it is left"


def test_a_kept_jar_that_was_changed_is_replaced(tmp_path: Path, wanted: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    _repository(tmp_path / "repository", monkeypatch)
    jars.ensure_jars(tmp_path / "jars")
    kept = tmp_path / "jars" / "netty-x.jar"
    kept.write_bytes(b"nex")
    assert jars.find_damaged(tmp_path / "jars", wanted) == ["netty-x.jar"]
    jars.ensure_jars(tmp_path / "jars")
    assert kept.read_bytes() == b"net"


def test_a_jar_that_is_not_offered_is_named(tmp_path: Path, wanted: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    _repository(tmp_path / "repository", monkeypatch)
    (tmp_path / "repository" / "netty-x.jar").unlink()
    with pytest.raises(EngineError, match=r"netty-x\.jar"):
        jars.ensure_jars(tmp_path / "jars")


def _home(cache: Path) -> Distribution:
    with distribution.java_sources() as sources:
        home = Distribution(cache / "engine" / distribution._home_name(sources))
    for folder, name in ((home.lib, "elasticsearch-x.jar"), (home.netty, "netty-x.jar")):
        folder.mkdir(parents=True)
        (folder / name).write_bytes(GOOD[name])
    return home


def test_a_home_is_checked_at_every_start(tmp_path: Path, wanted: dict[str, str]) -> None:
    home = _home(tmp_path)
    java = Java(tmp_path / "java", 25, has_vector_module=True)
    assert distribution.ensure_distribution(tmp_path, java).home == home.home
    (home.netty / "netty-x.jar").write_bytes(b"nex")
    with pytest.raises(EngineError, match=r"netty-x\.jar is not what was installed") as raised:
        distribution.ensure_distribution(tmp_path, java)
    assert str(tmp_path / "engine") in raised.value.remedy
    (home.lib / "elasticsearch-x.jar").unlink()
    with pytest.raises(EngineError, match=r"elasticsearch-x\.jar, netty-x\.jar are not"):
        distribution.ensure_distribution(tmp_path, java)


def test_the_committed_list_is_whole() -> None:
    listed = jars.expected_digests()
    assert {f"elasticsearch-{jars.VERSION}.jar", f"transport-netty4-{jars.VERSION}.jar", f"ecj-{jars.COMPILER}.jar"} <= set(
        listed
    )
    assert all(len(sha) == 64 and int(sha, 16) >= 0 for sha in listed.values())
