"""The synchronous client of a store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from es_recsys import arguments
from es_recsys.answer_methods import AnswerMethods, Filter, Id, Ids, make_query
from es_recsys.client.flows import checked_query, reads_profile, reads_titles, suggests_authors, trends
from es_recsys.dataset import Profile
from es_recsys.engine.time_budget import within_budget
from es_recsys.errors import InputError, RecsysError
from es_recsys.query import Answer, Query
from es_recsys.ratings import RatingScale
from es_recsys.serving.batch_answers import answer_all
from es_recsys.serving.body_search import on_behalf
from es_recsys.serving.concurrent_answers import answer_flow
from es_recsys.serving.recording import ErasureReport, RecordingReport
from es_recsys.serving.trending import AuthorToFollow
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import Settings, load_settings
from es_recsys.types import Event, Item

if TYPE_CHECKING:  # jobs load much, and answers need none of it
    from es_recsys.index.items_report import ItemsReport
    from es_recsys.jobs.load_events import EventsReport
    from es_recsys.jobs.named_sources import Columns, Source
    from es_recsys.jobs.ready_lists import ReadyListReport
    from es_recsys.training.retrain import RetrainReport
    from es_recsys.training.train_version import TrainReport

__all__ = ["Client"]


class Client(AnswerMethods[Answer, Iterator[Answer | RecsysError]]):
    """Client of one store: it answers queries, writes items and events, and trains models.

    Client("https://...", index="shop", api_key=...), or Client.embedded("shop") for the embedded node. Thread-safe; a
    context manager. options: settings by name; what isn't given comes from the settings file and the environment.
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
        self._workspace = Workspace(_settings(url, index, settings, options), keep=keep)

    @classmethod
    def embedded(cls, index: str | None = None, *, keep: bool = True, **options: Any) -> Self:
        """Return a client of the embedded node, started where it is not up.

        keep: whether it goes on after this process.
        """
        return cls(None, index, keep=keep, **options)

    @property
    def settings(self) -> Settings:
        """All settings of the store that are in force."""
        return self.workspace.settings

    @property
    def workspace(self) -> Workspace:
        """The opened store, for jobs that have no method here; it may change with any release."""
        return self._workspace

    def execute(self, query: Query) -> Answer:
        """Answer a query, waiting for Elasticsearch `settings.search.timeout_s` seconds in all."""
        with within_budget(self.settings.search.timeout_s):
            return self.workspace.run(partial(answer_flow, checked_query(query)))

    def execute_on_behalf(self, query: Query, headers: Mapping[str, str], parameters: Mapping[str, str]) -> Answer:
        """Answer a search by a body that is somebody else's: with their headers, credentials among them, and URL parameters."""
        checked = checked_query(query)
        with within_budget(self.settings.search.timeout_s):
            return self.workspace.run(lambda snapshot: on_behalf(answer_flow(checked, snapshot), headers, parameters))

    def execute_many(self, queries: Iterable[Query]) -> Iterator[Answer | RecsysError]:
        """Yield the answers in the order of the queries, an error in the place of one that can't be answered.

        Their searches are joined into few requests; where one fails, its queries are tried again in smaller ones.
        """
        yield from answer_all(self.workspace, arguments.instances("queries", queries, Query))

    def _answer(self, **given: Any) -> Answer:
        return self.execute(make_query(**given))

    def insert_items(self, items: Iterable[Item] | Item, *, base: Path | str = ".") -> ItemsReport:
        """Add and change items; make the store where there is none.

        base: folder that the paths of pictures and sounds start from.
        """
        from es_recsys.jobs.load_items import insert_items

        if not isinstance(base, str | Path):
            raise InputError("base is no path.", "Give the folder that the paths of pictures and sounds start from.")
        given = arguments.instances("items", items, Item)
        # What is at hand is looked at before anything is written.
        return insert_items(self.workspace, list(given) if isinstance(items, Sequence | Item) else given, Path(base))

    def load_items(
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
        """Add and change the items of files, an index or a table; unchanged ones are skipped.

        source: a file, a list of files, "index:products" (a name, alias or pattern of the store's Elasticsearch, or of the one
        that the setting from_url names), or "table:products" of the database from_sql. columns: field -> column or path, as
        `--columns`; those of an index are proposed from its mapping where none are given. format: of files, the name of a data
        set or an export, as `--format` (docs/data.md lists them). query: only what this query DSL finds.
        since: a field of times or numbers that grows with each change: only what has changed since the last time is read.
        max_errors: with more bad lines than this nothing is written.
        """
        return self._load_named_items(False, source, columns, format, query, since, from_sql, max_errors)

    def sync_items(
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
        """Make the catalogue equal to files, an index or a table, as `load_items` names them: add, change and remove items.

        With since or query nothing is removed.
        """
        return self._load_named_items(True, source, columns, format, query, since, from_sql, max_errors)

    def load_events(
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
        """Add the events of files, an index (UBI's with the words of their queries) or a table, as `load_items` names them.

        What is stored already changes nothing. columns, format, constants: as `--columns`, `--format`, `--constant`. since:
        "last" for only what has come since the last time. queries: the index of UBI's queries, found beside that of the events
        unless given.
        """
        from es_recsys.jobs.named_sources import load_named_events

        return load_named_events(
            self.workspace,
            source,
            columns,
            format=format,
            constants=constants,
            query=query,
            since=since,
            queries=queries,
            from_sql=from_sql,
            max_errors=None if max_errors is None else arguments.whole("max_errors", max_errors, 0),
        )

    def delete_items(self, item_ids: Ids) -> ItemsReport:
        """Remove items."""
        from es_recsys.jobs.delete_items import delete_items

        return delete_items(self.workspace, arguments.ids("item_ids", item_ids))

    def put_events(self, events: Iterable[Event] | Event) -> RecordingReport:
        """Record events; the very next answer shows them.

        Events that are stored already change nothing, so a retry is safe.
        What is stored and doesn't count is in `quarantined`, by reason: ratings off the store's scale (`set_rating_scale`), and
        events on items that aren't loaded yet.
        """
        given = list(arguments.instances("events", events, Event))
        return self.workspace.driver.run(self.workspace.record(given))

    def set_rating_scale(self, scale: str | RatingScale) -> None:
        """Set the scale of ratings, also of those that are stored: from the worst to the best ("0..10").

        It is 1 to 5 until it is set or found in files. Raises InputError.
        """
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
        """Train models on the stored events and put them into service; choose them on held-out events where none are named.

        add: the live models are trained again beside those that are named. targets: event types that answers are to lead to
        (("purchase",)), in place of any by which somebody takes to an item. budget: seconds of processor time after which no
        further setting is tried. Raises StoreNotFound, InputError for an unknown name or type, ModelError where there is
        nothing to train on, IndexStateError while another training of the store is running.
        """
        from es_recsys.training.train import train

        return train(self.workspace, **_training_arguments(models, add, targets, budget, seed))

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
        """Train where events or items have grown by a share of `growth` or quality has fallen; else say why not.

        For a scheduler to call. Without names or targets those of the models in service are taken. What is worse than these
        is not put into service.

        Due is also what has other event weights since, a named model or target that isn't served yet, and models that can't be
        loaded.
        Raises as `train`, and InputError for a growth that is not above 0; but while another training is running the outcome
        is "busy", and without positive events "nothing".
        """
        from es_recsys.training.retrain import train_if_needed

        share = arguments.optional_number("growth", growth, 0.0)
        if share is None:
            raise InputError("growth is None.", "Give a share above 0: 0.1 is a tenth.")
        return train_if_needed(self.workspace, growth=share, **_training_arguments(models, add, targets, budget, seed))

    def store_recommendations(self, user_ids: Ids | None = None) -> ReadyListReport:
        """Store ready lists of users, of all that have events where none are named, and `recommend` serves them in one read.

        A list serves until the user's next event, the next version or `search.ready_hours`. What sets more than the page is
        computed, and so are pages beyond the first 100 hits. Raises InputError where lists are turned off.
        """
        from es_recsys.jobs.ready_lists import store_ready_lists

        return store_ready_lists(self.workspace, None if user_ids is None else arguments.ids("user_ids", user_ids))

    def get_user_profile(self, user_id: Id) -> Profile:
        """Return what is known of a user; an empty profile where nothing is."""
        return self.workspace.run(reads_profile(user_id))

    def trending(
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
        """Return what more is done with now than usual, leaving out what a given user has seen, dislikes or mutes.

        hours: length of the time that is now. circle: only what those do whom the user follows, or who read alike.
        """
        return self.workspace.run(
            trends(self.workspace, hours, circle, user_id=user_id, n=n, offset=offset, filter=filter, exclude=exclude)
        )

    def authors_to_follow(self, user_id: Id, *, n: int = 10) -> list[AuthorToFollow]:
        """Return authors whom a user might follow: those whom others follow and read who read alike."""
        return self.workspace.run(suggests_authors(self.workspace, user_id, n))

    def delete_user(self, user_id: Id) -> ErasureReport:
        """Erase a user: events, profile, answer log.

        A replay of older events doesn't bring the user back.
        """
        from es_recsys.jobs.erase_user import erase_user

        return erase_user(self.workspace, arguments.one_id("user_id", user_id))

    def titles(self, item_ids: Ids) -> dict[str, str]:
        """Return the title of each item; its id where it has none."""
        return self.workspace.run(reads_titles(item_ids))

    def close(self) -> None:
        """Close the connections; an embedded node that isn't kept ends."""
        self.workspace.close()

    def _load_named_items(
        self,
        whole: bool,
        source: Source,
        columns: Columns,
        format: str | None,
        query: Mapping[str, Any] | None,
        since: str | None,
        from_sql: str | None,
        max_errors: int | None,
    ) -> ItemsReport:
        from es_recsys.jobs.named_sources import load_named_items

        return load_named_items(
            self.workspace,
            source,
            columns,
            format=format,
            whole=whole,
            query=query,
            since=since,
            from_sql=from_sql,
            max_errors=None if max_errors is None else arguments.whole("max_errors", max_errors, 0),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


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


def _training_arguments(models: Any, add: Any, targets: Any, budget: Any, seed: Any) -> dict[str, Any]:
    """Return the arguments of both ways to train, read.

    Raises InputError.
    """
    if (given := arguments.whole("seed", seed)) < 0:
        raise InputError(f"seed is {given}.", "Give 0 or more.")
    return {
        "names": arguments.texts("models", models),
        "add": arguments.flag("add", add),
        "targets": arguments.texts("targets", targets),
        "budget": arguments.optional_number("budget", budget, 0.0),
        "seed": given,
    }
