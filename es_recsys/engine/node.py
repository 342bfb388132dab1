"""One JVM with one Elasticsearch node: its command line, its start, its end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from es_recsys.engine.distribution import Distribution
from es_recsys.engine.java import Java
from es_recsys.errors import EngineError
from es_recsys.private import make_folder

__all__ = ["START_LIMIT_S", "Node", "NodeConfig", "launch"]

START_LIMIT_S = 180.0
_TAIL_LINES = 12

# Watermarks are absolute: the defaults, shares of the disk, stop a node on a big laptop disk that is 90 % full and has
# 50 GB left. Kept at all, so that a full disk ends in a block with a name and not in a damaged index.
_SETTINGS = {
    "cluster.name": "es-recsys",
    "node.name": "embedded",
    "network.host": "127.0.0.1",
    "http.port": "0",
    "transport.port": "0",
    "cluster.routing.allocation.disk.watermark.low": "1gb",
    "cluster.routing.allocation.disk.watermark.high": "750mb",
    "cluster.routing.allocation.disk.watermark.flood_stage": "500mb",
}


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What a node is started with.

    heap: such as "512m"; folder: configuration, logs and temporary files; data: the indices, which outlive the node;
    options: further Elasticsearch settings.
    """

    distribution: Distribution
    java: Java
    heap: str
    folder: Path
    data: Path
    options: Mapping[str, str] = field(default_factory=lambda: {"discovery.type": "single-node"})

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def snapshots(self) -> Path:
        """Folder below which the node may write snapshots, and read them back."""
        return self.folder / "snapshots"

    @property
    def ready(self) -> Path:
        return self.folder / "ready"

    @property
    def console(self) -> Path:
        return self.logs / "console.log"

    def command(self) -> list[str]:
        paths = {"path.data": self.data, "path.logs": self.logs, "path.repo": self.snapshots}
        settings = {**_SETTINGS, **{name: str(path) for name, path in paths.items()}, **self.options}
        return [
            str(self.java.path),
            *self._jvm(),
            "-cp", str(self.distribution.launcher),
            "EmbeddedNode", str(self.distribution.home), str(self.folder / "config"), str(self.ready), str(os.getpid()),
            *(f"{name}={value}" for name, value in settings.items()),
        ]  # fmt: skip

    def _jvm(self) -> list[str]:
        vector = "jdk.incubator.vector," if self.java.has_vector_module else ""
        return [
            f"-Xms{self.heap}",
            f"-Xmx{self.heap}",
            "-Xss1m",
            "-XX:+UseG1GC",
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:-UsePerfData",
            "-XX:-OmitStackTraceInFastThrow",
            f"-XX:ErrorFile={self.logs / 'jvm-crash.log'}",
            f"-Djava.io.tmpdir={self.folder / 'tmp'}",
            "-Djava.awt.headless=true",
            "-Dfile.encoding=UTF-8",
            "-Dlog4j2.disable.jmx=true",
            "-Dlog4j2.formatMsgNoLookups=true",
            "-Dio.netty.noUnsafe=true",
            "-Dio.netty.noKeySetOptimization=true",
            "-Dio.netty.recycler.maxCapacityPerThread=0",
            f"--add-modules={vector}ALL-MODULE-PATH",
            "--module-path", str(self.distribution.lib),
            "--enable-native-access=org.elasticsearch.nativeaccess,org.apache.lucene.core",
        ]  # fmt: skip


@dataclass(slots=True)
class Node:
    """A running node. url: its HTTP address; transport: the host and port at which other nodes reach it.

    It ends with this process, however that ends, unless it is detached.
    """

    process: subprocess.Popen[bytes]
    url: str
    transport: str
    log: Path

    def detach(self) -> None:
        """Let the node outlive this process from now on. Raises EngineError where it has ended already."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(b"s")
            self.process.stdin.close()
        except BrokenPipeError:
            raise EngineError("The embedded node ended right after its start.", f"Its log is {self.log}.") from None

    def close(self, wait_s: float = 30.0) -> None:
        """End the node and wait for it. A second call does nothing."""
        if self.process.stdin is not None:
            self.process.stdin.close()  # the node's sign to end
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def launch(config: NodeConfig, limit_s: float = START_LIMIT_S) -> Node:
    """Start the node and return once it answers.

    Raises EngineError with the log's last lines where it ends before that, or takes longer than `limit_s` seconds.
    """
    _prepare_folders(config)
    process = _spawn(config)
    try:
        http, transport = _wait_until_ready(config, process, limit_s)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return Node(process, f"http://{http}", transport, config.logs / "node.log")


def _prepare_folders(config: NodeConfig) -> None:
    try:
        for folder in (config.folder / "config", config.logs, config.folder / "tmp", config.data):
            make_folder(folder)
        config.ready.unlink(missing_ok=True)
        with resources.as_file(resources.files("es_recsys.engine") / "java" / "log4j2.properties") as source:
            shutil.copyfile(source, config.folder / "config" / "log4j2.properties")
    except OSError as error:
        raise EngineError(
            f"The folder {config.folder} can't be written ({error.strerror}).", "Make it writable, or set ES_RECSYS_HOME."
        ) from error


def _spawn(config: NodeConfig) -> subprocess.Popen[bytes]:
    # Its own session: Ctrl-C in the terminal must reach us alone, and we end the node in good order.
    with config.console.open("wb") as console:
        return subprocess.Popen(  # noqa: S603
            config.command(),
            stdin=subprocess.PIPE,
            stdout=console,
            stderr=subprocess.STDOUT,
            cwd=config.folder,
            env=_environment(),
            start_new_session=sys.platform != "win32",
        )


def _environment() -> dict[str, str]:
    # Options meant for other Java programs change ours, or make it print; CLASSPATH can shadow a class.
    return {
        k: v for k, v in os.environ.items() if k not in {"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"}
    }


def _wait_until_ready(config: NodeConfig, process: subprocess.Popen[bytes], limit_s: float) -> tuple[str, str]:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        try:
            http, transport = config.ready.read_text(encoding="utf-8").split()
            return http, transport
        except FileNotFoundError:
            pass
        if process.poll() is not None:
            raise EngineError(
                f"The embedded node ended while starting (exit code {process.returncode}). Its last lines:\n{_log_tail(config)}",
                f"The whole log is {config.logs}; es-recsys doctor checks memory, disk and Java.",
            )
        time.sleep(0.05)
    raise EngineError(
        f"The embedded node did not answer within {limit_s:.0f} s. Its last lines:\n{_log_tail(config)}",
        f"The whole log is {config.logs}; a busy machine needs longer, or fewer other programs.",
    )


def _log_tail(config: NodeConfig) -> str:
    """Return the last lines that the JVM and the node logged."""
    lines: list[str] = []
    for path in (config.logs / "node.log", config.console):
        if path.is_file():
            lines += path.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
    return "\n".join(f"  {line[:300]}" for line in lines) or "  (nothing)"
