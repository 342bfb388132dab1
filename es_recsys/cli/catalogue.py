"""The commands items and events."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from es_recsys.cli.options import JsonFlag, open_workspace, shared_options, with_settings
from es_recsys.cli.printing import show_report
from es_recsys.cli.progress_bar import progress
from es_recsys.cli.sources import (
    PANEL,
    Files,
    Follow,
    FromIndex,
    FromSql,
    FromTable,
    FromUrl,
    Part,
    Yes,
    confirm_columns,
    named_source,
    show_followed,
    with_source_url,
)
from es_recsys.errors import InputError, WriteError

if TYPE_CHECKING:
    from es_recsys.index.items_report import ItemsReport
    from es_recsys.settings import Settings
    from es_recsys.sources import ReadOptions

__all__ = ["events", "items"]

items = typer.Typer(no_args_is_help=True, callback=shared_options)
events = typer.Typer(no_args_is_help=True, callback=shared_options)

Since = Annotated[
    str | None,
    typer.Option(
        help="Read only what has changed, by a field of times or numbers that grows with each change.",
        rich_help_panel=PANEL,
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(help="Rename columns: item_id=movieId,title=name; title=- leaves one out. Repeatable."),
]
Constant = Annotated[list[str] | None, typer.Option(help="Fill in where a line has no value: currency=EUR. Repeatable.")]
Format = Annotated[
    str | None,
    typer.Option(
        help="Read the files of a well-known data set or export: movielens, mind, retailrocket, amazon, steam, hm, goodreads,"
        " bookcrossing, rees46, shopify, woocommerce, google-merchant, ga4, segment, gorse, ubi."
    ),
]
Separator = Annotated[str | None, typer.Option(help="Separator of CSV cells: ';', ::, tab, blanks (default: detected).")]
NoHeader = Annotated[bool, typer.Option("--no-header", help="The first line is data; name the columns column1, column2, ...")]
ListSeparator = Annotated[
    list[str] | None,
    typer.Option(help="Separator of categories and tags: ',', ';', '>', none; for one column: directors=';'. Repeatable."),
]
Encoding = Annotated[str | None, typer.Option(help="Encoding of text that isn't UTF-8: windows-1252, latin-1, shift_jis, ...")]

ActionNames = Annotated[
    list[str] | None,
    typer.Option("--actions", help="Map actions to event types: add_to_wishlist=like,heartbeat=ignore. Repeatable."),
]
DayFirst = Annotated[
    bool | None,
    typer.Option(
        "--day-first/--month-first",
        help="Read 01/02/2021 as 1 February or 2 January (default: detected).",
        show_default=False,
    ),
]
MaxErrors = Annotated[int, typer.Option(min=0, help="Write nothing where more lines than this can't be read.")]
Encoder = Annotated[str | None, typer.Option(help='Encoder by name, "none" for no vectors. Used when the store is created.')]
Language = Annotated[
    str | None,
    typer.Option(
        help="Language of the texts: english, german, cjk, ...; auto where items are in several, which are then found item by"
        " item, or the names of these: english,german. Used when the store is created."
    ),
]


_CHANGES = ("added", "changed", "removed", "failed", "rejected")
"""Counts of a report of items that say that something happened."""


def _read_options(
    *,
    columns: list[str] | None,
    separator: str | None,
    no_header: bool,
    encoding: str | None,
    constant: list[str] | None = None,
    list_separator: list[str] | None = None,
    actions: list[str] | None = None,
    **others: Any,
) -> ReadOptions:
    from es_recsys.sources import ReadOptions, parse_actions, parse_columns, parse_constants, parse_list_separators

    return ReadOptions(
        columns=parse_columns(columns or []),
        constants=parse_constants(constant or []),
        separator=separator,
        header=not no_header,
        encoding=encoding,
        list_separators=parse_list_separators(list_separator or []),
        actions=parse_actions(actions or []),
        **others,
    )


def _load_items(
    settings: Settings,
    files: list[Path] | None,
    options: ReadOptions,
    whole: bool,
    max_errors: int,
    json: bool,
    *,
    from_index: str | None,
    from_url: str | None,
    from_sql: str | None,
    table: str | None,
    query: str | None,
    since: str | None,
    follow: float | None,
    yes: bool,
) -> None:
    name = named_source(files, from_index, from_sql, table, query, {"--since": since, "--follow": follow, "--from-url": from_url})
    if name is None:
        from es_recsys.jobs.load_items import load_items

        with open_workspace(settings) as work, progress("items") as bar:
            report = load_items(work, files or [], options, whole=whole, max_errors=max_errors, progress=bar)
        _show(report, json)
        return
    from es_recsys.jobs.sync_items import ItemSource, follow_items, propose_item_columns, sync_items

    settings = with_source_url(settings, from_url)
    if name.index is not None and not options.columns:
        with open_workspace(settings) as work:
            proposal = propose_item_columns(work, name)
        options = replace(options, columns=confirm_columns(name.index, proposal, yes))
    source = ItemSource(name, options, whole, since, max_errors)
    with open_workspace(settings) as work, progress("items") as bar:
        if follow is not None:
            show_followed(follow_items(work, source, follow, progress=bar), json, _CHANGES)
            return
        report = sync_items(work, source, progress=bar)
    _show(report, json)


def _show(report: ItemsReport, json: bool) -> None:
    """Show the report, and end with exit code 6 where Elasticsearch refused some of the items."""
    show_report(report, json)
    if report.failed:
        raise typer.Exit(WriteError.exit_code)


@items.command("load")
@with_settings
def items_load(
    settings: Settings,
    files: Files = None,
    format: Format = None,
    columns: Columns = None,
    constant: Constant = None,
    separator: Separator = None,
    no_header: NoHeader = False,
    encoding: Encoding = None,
    list_separator: ListSeparator = None,
    day_first: DayFirst = None,
    max_errors: MaxErrors = 100,
    text_encoder: Encoder = None,
    image_encoder: Encoder = None,
    audio_encoder: Encoder = None,
    language: Language = None,
    from_index: FromIndex = None,
    from_url: FromUrl = None,
    from_sql: FromSql = None,
    table: FromTable = None,
    query: Part = None,
    since: Since = None,
    follow: Follow = None,
    yes: Yes = False,
    json: JsonFlag = False,
) -> None:
    """Add and update items; unchanged ones are skipped."""
    settings = _with_encoders(settings, language, text=text_encoder, image=image_encoder, audio=audio_encoder)
    options = _read_options(
        format=format,
        columns=columns,
        constant=constant,
        separator=separator,
        no_header=no_header,
        encoding=encoding,
        list_separator=list_separator,
        day_first=day_first,
    )
    _load_items(
        settings,
        files,
        options,
        False,
        max_errors,
        json,
        from_index=from_index,
        from_url=from_url,
        from_sql=from_sql,
        table=table,
        query=query,
        since=since,
        follow=follow,
        yes=yes,
    )


@items.command("sync")
@with_settings
def items_sync(
    settings: Settings,
    files: Files = None,
    format: Format = None,
    columns: Columns = None,
    constant: Constant = None,
    separator: Separator = None,
    no_header: NoHeader = False,
    encoding: Encoding = None,
    list_separator: ListSeparator = None,
    day_first: DayFirst = None,
    max_errors: MaxErrors = 0,
    text_encoder: Encoder = None,
    image_encoder: Encoder = None,
    audio_encoder: Encoder = None,
    language: Language = None,
    from_index: FromIndex = None,
    from_url: FromUrl = None,
    from_sql: FromSql = None,
    table: FromTable = None,
    query: Part = None,
    since: Since = None,
    follow: Follow = None,
    yes: Yes = False,
    json: JsonFlag = False,
) -> None:
    """Make the catalogue equal to the files, the index or the table: add, update and remove items.

    With --since or --query nothing is removed.
    """
    settings = _with_encoders(settings, language, text=text_encoder, image=image_encoder, audio=audio_encoder)
    options = _read_options(
        format=format,
        columns=columns,
        constant=constant,
        separator=separator,
        no_header=no_header,
        encoding=encoding,
        list_separator=list_separator,
        day_first=day_first,
    )
    _load_items(
        settings,
        files,
        options,
        True,
        max_errors,
        json,
        from_index=from_index,
        from_url=from_url,
        from_sql=from_sql,
        table=table,
        query=query,
        since=since,
        follow=follow,
        yes=yes,
    )


@items.command("delete")
@with_settings
def items_delete(
    settings: Settings,
    ids: Annotated[list[str] | None, typer.Argument(help="Item ids.")] = None,
    file: Annotated[Path | None, typer.Option(help="Delete the items of this file.")] = None,
    columns: Columns = None,
    separator: Separator = None,
    no_header: NoHeader = False,
    encoding: Encoding = None,
    json: JsonFlag = False,
) -> None:
    """Delete items."""
    from es_recsys.jobs.delete_items import delete_listed_items

    options = _read_options(columns=columns, separator=separator, no_header=no_header, encoding=encoding)
    with open_workspace(settings) as work:
        report = delete_listed_items(work, ids or [], file, options)
    _show(report, json)


@events.command("load")
@with_settings
def events_load(
    settings: Settings,
    files: Files = None,
    format: Format = None,
    columns: Columns = None,
    constant: Constant = None,
    separator: Separator = None,
    no_header: NoHeader = False,
    encoding: Encoding = None,
    no_timestamps: Annotated[
        bool, typer.Option("--no-timestamps", help="The files have no times: take their order as each user's order.")
    ] = False,
    actions: ActionNames = None,
    timezone: Annotated[str | None, typer.Option(help="Zone of times without one: Asia/Tokyo, +09:00 (default: UTC).")] = None,
    day_first: DayFirst = None,
    rating_scale: Annotated[str | None, typer.Option(help="Worst and best rating: 0..10 (default: detected).")] = None,
    bots: Annotated[
        list[str] | None,
        typer.Option(
            help="Bot rules: on, off, auto, or minute_rate=120,day_rate=off,regular=on. Kept for later loads. Repeatable."
        ),
    ] = None,
    max_errors: MaxErrors = 100,
    from_index: FromIndex = None,
    queries: Annotated[
        str | None,
        typer.Option(help="Index of the queries that UBI's events belong to (default: found beside it).", rich_help_panel=PANEL),
    ] = None,
    from_url: FromUrl = None,
    from_sql: FromSql = None,
    table: FromTable = None,
    query: Part = None,
    since: Annotated[
        str | None, typer.Option(help='"last": read only what has come since the last time.', rich_help_panel=PANEL)
    ] = None,
    follow: Follow = None,
    json: JsonFlag = False,
) -> None:
    """Add events, clean them and update user profiles. Loading the same events again changes nothing."""
    options = _read_options(
        format=format,
        columns=columns,
        constant=constant,
        separator=separator,
        no_header=no_header,
        encoding=encoding,
        timestamps=not no_timestamps,
        actions=actions,
        timezone=timezone,
        day_first=day_first,
    )
    if since not in (None, "last"):
        raise InputError(f"--since {since} is unknown.", "Write --since last; --query reads any other part of an index.")
    of_sources = {"--queries": queries, "--since": since, "--follow": follow, "--from-url": from_url}
    name = named_source(files, from_index, from_sql, table, query, of_sources)
    with open_workspace(with_source_url(settings, from_url)) as work, progress("events") as bar:
        if name is None:
            from es_recsys.jobs.load_events import load_events

            report = load_events(
                work, files or [], options, rating_scale=rating_scale, bots=bots, max_errors=max_errors, progress=bar
            )
        else:
            from es_recsys.jobs.sync_events import EventSource, follow_events, load_source_events

            last = since is not None
            source = EventSource(name, options, queries, last, rating_scale, tuple(bots or ()), max_errors)
            if follow is not None:
                show_followed(follow_events(work, source, follow, progress=bar), json, ("added", "rejected"))
                return
            report = load_source_events(work, source, progress=bar)
    show_report(report, json)


def _with_encoders(settings: Settings, language: str | None, **encoders: str | None) -> Settings:
    chosen = {name: value for name, value in encoders.items() if value is not None}
    changes: dict[str, object] = {"encoders": settings.encoders.model_copy(update=chosen)}
    if language is not None:
        changes["language"] = language
    return settings.model_copy(update=changes)
