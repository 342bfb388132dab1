"""Commands that bring items and events in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from es_recsys.cli.common import JsonFlag, open_workspace, progress, shared_options, show_report, with_settings
from es_recsys.errors import WriteError

if TYPE_CHECKING:
    from es_recsys.jobs.load_items import CatalogueReport
    from es_recsys.settings import Settings
    from es_recsys.sources import ReadOptions

__all__ = ["events", "items"]

items = typer.Typer(no_args_is_help=True, callback=shared_options)
events = typer.Typer(no_args_is_help=True, callback=shared_options)

Files = Annotated[list[Path], typer.Argument(help="JSON, CSV or Parquet; .gz too.")]
Columns = Annotated[
    list[str] | None,
    typer.Option(help="Our names for the file's columns: item_id=movieId,title=name; title=- leaves one out; may be repeated."),
]
Constant = Annotated[list[str] | None, typer.Option(help="For lines that have no value: currency=EUR; may be repeated.")]
Separator = Annotated[
    str | None, typer.Option(help="Between the cells of a CSV file: ';', ::, tab, blanks; guessed if left out.")
]
NoHeader = Annotated[bool, typer.Option("--no-header", help="The first line is data; columns are column1, column2, ...")]
ListSeparator = Annotated[
    list[str] | None,
    typer.Option(help="Between categories and tags: ',', ';', '>', none; directors=; for one column; may be repeated."),
]
Encoding = Annotated[str | None, typer.Option(help="Of text that isn't UTF-8: windows-1252, latin-1, shift_jis, ...")]

ActionNames = Annotated[
    list[str] | None,
    typer.Option("--actions", help="What actions mean: add_to_wishlist=like,heartbeat=ignore; may be repeated."),
]
DayFirst = Annotated[
    bool | None,
    typer.Option("--day-first/--month-first", help="What 01/02/2021 is; as other dates show if left out.", show_default=False),
]
MaxErrors = Annotated[int, typer.Option(min=0, help="With more bad lines than this nothing is written.")]
Encoder = Annotated[str | None, typer.Option(help='Encoder by name; "none" for no vectors. Counts when the store is made.')]
Language = Annotated[
    str | None, typer.Option(help="Language of the texts: english, german, cjk, ... Counts when the store is made.")
]


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


def _load(settings: Settings, files: list[Path], whole: bool, max_errors: int, options: ReadOptions, json: bool) -> None:
    from es_recsys.jobs.load_items import load_files

    with open_workspace(settings) as work, progress("items") as bar:
        report = load_files(work, files, options, whole=whole, max_errors=max_errors, progress=bar)
    _show(report, json)


def _show(report: CatalogueReport, json: bool) -> None:
    """Shows the report; ends with 6 where Elasticsearch refused some of the items."""
    show_report(report, json)
    if report.failed:
        raise typer.Exit(WriteError.exit_code)


@items.command("load")
@with_settings
def items_load(
    settings: Settings,
    files: Files,
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
    language: Language = None,
    json: JsonFlag = False,
) -> None:
    """Adds and changes items; those that have not changed cost nothing."""
    settings = _with_encoders(settings, text_encoder, image_encoder, language)
    options = _read_options(
        columns=columns,
        constant=constant,
        separator=separator,
        no_header=no_header,
        encoding=encoding,
        list_separator=list_separator,
        day_first=day_first,
    )
    _load(settings, files, False, max_errors, options, json)


@items.command("sync")
@with_settings
def items_sync(
    settings: Settings,
    files: Files,
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
    language: Language = None,
    json: JsonFlag = False,
) -> None:
    """Makes the catalogue what the files say: adds, changes and removes."""
    settings = _with_encoders(settings, text_encoder, image_encoder, language)
    options = _read_options(
        columns=columns,
        constant=constant,
        separator=separator,
        no_header=no_header,
        encoding=encoding,
        list_separator=list_separator,
        day_first=day_first,
    )
    _load(settings, files, True, max_errors, options, json)


@items.command("delete")
@with_settings
def items_delete(
    settings: Settings,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of items.")] = None,
    file: Annotated[Path | None, typer.Option(help="A file of items; its ids go.")] = None,
    columns: Columns = None,
    separator: Separator = None,
    no_header: NoHeader = False,
    encoding: Encoding = None,
    json: JsonFlag = False,
) -> None:
    """Removes items."""
    from es_recsys.jobs.load_items import delete_items

    options = _read_options(columns=columns, separator=separator, no_header=no_header, encoding=encoding)
    with open_workspace(settings) as work:
        report = delete_items(work, ids or [], file, options)
    _show(report, json)


@events.command("load")
@with_settings
def events_load(
    settings: Settings,
    files: Files,
    columns: Columns = None,
    constant: Constant = None,
    separator: Separator = None,
    no_header: NoHeader = False,
    encoding: Encoding = None,
    no_timestamps: Annotated[
        bool, typer.Option("--no-timestamps", help="The files have no times: their order is each user's order.")
    ] = False,
    actions: ActionNames = None,
    timezone: Annotated[str | None, typer.Option(help="Of times that name no zone: Asia/Tokyo, +09:00; UTC if left out.")] = None,
    day_first: DayFirst = None,
    rating_scale: Annotated[
        str | None, typer.Option(help="From the worst rating to the best: 0..10; found from the ratings if left out.")
    ] = None,
    bots: Annotated[
        list[str] | None,
        typer.Option(help="Rules about bots: on, off, auto, or minute_rate=120,day_rate=off,regular=on; kept with the store."),
    ] = None,
    max_errors: MaxErrors = 100,
    json: JsonFlag = False,
) -> None:
    """Adds events, cleans them and brings the profiles up to date. The same events again change nothing."""
    from es_recsys.jobs.load_events import load_events

    options = _read_options(
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
    with open_workspace(settings) as work, progress("events") as bar:
        report = load_events(work, files, options, rating_scale=rating_scale, bots=bots, max_errors=max_errors, progress=bar)
    show_report(report, json)


def _with_encoders(settings: Settings, text: str | None, image: str | None, language: str | None) -> Settings:
    chosen = {name: value for name, value in (("text", text), ("image", image)) if value is not None}
    changes: dict[str, object] = {"encoders": settings.encoders.model_copy(update=chosen)}
    if language is not None:
        changes["language"] = language
    return settings.model_copy(update=changes)
