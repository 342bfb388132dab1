"""The Python client: one store, synchronous or asynchronous, from the same flows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from es_recsys.errors import RecsysError
from es_recsys.flows.answering import answer
from es_recsys.flows.effects import Fetch, Flow
from es_recsys.flows.people import read_profile
from es_recsys.flows.recording import Erased, Recorded
from es_recsys.flows.view import View
from es_recsys.runtime.explaining import explained, gone
from es_recsys.runtime.workspace import Workspace
from es_recsys.settings import Settings, load_settings
from es_recsys.types import Answer, Event, Item, Profile, Query

if TYPE_CHECKING:
    from es_recsys.jobs.catalogue import CatalogueReport
    from es_recsys.jobs.retraining import RetrainReport
    from es_recsys.jobs.training import TrainReport

__all__ = ["AsyncClient", "Client"]

T = TypeVar("T")

Filter = Sequence[str] | Mapping[str, Any]
_BATCH = 32


def _picture(image: bytes | Path | str | None) -> bytes | None:
    return image if isinstance(image, bytes) or image is None else _read(Path(image))


def _read(path: Path) -> bytes:
    from es_recsys.errors import InputError

    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"The picture {path} can't be read ({error.strerror}).", "Give the path of a picture.") from error


def _settings(url: str | None, index: str | None, settings: Settings | None, options: Mapping[str, Any]) -> Settings:
    if settings is None:
        return load_settings(url=url, index=index, **options)
    given = {name: value for name, value in {"url": url, "index": index, **options}.items() if value is not None}
    if not given:
        return settings
    checked = load_settings(**given)  # `model_copy` checks nothing
    return settings.model_copy(update={name: getattr(checked, name) for name in given})


def _profile(view: View, query: Query, now: float) -> Flow[Profile]:
    found = yield from read_profile(view, query, now)
    return found if found is not None else Profile(user_key="")


def _titles(view: View, item_ids: Iterable[str]) -> Flow[dict[str, str]]:
    wanted = tuple(dict.fromkeys(item_ids))
    found = (yield Fetch(view.meta.index, wanted, ("title",))) if wanted else {}
    return {item_id: source.get("title") or item_id for item_id, source in found.items()}


class _Questions:
    """The questions that both clients take, as Query objects."""

    @staticmethod
    def _search(query: str, image: bytes | Path | str | None, exclude: Iterable[str], options: Mapping[str, Any]) -> Query:
        return Query(text=query, image=_picture(image), exclude=frozenset(exclude), **options)

    @staticmethod
    def _recommend(
        user_id: str | None, history: Sequence[str] | None, exclude: Iterable[str], options: Mapping[str, Any]
    ) -> Query:
        past = None if history is None else tuple(history)
        return Query(user_id=user_id, history=past, exclude=frozenset(exclude), **options)


class Client(_Questions):
    """Answers from and writes to one store.

    Client("https://...", index="shop", api_key=...), or Client.embedded("shop") for the embedded node. Thread-safe; a
    context manager. What isn't given comes from the settings file and the environment.
    Every method raises a RecsysError that says what failed and what to do.
    """

    def __init__(
        self,
        url: str | None = None,
        index: str | None = None,
        *,
        settings: Settings | None = None,
        keep: bool = True,
        **options: Any,
    ) -> None:
        self.workspace = Workspace(_settings(url, index, settings, options), keep=keep)

    @classmethod
    def embedded(cls, index: str | None = None, *, keep: bool = True, **options: Any) -> Self:
        """A client of the embedded node, started where it is not up. keep: whether it goes on after this process."""
        return cls(None, index, keep=keep, **options)

    @property
    def settings(self) -> Settings:
        return self.workspace.settings

    def search(
        self,
        query: str = "",
        *,
        image: bytes | Path | str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        n: int = 10,
        offset: int = 0,
        filter: Filter = (),
        exclude: Iterable[str] = (),
        impact: float | None = None,
        diversity: float | None = None,
        explore: float | None = None,
        explain: bool = False,
        facets: bool = False,
    ) -> Answer:
        """Searches by words, a picture (bytes or a path), or both; personally where a user or a session is named.

        filter: expressions or a mapping, as docs/guide.md lists. impact, diversity, explore: 0 to 1. offset + n: up to 1,000.
        """
        options = {
            "user_id": user_id, "session_id": session_id, "n": n, "offset": offset, "filter": filter, "impact": impact,
            "diversity": diversity, "explore": explore, "explain": explain, "facets": facets,
        }  # fmt: skip
        return self.ask(self._search(query, image, exclude, options))

    def recommend(
        self,
        user_id: str | None = None,
        *,
        session_id: str | None = None,
        history: Sequence[str] | None = None,
        n: int = 10,
        offset: int = 0,
        filter: Filter = (),
        exclude: Iterable[str] = (),
        impact: float | None = None,
        diversity: float | None = None,
        explore: float | None = None,
        explain: bool = False,
    ) -> Answer:
        """Recommends to a user, a session, or whoever has the given history (item ids, oldest first)."""
        options = {
            "session_id": session_id, "n": n, "offset": offset, "filter": filter, "impact": impact,
            "diversity": diversity, "explore": explore, "explain": explain,
        }  # fmt: skip
        return self.ask(self._recommend(user_id, history, exclude, options))

    def similar_items(
        self,
        item_id: str,
        *,
        user_id: str | None = None,
        n: int = 10,
        filter: Filter = (),
        exclude: Iterable[str] = (),
        diversity: float | None = None,
        explain: bool = False,
    ) -> Answer:
        """Items like one item, by content and by what people did. A user adds dislikes, which are left out."""
        return self.ask(
            Query(
                like=item_id,
                user_id=user_id,
                n=n,
                filter=filter,
                exclude=frozenset(exclude),
                diversity=diversity,
                explain=explain,
            )
        )

    def rank(
        self,
        user_id: str | None,
        item_ids: Sequence[str],
        *,
        session_id: str | None = None,
        exclude: Iterable[str] = (),
        impact: float | None = None,
        explain: bool = False,
    ) -> Answer:
        """The given items (1 to 1,000) in the order that suits the user; unknown ids are left out."""
        ids = tuple(dict.fromkeys(item_ids))
        return self.ask(
            Query(
                ids=ids,
                user_id=user_id,
                session_id=session_id,
                n=max(len(ids), 1),
                exclude=frozenset(exclude),
                impact=impact,
                explain=explain,
            )
        )

    def ask(self, query: Query) -> Answer:
        """Answers any Query."""
        return self.workspace.run(lambda view: answer(view, query, time.time()))

    def ask_all(self, queries: Iterable[Query]) -> Iterator[Answer | RecsysError]:
        """Answers many queries, their searches joined into few requests; in their order, an error in its place."""
        for batch in _batches(queries, _BATCH):
            now = time.time()
            yield from self.workspace.run_all(lambda view, b=batch, t=now: [answer(view, q, t) for q in b])  # type: ignore[misc]

    def insert_items(self, items: Iterable[Item], *, base: Path | str = ".") -> CatalogueReport:
        """Adds and changes items; makes the store where there is none. base: folder that pictures' paths start from."""
        from es_recsys.jobs.catalogue import insert_items

        return insert_items(self.workspace, items, Path(base))

    def delete_items(self, item_ids: Iterable[str]) -> CatalogueReport:
        """Removes items."""
        from es_recsys.jobs.catalogue import remove_items

        return remove_items(self.workspace, item_ids)

    def put_events(self, events: Sequence[Event] | Event) -> Recorded:
        """Records events; the very next answer shows them. Known events change nothing, so a retry is safe."""
        put = self.workspace.recording([events] if isinstance(events, Event) else list(events))
        recorded = self.workspace.run(put)
        if self.workspace.moved_on(put.version):
            self.workspace.run(put)
        return recorded

    def train(
        self,
        models: Sequence[str] = (),
        *,
        add: bool = False,
        targets: Sequence[str] = (),
        budget: float | None = None,
        seed: int = 7,
    ) -> TrainReport:
        """Trains the collaborative models and puts them into service; chooses them by itself where none are named.

        add: the live models are trained again beside those that are named. targets: event types that answers are to lead to
        (("purchase",)), in place of any by which somebody takes to an item. budget: seconds after which no further setting is
        tried. Raises StoreNotFound, InputError for an unknown name or type, ModelError where there is nothing to train on,
        IndexStateError while another training of the store is running.
        """
        from es_recsys.jobs.training import train

        return train(self.workspace, models, add=add, targets=targets, budget=budget, seed=seed)

    def train_if_needed(
        self,
        models: Sequence[str] = (),
        *,
        add: bool = False,
        targets: Sequence[str] = (),
        growth: float = 0.1,
        budget: float | None = None,
        seed: int = 7,
    ) -> RetrainReport:
        """Trains where events or items have grown by a share of `growth` or quality has fallen, for a scheduler to call; else
        says why not. Without names or targets those of the models in service. What is worse than these is not put into service.

        Due is also what has other event weights since, a named model or target that isn't served yet, and models that can't be
        loaded.
        Raises as `train`, and InputError for a growth that is not above 0; but while another training is running the outcome
        is "busy", and without positive events "nothing".
        """
        from es_recsys.jobs.retraining import train_if_needed

        return train_if_needed(self.workspace, models, add=add, targets=targets, growth=growth, budget=budget, seed=seed)

    def get_user_profile(self, user_id: str) -> Profile:
        """What is known of a user; an empty profile where nothing is."""
        return self.workspace.run(lambda view: _profile(view, Query(user_id=user_id), time.time()))

    def delete_user(self, user_id: str) -> Erased:
        """Erases a user: events, profile, answer log. A replay of older events doesn't bring the user back."""
        from es_recsys.jobs.erasure import erase_user

        return erase_user(self.workspace, user_id)

    def titles(self, item_ids: Iterable[str]) -> dict[str, str]:
        """Title of each item; its id where it has none."""
        return self.workspace.run(lambda view: _titles(view, item_ids))

    def close(self) -> None:
        self.workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class AsyncClient(_Questions):
    """The methods of `Client`, to be awaited. Requests to Elasticsearch are asynchronous; SQL, encoders and long jobs run in
    threads. Use it in one event loop, as `async with` or with `await close()`."""

    def __init__(
        self,
        url: str | None = None,
        index: str | None = None,
        *,
        settings: Settings | None = None,
        keep: bool = True,
        **options: Any,
    ) -> None:
        from es_recsys import engine
        from es_recsys.runtime.drive import AsyncDriver

        self._client = Client(url, index, settings=settings, keep=keep, **options)
        work = self._client.workspace
        self._es = engine.connect_async(work.settings, work.url)
        self._driver = AsyncDriver(self._es, work.log)

    @classmethod
    def embedded(cls, index: str | None = None, *, keep: bool = True, **options: Any) -> Self:
        """As `Client.embedded`."""
        return cls(None, index, keep=keep, **options)

    @property
    def settings(self) -> Settings:
        return self._client.settings

    async def search(
        self, query: str = "", *, image: bytes | Path | str | None = None, exclude: Iterable[str] = (), **options: Any
    ) -> Answer:
        """As `Client.search`."""
        return await self.ask(self._search(query, image, exclude, options))

    async def recommend(
        self,
        user_id: str | None = None,
        *,
        history: Sequence[str] | None = None,
        exclude: Iterable[str] = (),
        **options: Any,
    ) -> Answer:
        """As `Client.recommend`."""
        return await self.ask(self._recommend(user_id, history, exclude, options))

    async def similar_items(self, item_id: str, *, exclude: Iterable[str] = (), **options: Any) -> Answer:
        """As `Client.similar_items`."""
        return await self.ask(Query(like=item_id, exclude=frozenset(exclude), **options))

    async def rank(self, user_id: str | None, item_ids: Sequence[str], *, exclude: Iterable[str] = (), **options: Any) -> Answer:
        """As `Client.rank`."""
        ids = tuple(dict.fromkeys(item_ids))
        return await self.ask(Query(ids=ids, user_id=user_id, n=max(len(ids), 1), exclude=frozenset(exclude), **options))

    async def ask(self, query: Query) -> Answer:
        """Answers any Query."""
        return await self._run(lambda view: answer(view, query, time.time()))

    async def ask_all(self, queries: Iterable[Query]) -> AsyncIterator[Answer | RecsysError]:
        """As `Client.ask_all`."""
        for batch in _batches(queries, _BATCH):
            for found in await asyncio.gather(*(self.ask(query) for query in batch), return_exceptions=True):
                if isinstance(found, BaseException) and not isinstance(found, RecsysError):
                    raise found
                yield found

    async def insert_items(self, items: Iterable[Item], *, base: Path | str = ".") -> CatalogueReport:
        """As `Client.insert_items`."""
        return await asyncio.to_thread(self._client.insert_items, items, base=base)

    async def delete_items(self, item_ids: Iterable[str]) -> CatalogueReport:
        """As `Client.delete_items`."""
        return await asyncio.to_thread(self._client.delete_items, item_ids)

    async def put_events(self, events: Sequence[Event] | Event) -> Recorded:
        """As `Client.put_events`."""
        work = self._client.workspace
        put = await asyncio.to_thread(work.recording, [events] if isinstance(events, Event) else list(events))
        recorded = await self._run(put)
        if await asyncio.to_thread(work.moved_on, put.version):
            await self._run(put)
        return recorded

    async def train(
        self,
        models: Sequence[str] = (),
        *,
        add: bool = False,
        targets: Sequence[str] = (),
        budget: float | None = None,
        seed: int = 7,
    ) -> TrainReport:
        """As `Client.train`."""
        return await asyncio.to_thread(self._client.train, models, add=add, targets=targets, budget=budget, seed=seed)

    async def train_if_needed(
        self,
        models: Sequence[str] = (),
        *,
        add: bool = False,
        targets: Sequence[str] = (),
        growth: float = 0.1,
        budget: float | None = None,
        seed: int = 7,
    ) -> RetrainReport:
        """As `Client.train_if_needed`."""
        return await asyncio.to_thread(
            self._client.train_if_needed, models, add=add, targets=targets, growth=growth, budget=budget, seed=seed
        )

    async def get_user_profile(self, user_id: str) -> Profile:
        """As `Client.get_user_profile`."""
        return await self._run(lambda view: _profile(view, Query(user_id=user_id), time.time()))

    async def delete_user(self, user_id: str) -> Erased:
        """As `Client.delete_user`."""
        return await asyncio.to_thread(self._client.delete_user, user_id)

    async def titles(self, item_ids: Iterable[str]) -> dict[str, str]:
        """As `Client.titles`."""
        return await self._run(lambda view: _titles(view, item_ids))

    async def close(self) -> None:
        await self._es.close()
        await asyncio.to_thread(self._client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _run(self, make: Callable[[View], Flow[T]]) -> T:
        work = self._client.workspace
        for last in (False, True):
            try:
                view = await asyncio.to_thread(work.views.current)
                return await self._driver.run(make(view))
            except Exception as error:
                if not last and gone(error):
                    work.views.forget()
                    continue
                raise explained(error, work.address) from error
        raise AssertionError("unreachable")


def _batches(queries: Iterable[Query], size: int) -> Iterator[list[Query]]:
    batch: list[Query] = []
    for query in queries:
        batch.append(query)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
