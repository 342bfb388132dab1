"""Whether what is made of the events is up to them: for the doctor, beside what the engine can tell."""

from __future__ import annotations

from collections.abc import Iterator

from es_recsys import engine
from es_recsys.counting import counted
from es_recsys.engine.checks import Check, attempt
from es_recsys.errors import IndexStateError, RecsysError, SetupError, StoreNotFound
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.serving.behaviour_refresh import unsettled
from es_recsys.serving.profile_folding import behind
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import Settings

__all__ = ["checks"]

_MEND = "Run: es-recsys profiles build"


def checks(settings: Settings) -> Iterator[Check]:
    """Checks of the event store, where there is one: its secret, its events, the profiles made of them. Starts nothing."""
    node = None if settings.url else engine.status(settings)
    url = settings.url or (None if node is None else node.url)
    if url is None or (settings.sql_url is None and not (settings.home / "events.sqlite3").exists()):
        return
    if settings.user_secret is None and not settings.key_file.exists():
        yield Check(
            "users",
            False,
            f"There are events in {settings.home}, and the file {settings.key_file} that users' keys are made with is not there.",
            "Put it back from a copy, or set ES_RECSYS_USER_SECRET.",
        )
        return
    try:
        with Workspace(settings.model_copy(update={"url": url})) as work:
            yield from _checks(work)
    except RecsysError as error:
        yield Check("users", False, error.what, error.remedy)


def _checks(work: Workspace) -> Iterator[Check]:
    with work.explaining():
        if not work.events.last_row:
            return
        try:
            read_metadata(work.es, work.settings.index)
        except StoreNotFound:
            return
    found = attempt("users", lambda: _users(work))
    yield found
    yield attempt("events", lambda: _events(work))
    if found.ok:
        yield attempt("profiles", lambda: _profiles(work))


def _users(work: Workspace) -> str:
    with work.explaining():
        work.confirm_key(read_metadata(work.es, work.settings.index))
    return "The secret that is set is the store's."


def _events(work: Workspace) -> str:
    if unsettled(work.events):
        raise SetupError(
            "Events were stored by a load that did not end, or goes on: they were not cleaned, nor counted in popularity.",
            f"Unless one is running: load the same files again. {_MEND} does it without them.",
        )
    return f"{counted(work.events.last_row, 'row', 'rows')}."


def _profiles(work: Workspace) -> str:
    with work.explaining():
        lagging = behind(work, work.snapshots.fresh())
    if lagging:
        raise IndexStateError(f"{counted(lagging, 'profile lacks', 'profiles lack')} events that are stored.", _MEND)
    return "Up to the last event."
