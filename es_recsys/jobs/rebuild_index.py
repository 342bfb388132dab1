"""Rebuilds a store's index from what is stored: with this release's mapping, and with another text encoder where one is named."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from es_recsys.encoders import Encoder, VectorCache, text_encoder
from es_recsys.errors import IndexStateError
from es_recsys.index import reindex, user_index, versions
from es_recsys.index.fetch import scan
from es_recsys.index.stored_metadata import read_metadata, vector_metadata
from es_recsys.index.stored_profiles import read_fold_checkpoint, write_fold_checkpoint
from es_recsys.index.unfinished_versions import draft_folder, index_writer_lock, owner_id, remove_unfinished
from es_recsys.index.version_folders import models_folder, remove_folders
from es_recsys.index_metadata import IndexMetadata
from es_recsys.progress import ProgressCounter, ProgressReporter
from es_recsys.serving.product_groups import record_variants
from es_recsys.serving.profile_folding import fold_all_profiles, fold_new_events
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.store_encoders import ItemErrors, item_vectors
from es_recsys.serving.stored_forward_index import store_forward_index
from es_recsys.serving.workspace import Workspace
from es_recsys.training.training_record import training_lock

__all__ = ["rebuild_index"]

_TEXT = "text_vector"
# Their vectors of items and of queries are made of what the text encoder gives.
_MADE_OF_TEXT = ("fused", "aligned")


def rebuild_index(work: Workspace, progress: ProgressReporter | None = None, *, text: str | None = None) -> int:
    """Copy the live version into a new one, put that into service, and return its number.

    Items, vectors, profiles, models and settings are copied. text: a text encoder by name or path ("none": no vectors of texts);
    then the stored items are encoded by it, profiles are folded anew, and learned rankings, which read its cosines, are left out.
    The version before it serves meanwhile and stays. Items and events may come meanwhile. Raises StoreNotFound, IndexStateError
    while a training is running, where items are refused or a live model is made of the other encoder's vectors.
    """
    with work.translating_errors(), training_lock(work.settings) as free:
        if not free:
            raise IndexStateError(
                f"A training of {work.settings.index} is running.", "It makes the index anew itself: wait until it has ended."
            )
        with index_writer_lock(work.settings):
            remove_unfinished(work.job_es, work.settings)
            live = work.snapshots.latest()
            old = read_metadata(work.es, work.settings.index)
            notes = {key: value for key, value in old.notes.items() if key != "replaces"}
            new = replace(old, version=versions.next_version(work.es, old.store), notes=notes, fields={})
            encoder = None
            if text is not None:
                encoder = _named_encoder(work, text)
                new = _with_encoder(new, encoder)
            _fill_and_swap(work, live, old, new, encoder, progress)
        record_variants(work)
        work.snapshots.invalidate()
        # Events that came after the profiles were copied went into those of the old version.
        fold_new_events(work, work.snapshots.latest())
    return new.version


def _named_encoder(work: Workspace, name: str) -> Encoder | None:
    chosen = work.settings.encoders.model_copy(update={"text": name})
    return text_encoder(work.settings.model_copy(update={"encoders": chosen}))


def _with_encoder(metadata: IndexMetadata, encoder: Encoder | None) -> IndexMetadata:
    """Return the metadata with the text vectors of this encoder, None for none at all."""
    made_of_text = [name for name in metadata.models if name in _MADE_OF_TEXT]
    if made_of_text:
        raise IndexStateError(
            f"The model {made_of_text[0]} of {metadata.store} is made of the vectors of the text encoder that it has.",
            "Train without it first (es-recsys train, or with other names), and again with it afterwards.",
        )
    others = {name: vector for name, vector in metadata.vectors.items() if name != _TEXT}
    vectors = {**others, **vector_metadata([] if encoder is None else [encoder])}
    return replace(metadata, vectors=vectors, ranker_fingerprints={})


def _fill_and_swap(
    work: Workspace,
    live: ServingSnapshot,
    old: IndexMetadata,
    new: IndexMetadata,
    encoder: Encoder | None,
    progress: ProgressReporter | None,
) -> None:
    folder, count = models_folder(work.settings, new.version), int(work.es.count(index=old.index)["count"])
    draft = draft_folder(folder)
    with closing(VectorCache(work.settings.cache)) as cache:
        # Texts need no folder, and what can't be encoded has no vector.
        fill = None if encoder is None else item_vectors([encoder], Path(), cache, ItemErrors())
        try:
            versions.create(work.job_es, new, count=count, options=old.notes.get("index_options"), owner=owner_id(work.settings))
            before = models_folder(work.settings, old.version)
            if before.exists():
                shutil.copytree(before, draft)
            copied = reindex.copy_items(work.job_es, old, new, fill, progress=ProgressCounter(progress, count))
            if copied.report.failed:
                raise IndexStateError(
                    f"{copied.report.failed:,} items could not be copied ({copied.report.failures[0].reason}).",
                    "The live version is as it was; mend the cause and do it again.",
                )
            if new.vectors == old.vectors:
                _copy_profiles(work, old, new)
            else:
                fold_all_profiles(work, replace(live, metadata=new))
            _copy_users(work, old, new)
            store_forward_index(work.job_es, work.settings, new)
            if draft.exists():
                shutil.rmtree(folder, ignore_errors=True)
                draft.rename(folder)
            reindex.catch_up_and_swap(work.job_es, old, new, copied, fill)
        except BaseException:
            if versions.live_version(work.es, old.store) != new.version:
                versions.drop_unfinished(work.job_es, old.store, new.version)
                remove_folders(work.settings, new.version)
            shutil.rmtree(draft, ignore_errors=True)
            raise


def _copy_profiles(work: Workspace, old: IndexMetadata, new: IndexMetadata) -> None:
    checkpoint = read_fold_checkpoint(work.es, old.profiles)
    reindex.copy_profiles(work.job_es, old, new)
    if checkpoint is not None:
        write_fold_checkpoint(work.es, new.profiles, checkpoint)


def _copy_users(work: Workspace, old: IndexMetadata, new: IndexMetadata) -> None:
    """Copy the vectors that similar users are found by, where a model has them."""
    if not work.es.indices.exists(index=old.users):
        return
    mapping = work.es.indices.get_mapping(index=old.users)[old.users]["mappings"]["properties"]
    user_index.create(work.job_es, new, mapping[user_index.VECTOR]["dims"], int(work.es.count(index=old.users)["count"]))
    pages = scan(work.job_es, old.users, vectors=True)
    user_index.fill(work.job_es, new, _stored_users(pages))


def _stored_users(pages: Iterator[list[dict[str, Any]]]) -> Iterator[user_index.User]:
    for page in pages:
        for hit in page:
            yield hit["_id"], hit["_source"].pop(user_index.VECTOR), hit["_source"]
