"""Several embedded nodes on one machine that form one cluster, to test the loss of a node."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from es_recsys.engine import machine
from es_recsys.engine.distribution import Distribution, ensure_distribution
from es_recsys.engine.java import Java, find_java
from es_recsys.engine.node import Node, NodeConfig, launch
from es_recsys.settings import Settings

__all__ = ["Cluster"]


@dataclass(slots=True)
class Cluster:
    """Nodes by name ("n1", "n2", ...), each with its own data in `home`; they end with this process at the latest."""

    home: Path
    heap: str
    java: Java
    distribution: Distribution
    names: tuple[str, ...]
    nodes: dict[str, Node] = field(default_factory=dict)

    @classmethod
    def start(cls, settings: Settings, nodes: int = 3) -> Cluster:
        """Start `nodes` nodes of `settings.heap` each.

        Raises EngineError where memory, disk or Java are lacking, or a node does not start.
        """
        available = machine.available_memory()
        machine.check_memory(settings.heap, None if available is None else available // nodes)
        machine.check_disk(settings.home, machine.free_disk(settings.home))
        java = find_java(settings.java)
        names = tuple(f"n{i + 1}" for i in range(nodes))
        cluster = cls(settings.home, settings.heap, java, ensure_distribution(settings.cache, java), names)
        try:
            # The first one's address is known once it is up; the others find each other through it, on ports of their
            # own choice, so that no port is guessed.
            cluster.start_node(names[0])
            with ThreadPoolExecutor(nodes) as pool:
                list(pool.map(cluster.start_node, names[1:]))
        except BaseException:
            cluster.close()
            raise
        return cluster

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes.values()]

    def start_node(self, name: str) -> Node:
        """Start the node, with what it had stored if it ran before."""
        seeds = [node.transport for node in self.nodes.values()]
        options = {"node.name": name, "cluster.name": "es-recsys-cluster", "discovery.seed_hosts": ",".join(seeds)}
        folder = self.home / name
        if not (folder / "data" / "_state").exists():
            # Only the first forms the cluster; the others join it.
            options["cluster.initial_master_nodes"] = self.names[0]
        node = launch(NodeConfig(self.distribution, self.java, self.heap, folder, folder / "data", options))
        self.nodes[name] = node
        return node

    def kill(self, name: str) -> None:
        """End the node as a crash would: with SIGKILL."""
        node = self.nodes.pop(name)
        node.process.kill()
        node.process.wait()

    def close(self) -> None:
        for node in self.nodes.values():
            node.process.terminate()
        for node in self.nodes.values():
            node.close()
        self.nodes.clear()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
