"""Options that name an index or a table to read from, and what the commands that have them share."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from es_recsys.cli.printing import Report, say
from es_recsys.cli.terminal import printable
from es_recsys.errors import InputError, RecsysError

if TYPE_CHECKING:
    from es_recsys.jobs.row_sources import SourceName
    from es_recsys.settings import Settings
    from es_recsys.sources.index_columns import ColumnProposal

__all__ = [
    "PANEL",
    "Files",
    "Follow",
    "FromIndex",
    "FromSql",
    "FromTable",
    "FromUrl",
    "Part",
    "Yes",
    "confirm_columns",
    "named_source",
    "parse_json_object",
    "show_followed",
    "with_source_url",
]

PANEL = "From an index or a database"
_OTHERS = "an index with --from-index, or a table with --from-sql and --table"

Files = Annotated[list[Path] | None, typer.Argument(help="JSON, CSV, XML or Parquet files; .gz too.")]
FromIndex = Annotated[
    str | None, typer.Option(help="Read an index, alias or pattern of an Elasticsearch instead.", rich_help_panel=PANEL)
]
FromUrl = Annotated[
    str | None,
    typer.Option(
        help="Elasticsearch with that index (default: the store's own). Its key: ES_RECSYS_FROM_API_KEY.", rich_help_panel=PANEL
    ),
]
FromSql = Annotated[
    str | None,
    typer.Option(
        help="Read a database instead: postgresql://USER@HOST/DB, sqlite:///FILE. Its password: ES_RECSYS_FROM_PASSWORD.",
        rich_help_panel=PANEL,
    ),
]
FromTable = Annotated[str | None, typer.Option("--table", help="Table or view of that database.", rich_help_panel=PANEL)]
Part = Annotated[str | None, typer.Option("--query", help="Read only what this query DSL finds (JSON).", rich_help_panel=PANEL)]
Follow = Annotated[float | None, typer.Option(min=1, help="Go on: read again so many seconds later.", rich_help_panel=PANEL)]
Yes = Annotated[bool, typer.Option("--yes", help="Take the columns that are proposed.", rich_help_panel=PANEL)]


def named_source(
    files: Sequence[Path] | None,
    from_index: str | None,
    from_sql: str | None,
    table: str | None,
    query: str | None,
    only_of_sources: Mapping[str, Any],
) -> SourceName | None:
    """Return the index or table that the options name; None where files are named.

    only_of_sources: option -> value of those that say nothing of files. Raises InputError where both are named, or none.
    """
    if from_index is None and from_sql is None and table is None:
        if not files:
            raise InputError(
                "No file is named.", "Name files, an index with --from-index, or a table with --from-sql and --table."
            )
        given = [option for option, value in {"--query": query, **only_of_sources}.items() if value]
        if given:
            raise InputError(f"{given[0]} is of an index or a table.", f"Name {_OTHERS}.")
        return None
    if files:
        raise InputError("Files and another source are named.", "Load them one after the other.")
    from es_recsys.jobs.row_sources import SourceName

    return SourceName(index=from_index, query=_parsed(query), sql_url=from_sql, table=table)


def with_source_url(settings: Settings, url: str | None) -> Settings:
    """Return the settings with the address of the Elasticsearch that is read from.

    Raises InputError where it holds a password.
    """
    if url is None:
        return settings
    if urlsplit(url).password is not None:
        raise InputError(
            "--from-url holds a password, which others see among the processes.",
            "Leave it out, and set ES_RECSYS_FROM_USERNAME and ES_RECSYS_FROM_PASSWORD, or ES_RECSYS_FROM_API_KEY.",
        )
    return settings.model_copy(update={"from_url": url})


def confirm_columns(name: str, proposal: ColumnProposal, yes: bool) -> dict[str, str]:
    """Show the columns that are proposed, and return them once they are agreed to.

    Raises InputError where nobody can be asked, typer.Abort where somebody says no.
    """
    sys.stderr.write(printable(f"What the fields of items seem to be in {name}:\n"))
    for line in proposal.lines():
        sys.stderr.write(printable(f"{line}\n"))
    sys.stderr.write(printable(f"Others: --columns '{proposal.option}', with your changes.\n"))
    if not yes and not sys.stdin.isatty():
        raise InputError("No columns are named, and nobody can be asked.", "Give --columns as above, or --yes to take these.")
    if not yes:
        typer.confirm("Read them so?", abort=True, err=True)
    return dict(proposal.columns)


def show_followed(reports: Iterable[Report | RecsysError], as_json: bool, changes: Sequence[str]) -> None:
    """Print each report as it comes: the first, and those with anything in `changes`; JSON in one line. Errors go to stderr."""
    for number, report in enumerate(reports):
        if isinstance(report, RecsysError):
            sys.stderr.write(printable(f"Error: {report}\n"))
            continue
        found = report.to_dict()
        if number and not any(found[name] for name in changes):
            continue
        if as_json:
            import orjson

            sys.stdout.write(orjson.dumps(found).decode() + "\n")
        else:
            for line in report.lines():
                say(line)
        sys.stdout.flush()


def parse_json_object(option: str, text: str) -> dict[str, Any]:
    """Return the JSON object that an option has. Raises InputError for anything else."""
    import orjson

    example = """Write it as '{"term": {"active": true}}'."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{option} is no JSON: {error}.", example) from None
    if not isinstance(found, dict) or not found:
        raise InputError(f"{option} is no object with anything in it.", example)
    return found


def _parsed(query: str | None) -> Mapping[str, Any] | None:
    if query is None:
        return None
    found = parse_json_object("--query", query)
    if "query" in found:
        raise InputError("--query holds a whole search.", "Give what stands under its query.")
    return found
