"""One store opened: its settings, connections, current snapshot, event store and answer log, for clients and jobs."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from elasticsearch import Elasticsearch, NotFoundError

from es_recsys import engine
from es_recsys.engine.connect import address_of
from es_recsys.errors import RecsysError, StoreNotFound
from es_recsys.index import versions
from es_recsys.index.stored_metadata import read_metadata, read_version, write_metadata
from es_recsys.index_metadata import IndexMetadata
from es_recsys.keys import confirm_key, key_check
from es_recsys.private import make_folder
from es_recsys.serving.answer_log import AnswerLog
from es_recsys.serving.drivers import Driver, is_index_missing, translate_error
from es_recsys.serving.joined_flows import run_all
from es_recsys.serving.operations import Flow, RunBlocking, VersionChanged
from es_recsys.serving.recording import Recording, RecordingReport
from es_recsys.serving.secret_check import is_secret_proven
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.snapshot_cache import SnapshotCache
from es_recsys.settings import Settings
from es_recsys.types import Event

if TYPE_CHECKING:  # it loads SQLAlchemy
    from es_recsys.events.store import EventStore

__all__ = ["Workspace", "drop_store"]

T = TypeVar("T")


class Workspace:
    """One store, opened for a client or a job. Thread-safe; a context manager.

    Without a URL in the settings the embedded node is used, and started where it is not up; with `keep` False it ends
    with this process. No request goes to Elasticsearch before the first operation.
    """

    def __init__(self, settings: Settings, *, keep: bool = True) -> None:
        self.settings = settings
        self._owned = engine.start_owned(settings) if not settings.url and not keep else None
        url = self._owned.url if self._owned is not None else engine.resolve_url(settings)
        self.url = url
        self.es: Elasticsearch = engine.connect(settings, url, self.find_url)
        self.snapshots = SnapshotCache(settings, self.es)
        self.log = AnswerLog(settings.answers, settings.answer_log_mib << 20)
        self.driver = Driver(self.es, self.log)
        self._events: EventStore | None = None
        self._key_known = False
        self._lock, self._moving = threading.Lock(), threading.Lock()

    def find_url(self) -> str | None:
        """Return the URL of the embedded node, which may have been started again on another port; None for another server.

        A node that ended by itself is started again. Raises EngineError.
        """
        if self.settings.url:
            return None
        with self._moving:
            owned = self._owned
            if owned is None or owned.node is None:
                self.url = engine.running_url(self.settings)
            else:
                if owned.node.process.poll() is not None:
                    owned.close()
                    self._owned = owned = engine.start_owned(self.settings)
                self.url = owned.url
            return self.url

    @property
    def events(self) -> EventStore:
        """The event store, opened at its first use: answers don't need it."""
        with self._lock:
            if self._events is None:
                from es_recsys.events.store import EventStore

                if self.settings.sql_url is None:
                    make_folder(self.settings.home)
                self._events = EventStore(self.settings.sqlalchemy_url(), self.settings.index, self.settings.secret())
            return self._events

    def record(self, events: Sequence[Event]) -> Flow[RecordingReport]:
        """Return the flow that records events. Raises KeyMismatch, StoreNotFound, ModelError."""
        yield from self.with_retry(self._confirm_key)
        store = yield RunBlocking(lambda: self.events, lambda: self._events)
        return (yield from self.with_retry(Recording(store, events, self.now())))

    def confirm_key(self, metadata: IndexMetadata, *, adopt: bool = False) -> None:
        """Check that the secret set here is the one that the store's users are stored under.

        A store of an earlier version doesn't say which that is, but its profiles do. adopt: store it from now on.
        Raises KeyMismatch.
        """
        secret, store = self.settings.secret(), self.events
        confirm_key(secret, metadata.key_check)
        if metadata.key_check and (self._key_known or store.key_known):
            self._key_known = True
            return
        proven = bool(metadata.key_check) or is_secret_proven(self.job_es, store, secret, metadata.profiles)
        if not (adopt and proven):
            return
        store.adopt_key()
        if not metadata.key_check:
            current = read_version(self.job_es, metadata.store, metadata.version)
            write_metadata(self.job_es, replace(current, key_check=key_check(secret)))
            self.snapshots.invalidate()

    def update_metadata(self, change: Callable[[IndexMetadata], IndexMetadata]) -> None:
        """Store what `change` makes of the live version's metadata; the next answer reads it. Raises StoreNotFound."""
        with self.translating_errors():
            metadata = read_metadata(self.es, self.settings.index)
            changed = change(metadata)
            if changed != metadata:
                write_metadata(self.es, changed)
                self.snapshots.invalidate()

    @property
    def job_es(self) -> Elasticsearch:
        """The Elasticsearch client of jobs, whose requests may take long."""
        return self.es.options(request_timeout=300.0)

    @property
    def address(self) -> str:
        """The address of Elasticsearch without credentials, for messages."""
        return address_of(self.es)

    @contextmanager
    def translating_errors(self) -> Iterator[None]:
        """Translate errors of Elasticsearch into ours, with a remedy, inside a `with` block."""
        try:
            yield
        except Exception as error:
            raise translate_error(error, self.address) from error

    def run(self, make: Callable[[ServingSnapshot], Flow[T]]) -> T:
        """Run the flow that `make` gives for the current snapshot (see `with_retry`)."""
        return self.driver.run(self.with_retry(make))

    def run_all(
        self, make: Callable[[ServingSnapshot], Sequence[Flow[T]]], driver: Driver | None = None
    ) -> list[T | RecsysError]:
        """Run many flows side by side, and return their values; a RecsysError stands in its flow's place.

        driver: in place of the store's own.
        """
        return self.run_with_driver(lambda driver, snapshot: run_all(driver, make(snapshot)), driver)

    def run_with_driver(self, function: Callable[[Driver, ServingSnapshot], T], driver: Driver | None = None) -> T:
        """Call a function that itself runs what it does for the current snapshot (see `with_retry`)."""
        driver = driver or self.driver

        def whole(snapshot: ServingSnapshot) -> Flow[T]:
            return (yield RunBlocking(partial(function, driver, snapshot)))  # type: ignore[no-any-return]

        return driver.run(self.with_retry(whole))

    def with_retry(self, make: Callable[[ServingSnapshot], Flow[T]]) -> Flow[T]:
        """Return the flow that `make` gives for the current snapshot; it begins again with a fresh one where its index is gone.

        So it does where it sees that another version is live. Raises EngineError where Elasticsearch fails, StoreNotFound, and
        what the flow raises.
        """
        for last in (False, True):
            try:
                snapshot = yield RunBlocking(self.snapshots.current, self.snapshots.known)
                return (yield from make(snapshot))
            except (NotFoundError, VersionChanged) as error:
                if last or (isinstance(error, NotFoundError) and not is_index_missing(error)):
                    raise translate_error(error, self.address) from error
                self.snapshots.invalidate()
        raise AssertionError("unreachable")

    def _confirm_key(self, snapshot: ServingSnapshot) -> Flow[None]:
        if not (self._key_known and snapshot.metadata.key_check):  # else `snapshot.key_of` confirms it
            yield RunBlocking(partial(self.confirm_key, snapshot.metadata, adopt=True))

    def close(self) -> None:
        self.es.close()
        if self._events is not None:
            self._events.close()
        if self._owned is not None:
            self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @staticmethod
    def now() -> float:
        return time.time()


def drop_store(work: Workspace) -> None:
    """Delete all versions, models, popularity and the answer log.

    The events stay: they are the truth, and another load of the items brings everything back.
    """
    try:
        with work.translating_errors():
            versions.drop_store(work.job_es, work.settings.index)
    except StoreNotFound:
        if not work.settings.store_home.exists():
            raise
    shutil.rmtree(work.settings.store_home, ignore_errors=True)
    work.snapshots.invalidate()
