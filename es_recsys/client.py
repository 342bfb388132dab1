"""The Python client: one store, synchronous or asynchronous, from the same flows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from es_recsys import arguments
from es_recsys.errors import EngineError, InputError, RecsysError
from es_recsys.ratings import RatingScale
from es_recsys.renamed import accepts_old_arguments
from es_recsys.serving.answering import execute
from es_recsys.serving.operations import Flow, MultiGet
from es_recsys.serving.recording import Erased, Recorded
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import read_profile
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import Settings, load_settings
from es_recsys.types import Answer, Event, Item, Profile, Query

if TYPE_CHECKING:
    from es_recsys.jobs.load_items import CatalogueReport
    from es_recsys.training.retrain import RetrainReport
    from es_recsys.training.train import TrainReport

__all__ = ["AsyncClient", "Client"]

T = TypeVar("T")

Filter = Sequence[str] | Mapping[str, Any]
Id = str | int
"""A text or a whole number."""
Ids = Iterable[str | int] | str | int
"""Ids, of which one may stand alone."""
_BATCH, _FEWER = 32, 8
# Questions in succession that Elasticsearch fails to answer, after which the others of a request are not asked.
_TOO_OFTEN = 3


def _settings(url: str | None, index: str | None, settings: Settings | None, options: Mapping[str, Any]) -> Settings:
    if settings is None:
        return load_settings(url=url, index=index, **options)
    if not isinstance(settings, Settings):
        raise InputError("settings is no Settings.", "Give what load_settings() returns, or leave it out.")
    given = {name: value for name, value in {"url": url, "index": index, **options}.items() if value is not None}
    if not given:
        return settings
    checked = load_settings(**given)  # `model_copy` checks nothing
    return settings.model_copy(update={name: getattr(checked, name) for name in given})


def _profile(snapshot: ServingSnapshot, query: Query, now: float) -> Flow[Profile]:
    found = yield from read_profile(snapshot, query, now)
    return found if found is not None else Profile(user_key="")


def _titles(snapshot: ServingSnapshot, item_ids: tuple[str, ...]) -> Flow[dict[str, str]]:
    wanted = tuple(dict.fromkeys(item_ids))
    found = (yield MultiGet(snapshot.metadata.index, wanted, ("title",))) if wanted else {}
    return {item_id: source.get("title") or item_id for item_id, source in found.items()}


class _Questions:
    """The questions that both clients take, as Query objects, which read what is given."""

    @staticmethod
    def _search(query: str, image: Any, exclude: Any, options: Mapping[str, Any]) -> Query:
        return Query(text=query, image=arguments.picture("image", image), exclude=exclude, **options)

    @staticmethod
    def _recommend(user_id: Id | None, history: Any, exclude: Any, options: Mapping[str, Any]) -> Query:
        return Query(user_id=arguments.optional_id("user_id", user_id), history=history, exclude=exclude, **options)

    @staticmethod
    def _similar(item_id: Id, exclude: Any, options: Mapping[str, Any]) -> Query:
        return Query(like=arguments.one_id("item_id", item_id), exclude=exclude, **options)

    @staticmethod
    def _rank(user_id: Id | None, item_ids: Any, exclude: Any, options: Mapping[str, Any]) -> Query:
        ids = tuple(dict.fromkeys(arguments.ids("item_ids", item_ids)))
        user = arguments.optional_id("user_id", user_id)
        return Query(ids=ids, user_id=user, n=max(len(ids), 1), exclude=exclude, **options)

    @staticmethod
    def _checked(query: Any) -> Query:
        if not isinstance(query, Query):
            raise InputError(f"A question is a Query, not a {type(query).__name__}.", "Make one: Query(text=...).")
        return query


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

    @accepts_old_arguments
    def search(
        self,
        query: str = "",
        *,
        image: bytes | Path | str | None = None,
        user_id: Id | None = None,
        session_id: Id | None = None,
        n: int = 10,
        offset: int = 0,
        filter: Filter = (),
        exclude: Ids = (),
        personalization: float | None = None,
        diversity: float | None = None,
        explore: float | None = None,
        explain: bool = False,
        facets: bool = False,
    ) -> Answer:
        """Searches by words, a picture (bytes or a path), or both; personally where a user or a session is named.

        filter: expressions or a mapping, as docs/guide.md lists. personalization, diversity, explore: 0 to 1.
        offset + n: up to 1,000.
        """
        options = {
            "user_id": user_id, "session_id": session_id, "n": n, "offset": offset, "filter": filter,
            "personalization": personalization, "diversity": diversity, "explore": explore, "explain": explain, "facets": facets,
        }  # fmt: skip
        return self.ask(self._search(query, image, exclude, options))

    @accepts_old_arguments
    def recommend(
        self,
        user_id: Id | None = None,
        *,
        session_id: Id | None = None,
        history: Ids | None = None,
        n: int = 10,
        offset: int = 0,
        filter: Filter = (),
        exclude: Ids = (),
        personalization: float | None = None,
        diversity: float | None = None,
        explore: float | None = None,
        explain: bool = False,
    ) -> Answer:
        """Recommends to a user, a session, or whoever has the given history (item ids, oldest first)."""
        options = {
            "session_id": session_id, "n": n, "offset": offset, "filter": filter,
            "personalization": personalization, "diversity": diversity, "explore": explore, "explain": explain,
        }  # fmt: skip
        return self.ask(self._recommend(user_id, history, exclude, options))

    def similar_items(
        self,
        item_id: Id,
        *,
        user_id: Id | None = None,
        n: int = 10,
        filter: Filter = (),
        exclude: Ids = (),
        diversity: float | None = None,
        explain: bool = False,
    ) -> Answer:
        """Items like one item, by content and by what people did. A user adds dislikes, which are left out."""
        options = {"user_id": user_id, "n": n, "filter": filter, "diversity": diversity, "explain": explain}
        return self.ask(self._similar(item_id, exclude, options))

    @accepts_old_arguments
    def rank(
        self,
        user_id: Id | None,
        item_ids: Ids,
        *,
        session_id: Id | None = None,
        exclude: Ids = (),
        personalization: float | None = None,
        explain: bool = False,
    ) -> Answer:
        """The given items (1 to 1,000) in the order that suits the user; ids that the store lacks are in `unknown`."""
        options = {"session_id": session_id, "personalization": personalization, "explain": explain}
        return self.ask(self._rank(user_id, item_ids, exclude, options))

    def ask(self, query: Query) -> Answer:
        """Answers any Query."""
        query = self._checked(query)
        return self.workspace.run(lambda snapshot: execute(snapshot, query, time.time()))

    def ask_all(self, queries: Iterable[Query]) -> Iterator[Answer | RecsysError]:
        """Answers many queries, their searches joined into few requests; in their order, an error in its place. Where a request
        fails, its questions are asked again in smaller ones."""
        for batch in _batches(arguments.instances("queries", queries, Query), _BATCH):
            yield from self._asked(batch)

    def _asked(self, batch: list[Query]) -> Iterator[Answer | RecsysError]:
        now = time.time()
        try:
            yield from self.workspace.run_all(lambda snapshot: [execute(snapshot, query, now) for query in batch])
            return
        except EngineError as error:
            failed: EngineError = error
        if len(batch) == 1:
            yield failed
            return
        failures, size = 0, _FEWER if len(batch) > _FEWER else 1
        for part in _batches(batch, size):
            if failures >= _TOO_OFTEN:
                # It would only be waited for again.
                yield from [failed] * len(part)
                continue
            for found in self._asked(part):
                failures = failures + 1 if isinstance(found, EngineError) else 0
                yield found

    def insert_items(self, items: Iterable[Item] | Item, *, base: Path | str = ".") -> CatalogueReport:
        """Adds and changes items; makes the store where there is none. base: folder that pictures' paths start from."""
        from es_recsys.jobs.load_items import insert_items

        if not isinstance(base, str | Path):
            raise InputError("base is no path.", "Give the folder that the paths of pictures start from.")
        given = arguments.instances("items", items, Item)
        # What is at hand is looked at before anything is written.
        return insert_items(self.workspace, list(given) if isinstance(items, Sequence | Item) else given, Path(base))

    def delete_items(self, item_ids: Ids) -> CatalogueReport:
        """Removes items."""
        from es_recsys.jobs.load_items import remove_items

        return remove_items(self.workspace, arguments.ids("item_ids", item_ids))

    def put_events(self, events: Iterable[Event] | Event) -> Recorded:
        """Records events; the very next answer shows them. Known events change nothing, so a retry is safe.

        What is stored and doesn't count is in `quarantined`, by reason: ratings off the store's scale (`set_rating_scale`).
        """
        put = self.workspace.recording(list(arguments.instances("events", events, Event)))
        recorded = self.workspace.run(put)
        if self.workspace.version_changed(put.version):
            self.workspace.run(put)
        return recorded

    def set_rating_scale(self, scale: str | RatingScale) -> None:
        """Reads ratings, those that are stored too, on a scale from the worst to the best ("0..10"); 1 to 5 until it is set or
        found in files. Raises InputError."""
        from es_recsys.jobs.load_events import set_rating_scale

        if not isinstance(scale, str | RatingScale):
            raise InputError("scale is no scale of ratings.", 'Give the worst rating and the best: "0..10".')
        set_rating_scale(self.workspace, scale)

    def train(
        self,
        models: Sequence[str] | str = (),
        *,
        add: bool = False,
        targets: Sequence[str] | str = (),
        budget: float | None = None,
        seed: int = 7,
    ) -> TrainReport:
        """Trains the collaborative models and puts them into service; chooses them by itself where none are named.

        add: the live models are trained again beside those that are named. targets: event types that answers are to lead to
        (("purchase",)), in place of any by which somebody takes to an item. budget: seconds after which no further setting is
        tried. Raises StoreNotFound, InputError for an unknown name or type, ModelError where there is nothing to train on,
        IndexStateError while another training of the store is running.
        """
        from es_recsys.training.train import train

        return train(self.workspace, **_training(models, add, targets, budget, seed))

    def train_if_needed(
        self,
        models: Sequence[str] | str = (),
        *,
        add: bool = False,
        targets: Sequence[str] | str = (),
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
        from es_recsys.training.retrain import train_if_needed

        share = arguments.optional_number("growth", growth, 0.0)
        if share is None:
            raise InputError("growth is None.", "Give a share above 0: 0.1 is a tenth.")
        return train_if_needed(self.workspace, growth=share, **_training(models, add, targets, budget, seed))

    def get_user_profile(self, user_id: Id) -> Profile:
        """What is known of a user; an empty profile where nothing is."""
        query = Query(user_id=arguments.one_id("user_id", user_id))
        return self.workspace.run(lambda snapshot: _profile(snapshot, query, time.time()))

    def delete_user(self, user_id: Id) -> Erased:
        """Erases a user: events, profile, answer log. A replay of older events doesn't bring the user back."""
        from es_recsys.jobs.erase_user import erase_user

        return erase_user(self.workspace, arguments.one_id("user_id", user_id))

    def titles(self, item_ids: Ids) -> dict[str, str]:
        """Title of each item; its id where it has none."""
        ids = arguments.ids("item_ids", item_ids)
        return self.workspace.run(lambda snapshot: _titles(snapshot, ids))

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
        from es_recsys.serving.drivers import AsyncDriver

        self._client = Client(url, index, settings=settings, keep=keep, **options)
        work = self._client.workspace
        self._es = engine.connect_async(work.settings, work.url, work.find_url)
        self._driver = AsyncDriver(self._es, work.log)

    @classmethod
    def embedded(cls, index: str | None = None, *, keep: bool = True, **options: Any) -> Self:
        """As `Client.embedded`."""
        return cls(None, index, keep=keep, **options)

    @property
    def settings(self) -> Settings:
        return self._client.settings

    @accepts_old_arguments
    async def search(
        self, query: str = "", *, image: bytes | Path | str | None = None, exclude: Ids = (), **options: Any
    ) -> Answer:
        """As `Client.search`."""
        return await self.ask(self._search(query, image, exclude, options))

    @accepts_old_arguments
    async def recommend(
        self,
        user_id: Id | None = None,
        *,
        history: Ids | None = None,
        exclude: Ids = (),
        **options: Any,
    ) -> Answer:
        """As `Client.recommend`."""
        return await self.ask(self._recommend(user_id, history, exclude, options))

    async def similar_items(self, item_id: Id, *, exclude: Ids = (), **options: Any) -> Answer:
        """As `Client.similar_items`."""
        return await self.ask(self._similar(item_id, exclude, options))

    @accepts_old_arguments
    async def rank(self, user_id: Id | None, item_ids: Ids, *, exclude: Ids = (), **options: Any) -> Answer:
        """As `Client.rank`."""
        return await self.ask(self._rank(user_id, item_ids, exclude, options))

    async def ask(self, query: Query) -> Answer:
        """Answers any Query."""
        query = self._checked(query)
        return await self._run(lambda snapshot: execute(snapshot, query, time.time()))

    async def ask_all(self, queries: Iterable[Query]) -> AsyncIterator[Answer | RecsysError]:
        """As `Client.ask_all`."""
        for batch in _batches(arguments.instances("queries", queries, Query), _BATCH):
            for found in await asyncio.gather(*(self.ask(query) for query in batch), return_exceptions=True):
                if isinstance(found, BaseException) and not isinstance(found, RecsysError):
                    raise found
                yield found

    async def insert_items(self, items: Iterable[Item] | Item, *, base: Path | str = ".") -> CatalogueReport:
        """As `Client.insert_items`."""
        return await asyncio.to_thread(self._client.insert_items, items, base=base)

    async def delete_items(self, item_ids: Ids) -> CatalogueReport:
        """As `Client.delete_items`."""
        return await asyncio.to_thread(self._client.delete_items, item_ids)

    async def put_events(self, events: Iterable[Event] | Event) -> Recorded:
        """As `Client.put_events`."""
        work = self._client.workspace
        given = list(arguments.instances("events", events, Event))
        put = await asyncio.to_thread(work.recording, given)
        recorded = await self._run(put)
        if await asyncio.to_thread(work.version_changed, put.version):
            await self._run(put)
        return recorded

    async def set_rating_scale(self, scale: str | RatingScale) -> None:
        """As `Client.set_rating_scale`."""
        await asyncio.to_thread(self._client.set_rating_scale, scale)

    async def train(
        self,
        models: Sequence[str] | str = (),
        *,
        add: bool = False,
        targets: Sequence[str] | str = (),
        budget: float | None = None,
        seed: int = 7,
    ) -> TrainReport:
        """As `Client.train`."""
        return await asyncio.to_thread(self._client.train, models, add=add, targets=targets, budget=budget, seed=seed)

    async def train_if_needed(
        self,
        models: Sequence[str] | str = (),
        *,
        add: bool = False,
        targets: Sequence[str] | str = (),
        growth: float = 0.1,
        budget: float | None = None,
        seed: int = 7,
    ) -> RetrainReport:
        """As `Client.train_if_needed`."""
        return await asyncio.to_thread(
            self._client.train_if_needed, models, add=add, targets=targets, growth=growth, budget=budget, seed=seed
        )

    async def get_user_profile(self, user_id: Id) -> Profile:
        """As `Client.get_user_profile`."""
        query = Query(user_id=arguments.one_id("user_id", user_id))
        return await self._run(lambda snapshot: _profile(snapshot, query, time.time()))

    async def delete_user(self, user_id: Id) -> Erased:
        """As `Client.delete_user`."""
        return await asyncio.to_thread(self._client.delete_user, user_id)

    async def titles(self, item_ids: Ids) -> dict[str, str]:
        """As `Client.titles`."""
        ids = arguments.ids("item_ids", item_ids)
        return await self._run(lambda snapshot: _titles(snapshot, ids))

    async def close(self) -> None:
        await self._es.close()
        await asyncio.to_thread(self._client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _run(self, make: Callable[[ServingSnapshot], Flow[T]]) -> T:
        return await self._driver.run(self._client.workspace.with_retry(make))


def _batches(queries: Iterable[Query], size: int) -> Iterator[list[Query]]:
    batch: list[Query] = []
    for query in queries:
        batch.append(query)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _training(models: Any, add: Any, targets: Any, budget: Any, seed: Any) -> dict[str, Any]:
    """What both ways to train take."""
    if (given := arguments.whole("seed", seed)) < 0:
        raise InputError(f"seed is {given}.", "Give 0 or more.")
    return {
        "names": arguments.texts("models", models),
        "add": arguments.flag("add", add),
        "targets": arguments.texts("targets", targets),
        "budget": arguments.optional_number("budget", budget, 0.0),
        "seed": given,
    }
