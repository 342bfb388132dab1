"""Checks of the event store: its secret, its events, and the profiles made of them."""

from __future__ import annotations

from collections.abc import Iterator

from es_recsys.counting import counted
from es_recsys.doctor.check import Check, run_check
from es_recsys.errors import IndexStateError, RecsysError, SetupError, StoreNotFound
from es_recsys.index.ready_lists import count_ready_lists
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.serving.profile_folding import count_outdated_profiles
from es_recsys.serving.ranking_fingerprint import ranking_fingerprint
from es_recsys.serving.refresh import has_unfinished_load
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import Settings

__all__ = ["check_events"]

_REMEDY = "Run: es-recsys profiles build"


def check_events(settings: Settings, url: str) -> Iterator[Check]:
    """Check the event store, where there is one, against the store in the Elasticsearch at `url`."""
    if settings.sql_url is None and not (settings.home / "events.sqlite3").exists():
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
            yield from _check_events(work)
    except RecsysError as error:
        yield Check("users", False, error.what, error.remedy)


def _check_events(work: Workspace) -> Iterator[Check]:
    with work.translating_errors():
        if not work.events.last_row:
            return
        try:
            read_metadata(work.es, work.settings.index)
        except StoreNotFound:
            return
    users = run_check("users", lambda: _describe_users(work))
    yield users
    yield run_check("events", lambda: _describe_events(work))
    if not users.ok:
        return
    profiles = run_check("profiles", lambda: _describe_profiles(work))
    yield profiles
    if profiles.ok and (lists := _describe_ready_lists(work)) is not None:
        yield Check("ready lists", True, lists)


def _describe_users(work: Workspace) -> str:
    with work.translating_errors():
        work.confirm_key(read_metadata(work.es, work.settings.index))
    return "The user secret is the one that the store was made with."


def _describe_events(work: Workspace) -> str:
    if has_unfinished_load(work.events):
        raise SetupError(
            "Events were stored by a load that did not end, or goes on: they were not cleaned, nor counted in popularity.",
            f"Unless one is running: load the same files again. {_REMEDY} does it without them.",
        )
    return f"{counted(work.events.last_row, 'row', 'rows')}."


def _describe_profiles(work: Workspace) -> str:
    with work.translating_errors():
        lagging = count_outdated_profiles(work, work.snapshots.latest())
    if lagging:
        raise IndexStateError(f"{counted(lagging, 'profile lacks', 'profiles lack')} events that are stored.", _REMEDY)
    return "Up to the last event."


def _describe_ready_lists(work: Workspace) -> str | None:
    """Return None where there are none."""
    with work.translating_errors():
        metadata, search = read_metadata(work.es, work.settings.index), work.settings.search
        since = work.now() - search.ready_hours * 3_600.0
        counts = count_ready_lists(work.es, metadata.profiles, ranking_fingerprint(metadata, search), since)
    if not counts.stored:
        return None
    other = counts.stored - counts.usable
    stored = f"{counted(counts.stored, 'user has one', 'users have one')}"
    return f"{stored}, {other:,} of them too old or made under other settings." if other else f"{stored}."
