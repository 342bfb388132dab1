"""The asynchronous client of a store: the methods of the other, to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from es_recsys import arguments, engine
from es_recsys.answer_methods import AnswerMethods, Filter, Id, Ids, make_query
from es_recsys.batching import batched
from es_recsys.client.flows import MakeFlow, checked_query, reads_profile, reads_titles, suggests_authors, trends
from es_recsys.client.sync_client import Client
from es_recsys.dataset import Profile
from es_recsys.engine.time_budget import within_budget
from es_recsys.errors import RecsysError
from es_recsys.query import Answer, Query
from es_recsys.ratings import RatingScale
from es_recsys.serving.batch_answers import BATCH_SIZE
from es_recsys.serving.body_search import on_behalf
from es_recsys.serving.concurrent_answers import ConcurrentAnswers, answer_flow
from es_recsys.serving.drivers import AsyncDriver
from es_recsys.serving.recording import ErasureReport, RecordingReport
from es_recsys.serving.trending import AuthorToFollow
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import Settings
from es_recsys.types import Event, Item

if TYPE_CHECKING:  # jobs load much, and answers need none of it
    from es_recsys.index.items_report import ItemsReport
    from es_recsys.jobs.load_events import EventsReport
    from es_recsys.jobs.named_sources import Columns, Source
    from es_recsys.jobs.ready_lists import ReadyListReport
    from es_recsys.training.retrain import RetrainReport
    from es_recsys.training.train_version import TrainReport

__all__ = ["AsyncClient"]

T = TypeVar("T")
P = ParamSpec("P")


class AsyncClient(AnswerMethods[Coroutine[Any, Any, Answer], AsyncIterator[Answer | RecsysError]]):
    """The methods of `Client`, to be awaited.

    Requests to Elasticsearch are asynchronous; SQL, encoders and long jobs run in threads, and so do queries of which many wait
    at the same time: these are answered together. Use it in one event loop, as `async with` or with `await close()`, which waits
    for answers that are under way and writes the last of the answer log.
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
        self._client = Client(url, index, settings=settings, keep=keep, **options)
        work = self._client.workspace
        self._es = engine.connect_async(work.settings, work.url, work.find_url)
        self._driver = AsyncDriver(self._es, work.log)
        self._answers = ConcurrentAnswers(work, self._driver)

    @classmethod
    def embedded(cls, index: str | None = None, *, keep: bool = True, **options: Any) -> Self:
        """See `Client.embedded`."""
        return cls(None, index, keep=keep, **options)

    @property
    def settings(self) -> Settings:
        """All settings of the store that are in force."""
        return self._client.settings

    @property
    def workspace(self) -> Workspace:
        """The opened store, for jobs that have no method here; it may change with any release."""
        return self._client.workspace

    async def execute(self, query: Query) -> Answer:
        """See `Client.execute`."""
        with within_budget(self.settings.search.timeout_s):
            return await self._answers.answer(checked_query(query))

    async def execute_on_behalf(self, query: Query, headers: Mapping[str, str], parameters: Mapping[str, str]) -> Answer:
        """See `Client.execute_on_behalf`."""
        checked = checked_query(query)
        with within_budget(self.settings.search.timeout_s):
            return await self._run(lambda snapshot: on_behalf(answer_flow(checked, snapshot), headers, parameters))

    async def execute_many(self, queries: Iterable[Query]) -> AsyncIterator[Answer | RecsysError]:
        """See `Client.execute_many`."""
        for batch in batched(arguments.instances("queries", queries, Query), BATCH_SIZE):
            for found in await asyncio.gather(*(self.execute(query) for query in batch), return_exceptions=True):
                if isinstance(found, BaseException) and not isinstance(found, RecsysError):
                    raise found
                yield found

    async def _answer(self, **given: Any) -> Answer:
        return await self.execute(make_query(**given))

    async def insert_items(self, items: Iterable[Item] | Item, *, base: Path | str = ".") -> ItemsReport:
        """See `Client.insert_items`."""
        return await self._in_thread(self._client.insert_items, items, base=base)

    async def load_items(
        self,
        source: Source,
        *,
        columns: Columns = None,
        format: str | None = None,
        query: Mapping[str, Any] | None = None,
        since: str | None = None,
        from_sql: str | None = None,
        max_errors: int | None = 100,
    ) -> ItemsReport:
        """See `Client.load_items`."""
        return await self._in_thread(
            self._client.load_items,
            source,
            columns=columns,
            format=format,
            query=query,
            since=since,
            from_sql=from_sql,
            max_errors=max_errors,
        )

    async def sync_items(
        self,
        source: Source,
        *,
        columns: Columns = None,
        format: str | None = None,
        query: Mapping[str, Any] | None = None,
        since: str | None = None,
        from_sql: str | None = None,
        max_errors: int | None = 0,
    ) -> ItemsReport:
        """See `Client.sync_items`."""
        return await self._in_thread(
            self._client.sync_items,
            source,
            columns=columns,
            format=format,
            query=query,
            since=since,
            from_sql=from_sql,
            max_errors=max_errors,
        )

    async def load_events(
        self,
        source: Source,
        *,
        columns: Columns = None,
        format: str | None = None,
        constants: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        since: str | None = None,
        queries: str | None = None,
        from_sql: str | None = None,
        max_errors: int | None = 100,
    ) -> EventsReport:
        """See `Client.load_events`."""
        return await self._in_thread(
            self._client.load_events,
            source,
            columns=columns,
            format=format,
            constants=constants,
            query=query,
            since=since,
            queries=queries,
            from_sql=from_sql,
            max_errors=max_errors,
        )

    async def delete_items(self, item_ids: Ids) -> ItemsReport:
        """See `Client.delete_items`."""
        return await self._in_thread(self._client.delete_items, item_ids)

    async def put_events(self, events: Iterable[Event] | Event) -> RecordingReport:
        """See `Client.put_events`."""
        given = list(arguments.instances("events", events, Event))
        return await self._driver.run(self._client.workspace.record(given))

    async def set_rating_scale(self, scale: str | RatingScale) -> None:
        """See `Client.set_rating_scale`."""
        await self._in_thread(self._client.set_rating_scale, scale)

    async def train(
        self,
        models: Sequence[str] | str = (),
        *,
        add: bool = False,
        targets: Sequence[str] | str = (),
        budget: float | None = None,
        seed: int = 7,
    ) -> TrainReport:
        """See `Client.train`."""
        return await self._in_thread(self._client.train, models, add=add, targets=targets, budget=budget, seed=seed)

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
        """See `Client.train_if_needed`."""
        return await self._in_thread(
            self._client.train_if_needed, models, add=add, targets=targets, growth=growth, budget=budget, seed=seed
        )

    async def store_recommendations(self, user_ids: Ids | None = None) -> ReadyListReport:
        """See `Client.store_recommendations`."""
        return await asyncio.to_thread(self._client.store_recommendations, user_ids)

    async def get_user_profile(self, user_id: Id) -> Profile:
        """See `Client.get_user_profile`."""
        return await self._run(reads_profile(user_id))

    async def trending(
        self,
        user_id: Id | None = None,
        *,
        hours: float = 1.0,
        circle: bool = False,
        n: int = 10,
        offset: int = 0,
        filter: Filter = (),
        exclude: Ids = (),
    ) -> Answer:
        """See `Client.trending`."""
        return await self._run(
            trends(self.workspace, hours, circle, user_id=user_id, n=n, offset=offset, filter=filter, exclude=exclude)
        )

    async def authors_to_follow(self, user_id: Id, *, n: int = 10) -> list[AuthorToFollow]:
        """See `Client.authors_to_follow`."""
        return await self._run(suggests_authors(self.workspace, user_id, n))

    async def delete_user(self, user_id: Id) -> ErasureReport:
        """See `Client.delete_user`."""
        return await self._in_thread(self._client.delete_user, user_id)

    async def titles(self, item_ids: Ids) -> dict[str, str]:
        """See `Client.titles`."""
        return await self._run(reads_titles(item_ids))

    async def close(self) -> None:
        """See `Client.close`."""
        await self._answers.close()
        await self._driver.close()
        await self._es.close()
        await asyncio.to_thread(self._client.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _in_thread(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a job of the other client in a thread, which finds all answers so far in the log."""
        await self._driver.write_log()
        return await asyncio.to_thread(job, *args, **kwargs)

    async def _run(self, make: MakeFlow[T]) -> T:
        return await self._driver.run(self._client.workspace.with_retry(make))
