"""Fixtures that all tests share: a real Elasticsearch for the session, a fresh store for a test, the real data sets.

The server is the one of ES_RECSYS_URL, else a container where a Docker daemon answers, else an embedded node that ends with
the session. Where pytest-xdist runs several workers, all of them share one server, which the process that started them owns.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import typer.main
import typer.testing
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from quick_java import quick_java
from store_indices import delete_indices

from es_recsys.dataset import Interactions
from es_recsys.settings import Settings

if TYPE_CHECKING:
    from cluster import Cluster
    from elasticsearch import Elasticsearch

_IMAGE = "elasticsearch:9.2.0"
_TEST_HEAP = "512m"
_MEMORY = 4 * 1024**3
_SHARED_URL = "PYTEST_ELASTICSEARCH_URL"
# How long the code under test waits for the server, and the service for a ranking: a pause of a busy machine is no failure of
# a test.
_PATIENCE = {"ES_RECSYS_SEARCH__TIMEOUT_S": "120", "ES_RECSYS_SERVICE__DEADLINE_S": "120"}
# How many threads numpy, PyTorch and polars compute with.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")
_SHARED = pytest.StashKey[ExitStack]()

# The examples of a test are the same in every run, and none fails because the machine is slow. To look for more and new ones:
# pytest --hypothesis-profile=explore
_ALWAYS = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.register_profile("same", _ALWAYS, derandomize=True, database=None, max_examples=40)
hypothesis_settings.register_profile("explore", _ALWAYS, derandomize=False, max_examples=400)
hypothesis_settings.load_profile("same")


@pytest.fixture(scope="session", autouse=True)
def commands_are_made_once() -> Iterator[None]:
    """Make the tree of commands once a process: it is a fifth of the processor time of tests that run commands."""
    once = functools.cache(typer.main.get_command)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", once)
        patch.setattr(typer.testing, "_get_command", once)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real data sets."""
    path = Path(__file__).parents[2] / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the real data sets are not beside this checkout (../shared/data)")
    return path


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of exported models and encoded contents, one for all workers: what one of them made is there for the others."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "model-cache"
    folder.mkdir(exist_ok=True)
    return folder


def pytest_configure(config: pytest.Config) -> None:
    """Set how long is waited for the server and what nodes run on, and start the one that the workers of pytest-xdist share.

    Workers inherit the environment.
    """
    for name, seconds in _PATIENCE.items():
        os.environ.setdefault(name, seconds)
    if config.getoption("collectonly") or "PYTEST_XDIST_WORKER" in os.environ:
        return
    config.stash[_SHARED] = shared = ExitStack()
    home = Path(shared.enter_context(_folder_in_memory()))
    if "ES_RECSYS_JAVA" not in os.environ and (java := quick_java(home / "java")):
        os.environ["ES_RECSYS_JAVA"] = java
    workers = config.getoption("numprocesses", None)
    if not workers:
        return
    # Workers that take more threads together than there are processors wait for each other.
    for name in _THREADS:
        os.environ.setdefault(name, str(max((os.cpu_count() or 1) // workers, 1)))
    if not os.environ.get("ES_RECSYS_URL"):
        # It isn't ES_RECSYS_URL, which the code under test reads, too.
        os.environ[_SHARED_URL] = shared.enter_context(_container() if _docker_answers() else _embedded(home))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that need the server: they take longest, so that at the end no worker waits long for the other."""
    slow = {item.path for item in items if "es_url" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path not in slow)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the shared server."""
    if (shared := config.stash.get(_SHARED, None)) is not None:
        shared.close()


@pytest.fixture(scope="session")
def es_url() -> Iterator[str]:
    """Address of the session's Elasticsearch."""
    named = os.environ.get("ES_RECSYS_URL") or os.environ.get(_SHARED_URL)
    if named:
        yield named
        return
    with _folder_in_memory() as home, _container() if _docker_answers() else _embedded(Path(home)) as url:
        yield url


@pytest.fixture(scope="session")
def es(es_url: str) -> Iterator[Elasticsearch]:
    """A client of the session's Elasticsearch."""
    from es_recsys import engine

    with engine.connect(Settings(url=es_url)) as client:
        client.cluster.health(wait_for_status="yellow", timeout="60s")
        yield client


@pytest.fixture
def store_name(request: pytest.FixtureRequest) -> Iterator[str]:
    """A store's name that no other test has; its indices are deleted after the test, where it used a server."""
    name = f"t{uuid.uuid4().hex[:12]}"
    client: Elasticsearch | None = request.getfixturevalue("es") if "es_url" in request.fixturenames else None
    yield name
    if client is not None:
        delete_indices(client, name)


@pytest.fixture
def settings(tmp_path: Path, es_url: str, store_name: str) -> Settings:
    """Settings of that store on the session's Elasticsearch, all files in the test's own folder."""
    return Settings(url=es_url, index=store_name, home=tmp_path / "home", cache=tmp_path / "cache")


@pytest.fixture
def start_cluster(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts embedded nodes that form one cluster: `start_cluster(3)`; they end with the test."""
    from cluster import Cluster

    clusters: list[Cluster] = []

    def begin(nodes: int, heap: str = "256m") -> Cluster:
        place = tmp_path / f"cluster{len(clusters)}"
        clusters.append(Cluster.start(Settings(home=place, heap=heap, java=os.environ.get("ES_RECSYS_JAVA")), nodes))
        return clusters[-1]

    yield begin
    for one in clusters:
        one.close()


@pytest.fixture
def cluster(start_cluster: Callable[..., Cluster]) -> Cluster:
    """Three embedded nodes that form one cluster."""
    return start_cluster(3)


def _folder_in_memory() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that goes with its context, in memory where the system has a place for it: a node there waits for no disk.

    Of a store that is made, trained and deleted, the disk was half of the engine's processor time and most of its waiting.
    """
    memory = Path("/dev/shm")
    there = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _MEMORY
    return tempfile.TemporaryDirectory(prefix="es-recsys-tests-", dir=memory if there else None)


@contextmanager
def _embedded(home: Path) -> Iterator[str]:
    from es_recsys import engine

    with engine.start_owned(Settings(home=home, heap=os.environ.get("ES_RECSYS_HEAP", _TEST_HEAP))) as node:
        yield node.url


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        done = subprocess.run([docker, "info"], capture_output=True, timeout=10, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


@contextmanager
def _container() -> Iterator[str]:
    from testcontainers.community.elasticsearch import ElasticSearchContainer

    with ElasticSearchContainer(_IMAGE, mem_limit="2g").with_env(
        "ES_JAVA_OPTS", f"-Xms{_TEST_HEAP} -Xmx{_TEST_HEAP}"
    ) as container:
        yield f"http://{container.get_container_host_ip()}:{container.get_exposed_port(container.port)}"


# An event: item, and where they matter its weight, its time in days, and what it was, a view unless that is told.
Event = str | tuple[str, float] | tuple[str, float, float] | tuple[str, float, float, str]
Make = Callable[..., Interactions]
TYPES = ("purchase", "view")


@pytest.fixture(scope="session")
def interactions() -> Make:
    """interactions({"user": [event, ...]}, timed=False): events oldest first."""

    def make(users: Mapping[str, Sequence[Event]], timed: bool = False) -> Interactions:
        rows = []
        for user, events in enumerate(users.values()):
            for place, event in enumerate(events):
                given: tuple[Any, ...] = (event,) if isinstance(event, str) else event
                item, weight, day, kind = given + (1.0, float(place), "view")[len(given) - 1 :]
                rows.append((user, item, weight, day * 86_400.0 if timed else day, kind))
        item_ids, items = np.unique(np.array([row[1] for row in rows], dtype=np.str_), return_inverse=True)
        return Interactions(
            user_ids=np.array(list(users), dtype=np.str_),
            item_ids=item_ids,
            users=np.array([row[0] for row in rows], np.int32),
            items=items.astype(np.int32),
            weights=np.array([row[2] for row in rows], np.float32),
            times=np.array([row[3] for row in rows], np.float64),
            timed=timed,
            type_idx=np.array([TYPES.index(row[4]) for row in rows], np.int8),
            event_types=TYPES,
        )

    return make
