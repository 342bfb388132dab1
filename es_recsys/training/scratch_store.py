"""Scratch store: a temporary store with the same items, and only the events that an evaluation lets be seen."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from es_recsys.evaluation.queries import EventRule
from es_recsys.evaluation.searches import event_actor
from es_recsys.events.records import StoredEvent
from es_recsys.index import reindex, versions
from es_recsys.index_metadata import IndexMetadata
from es_recsys.search.retriever_weights import FIRST_EVENT
from es_recsys.serving.body_search import ADOPTED, adopted_indices
from es_recsys.serving.product_groups import fetch_live_item_groups
from es_recsys.serving.workspace import Workspace, drop_store
from es_recsys.training.tuned_settings import tuned_path
from es_recsys.types import Event
from es_recsys.vector_fields import is_encoder_field

__all__ = ["copy_events", "scratch_store"]

_LONGEST = 63
# Trials and what they were made on.
_NO_SETTINGS = shutil.ignore_patterns("*.sqlite3*", "*.trials", "*.npz")


@contextmanager
def scratch_store(work: Workspace) -> Iterator[Workspace]:
    """Open a store beside the store of `work`, with its items and their vectors by encoders.

    It has no events, profiles and models, and logs no answers. Its name is the store's with `_evaluation_` and eight digits. Its
    events and models lie in a temporary folder, its events in an SQLite file there, wherever the store keeps its own; settings
    that `tune model` found are taken along, weights without a query and a learned ranking are not (`jobs.ranking_state` copies
    them). All of it is dropped at the end, also after a failure.
    """
    ending = f"_evaluation_{secrets.token_hex(4)}"
    name = work.settings.index[: _LONGEST - len(ending)] + ending
    folder = Path(tempfile.mkdtemp(prefix="es-recsys-evaluation-"))
    own = {"index": name, "url": work.url, "home": folder, "sql_url": None, "answer_log_mib": 0}
    settings = work.settings.model_copy(update=own)
    try:
        with Workspace(settings) as scratch:
            try:
                with work.translating_errors():
                    _copy_items(work, scratch)
                tuned = tuned_path(work.settings, "x").parent
                if tuned.is_dir():
                    shutil.copytree(tuned, tuned_path(settings, "x").parent, ignore=_NO_SETTINGS)
                yield scratch
            finally:
                drop_store(scratch)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def copy_events(scratch: Workspace, events: Iterable[StoredEvent], rule: EventRule, part: str) -> int:
    """Record the stored events of one part of the rule ("train" or "known") in the scratch store, and return how many there were.

    Those that cleaning set aside stay out.
    """
    groups = fetch_live_item_groups(scratch)
    allowed = (
        _event(event)
        for event in events
        if event.quarantine is None
        and rule.part(event_actor(event), groups.get(event.item_id or "", event.item_id), event.time) == part
    )
    return scratch.events.load(allowed, scratch.now()).added


def _copy_items(work: Workspace, scratch: Workspace) -> None:
    old = work.snapshots.latest().metadata
    new = _bare(old, scratch.settings.index)
    count = int(work.es.count(index=old.index)["count"])
    versions.create(scratch.job_es, new, count=count, live=True)
    reindex.copy_items(scratch.job_es, old, new)
    scratch.es.indices.refresh(index=new.index)


def _bare(old: IndexMetadata, name: str) -> IndexMetadata:
    """Return the metadata of the store before any training: what was tuned for searches stays, what training chose goes."""
    vectors = {field: metadata for field, metadata in old.vectors.items() if is_encoder_field(field)}
    weights = {
        situation: retrievers
        for situation, retrievers in old.retriever_weights.items()
        if situation not in ("no_query", FIRST_EVENT) or not old.models
    }
    kept = {key: value for key, value in old.notes.items() if key in ("bare", "index_options", "variants")}
    kept[ADOPTED] = adopted_indices(old)  # the live store's items among them
    return replace(
        old,
        store=name,
        version=1,
        vectors=vectors,
        models=(),
        retriever_weights=weights,
        ranker_fingerprints={},
        key_check="",
        notes=kept,
    )


def _event(event: StoredEvent) -> Event:
    when = None if event.order is not None else datetime.fromtimestamp(event.time, UTC)
    return Event(
        event_type=event.event_type,
        timestamp=when,
        user_id=event.user_id,
        session_id=event.session_id,
        item_id=event.item_id,
        query=event.query,
        value=event.value,
        event_id=event.event_id,
        position=event.position,
        query_id=event.query_id,
        recommendation_id=event.recommendation_id,
        order=event.order,
    )
