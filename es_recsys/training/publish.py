"""Publish trained models: a new index version with their vectors, profiles and artefacts, checked and made live at once."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from elasticsearch import ApiError, TransportError
from numpy.typing import NDArray

from es_recsys.dataset import History, Interactions
from es_recsys.errors import EngineError, IndexStateError, WriteError
from es_recsys.features import FeatureTable
from es_recsys.index import reindex, stored_metadata, versions
from es_recsys.index.fetch import scan_ids
from es_recsys.index.unfinished_versions import draft_folder, index_writer_lock, owner_id, remove_unfinished
from es_recsys.index.version_folders import models_folder, remove_folders
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.models import Model, UserKNN, save_models
from es_recsys.models.popularity import Popularity
from es_recsys.models.segments import SEGMENTS, Segments
from es_recsys.progress import ProgressCounter, ProgressReporter
from es_recsys.search.personal_ranking import PERSONAL_SEARCH
from es_recsys.search.retriever_weights import FIRST_EVENT, SEARCH_KINDS, WINDOW_TABLES
from es_recsys.search.retrievers import POPULARITY, RECENCY
from es_recsys.serving.item_features import item_features_folder, save_item_features
from es_recsys.serving.product_groups import fetch_item_groups, record_variants
from es_recsys.serving.profile_folding import fold_all_profiles, fold_new_events
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.snapshot_cache import popularity_folder
from es_recsys.serving.stored_forward_index import store_forward_index
from es_recsys.serving.workspace import Workspace
from es_recsys.training.model_selection import Selection
from es_recsys.training.publish_users import index_users
from es_recsys.training.training_record import TrainingRecord, catalogue_ids, save_catalogue_ids
from es_recsys.types import Item
from es_recsys.vector_fields import VECTOR_FIELDS, is_encoder_field

__all__ = ["UnservedModel", "publish_version", "weight_tables"]

_OF_SEARCHES = (*SEARCH_KINDS, *WINDOW_TABLES.values())
_SAMPLE = 20
_TIEBREAK = 1e-3
# Likenesses that differ by less are the same; float32 has seven digits.
_SAME = 1e-5
# Statuses by which Elasticsearch refuses what it was sent.
_REFUSED = (400, 413)


class UnservedModel(Exception):
    """Error of one model that can't be put into service, and is itself to blame."""

    def __init__(self, model: str, cause: Exception) -> None:
        super().__init__(model)
        self.model, self.cause = model, cause

    def reraise(self) -> None:
        raise self.cause


@contextmanager
def _blamed_on(model: str) -> Iterator[None]:
    """Raise an error in this block as UnservedModel, which blames the model.

    An error of a full disk, or of an Elasticsearch that is away, is raised as it is: it would meet any model.
    """
    try:
        yield
    except Exception as error:
        cause = error.__cause__ or error
        refused = isinstance(cause, ApiError) and cause.meta.status in _REFUSED
        if isinstance(cause, OSError | TransportError | ApiError | EngineError | WriteError) and not refused:
            raise
        raise UnservedModel(model, error) from error


def publish_version(
    work: Workspace,
    live: ServingSnapshot,
    chosen: Selection,
    data: Interactions,
    table: FeatureTable | None,
    groups: Segments | None,
    record: TrainingRecord,
    progress: ProgressReporter | None,
) -> IndexMetadata:
    """Build the next version beside the live one, check it, and swap; return its metadata.

    Raises UnservedModel where one model is to blame that it can't.
    """
    old = live.metadata
    models = {name: model for name, model in chosen.models.items() if name in chosen.weights}
    vectors = {model.field: _vector_meta(model) for model in models.values() if model.field is not None}
    kept = {name: vector for name, vector in old.vectors.items() if is_encoder_field(name)}
    new = replace(
        old,
        vectors={**kept, **vectors},
        models=tuple(models),
        # What was chosen for searches was chosen beside other models.
        retriever_weights={**_without(old, "no_query", FIRST_EVENT, *_OF_SEARCHES), **weight_tables(chosen)},
        ranker_fingerprints={name: own for name, own in old.ranker_fingerprints.items() if name != PERSONAL_SEARCH},
        searches_users=UserKNN.name in models,
        timed=data.timed,
        notes=record.noted(old.notes),
    )
    with index_writer_lock(work.settings):
        new = replace(new, version=versions.next_version(work.es, old.store))
        _fill_and_swap(work, live, new, models, data, table, groups, progress)
    record_variants(work)
    chosen.models[Popularity.name].save(popularity_folder(work.settings))
    # Events that came after the profiles were rebuilt went into those of the old version.
    fold_new_events(work, work.snapshots.latest())
    _drop_older(work, keep=(old.version, new.version))
    return new


def _fill_and_swap(
    work: Workspace,
    live: ServingSnapshot,
    new: IndexMetadata,
    models: Mapping[str, Model],
    data: Interactions,
    table: FeatureTable | None,
    groups: Segments | None,
    progress: ProgressReporter | None,
) -> None:
    """Fill the new version with items, models and profiles, check it, and make it live.

    Items and events may come and go meanwhile. Raises UnservedModel where one model is to blame that it can't.
    """
    old = live.metadata
    remove_unfinished(work.job_es, work.settings)
    folder = models_folder(work.settings, new.version)
    draft = draft_folder(folder)
    count = int(work.es.count(index=old.index)["count"])
    created = False
    try:
        for name, model in models.items():
            with _blamed_on(name):
                save_models({name: model}, draft)
        if groups is not None:
            groups.save(draft / SEGMENTS)
        if table is not None:
            save_item_features(item_features_folder(draft), table)
        save_catalogue_ids(catalogue_ids(work, old), draft)
        versions.create(work.job_es, new, count=count, owner=owner_id(work.settings))
        created = True
        fill = _fill(models)
        copied = reindex.copy_items(work.job_es, old, new, fill, progress=ProgressCounter(progress, count))
        if copied.report.failed:
            raise IndexStateError(
                f"{copied.report.failed:,} items could not be copied ({copied.report.failures[0].reason}).",
                "The live version is as it was; mend the cause and train again.",
            )
        fold_all_profiles(work, replace(live, metadata=new, models=models))
        if UserKNN.name in models:
            with _blamed_on(UserKNN.name):
                index_users(work, new, models, data)
        copied = _check_whole(work, old, new, copied, fill)
        _follow_notes(work, old, new)
        _check(work, new, models, data)
        store_forward_index(work.job_es, work.settings, new)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
        reindex.catch_up_and_swap(work.job_es, old, new, copied, fill)
    except BaseException:
        # Half a version serves nobody; the live one is untouched.
        if versions.live_version(work.es, old.store) != new.version:
            if created:
                versions.drop(work.job_es, old.store, new.version)
            remove_folders(work.settings, new.version)
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _vector_meta(model: Model) -> VectorMetadata:
    assert model.field is not None
    return VectorMetadata(model.item_vectors.shape[1], model.fingerprint, model.name, VECTOR_FIELDS[model.field].similarity)


def _fill(models: Mapping[str, Model]) -> reindex.FillVectors:
    """Return a function that gives items the vectors that the models have for them.

    An item that a model doesn't know has none.
    """
    factors = {model.field: (model.item_ids, model.item_vectors) for model in models.values() if model.field is not None}

    def fill(items: Sequence[Item]) -> list[dict[str, NDArray[np.float32] | None]]:
        rows: list[dict[str, NDArray[np.float32] | None]] = [{} for _ in items]
        for field, (ids, vectors) in factors.items():
            for row, item_idx in zip(rows, ids.find([item.product_id for item in items]).tolist(), strict=True):
                vector = vectors[item_idx] if item_idx >= 0 else None
                row[field] = vector if vector is not None and vector.any() else None
        return rows

    return fill


def _without(metadata: IndexMetadata, *situations: str) -> dict[str, Mapping[str, float]]:
    return {name: table for name, table in metadata.retriever_weights.items() if name not in situations}


def weight_tables(chosen: Selection) -> dict[str, Mapping[str, float]]:
    """Return the retriever weights without a query: the models as training weighed them, and where one event is known.

    What is popular and fresh only puts in order what the models know nothing of, unless it has a share. Authors that are followed
    have the weight of the settings until they were weighed.
    """
    rest = 1.0 - sum(chosen.neutral.values())
    weights = {name: share * rest for name, share in chosen.weights.items()}
    weighed = {POPULARITY, RECENCY} | chosen.neutral.keys()
    neutral = {name: max(chosen.neutral.get(name, 0.0), _TIEBREAK) for name in sorted(weighed)}
    tables: dict[str, Mapping[str, float]] = {"no_query": {**weights, **neutral}}
    if chosen.first_event:
        tables[FIRST_EVENT] = {**chosen.first_event, POPULARITY: max(chosen.first_event.get(POPULARITY, 0.0), _TIEBREAK)}
    return tables


def _follow_notes(work: Workspace, old: IndexMetadata, new: IndexMetadata) -> None:
    """Mark the new version as one with a catalogue, where a catalogue was loaded meanwhile."""
    if "bare" in new.notes and "bare" not in stored_metadata.read_version(work.es, old.store, old.version).notes:
        stored = stored_metadata.read_version(work.es, new.store, new.version)
        stored_metadata.write_metadata(work.es, stored.with_notes({"bare": None}))


def _check(work: Workspace, new: IndexMetadata, models: Mapping[str, Model], data: Interactions) -> None:
    """Check that the kNN of the new version finds what the vectors say.

    Raises IndexStateError.
    """
    for model in models.values():
        if model.field is not None:
            with _blamed_on(model.name):
                _check_neighbours(work, new, model, data)


def _check_whole(
    work: Workspace, old: IndexMetadata, new: IndexMetadata, copied: reindex.CopyState, fill: reindex.FillVectors
) -> reindex.CopyState:
    """Catch up with who loads items meanwhile.

    Raises IndexStateError where the new version lacks items nevertheless.
    """
    copied = reindex.copy_changes(work.job_es, old, new, copied, fill)
    lacking = reindex.missing_ids(work.job_es, old, new)
    if lacking:
        copied = reindex.copy_changes(work.job_es, old, new, copied, fill)
        lacking &= reindex.missing_ids(work.job_es, old, new)
    if lacking:
        raise IndexStateError(f"Version {new.version} lacks {len(lacking):,} items.", "Train again; if it stays, report it.")
    return copied


def _check_neighbours(work: Workspace, new: IndexMetadata, model: Model, data: Interactions) -> None:
    """Check the kNN of a model's field with vectors of users, as they will search.

    Nearest to an item is easy for a graph, nearest to a user is not. Raises IndexStateError.
    """
    vectors, field = model.item_vectors, str(model.field)
    groups = fetch_item_groups(work, new)
    live = {groups.get(hit, hit) for ids in scan_ids(work.es, new.index) for hit in ids}
    k = min(math.ceil(10 * max(new.variants or 1.0, 1.0)), 1_000)
    present = np.array([item_id in live for item_id in model.item_ids], bool)
    with_vector = np.flatnonzero(present & vectors.any(axis=1))
    found = total = 0
    for query_vector in _some_vectors(model, data) if len(with_vector) else ():
        alike = vectors[with_vector] @ query_vector
        exact = np.sort(alike)[::-1][:10]
        # Of items that are as near as the last of them any will do.
        near = set(model.item_ids.take(with_vector[alike >= exact[-1] - _SAME * max(1.0, abs(float(exact[-1])))]))
        knn = {"field": field, "query_vector": query_vector.tolist(), "k": k, "num_candidates": max(400, k)}
        hits = work.es.search(index=new.index, knn=knn, size=k, source=False)["hits"]["hits"]
        nearest = list(dict.fromkeys(groups.get(hit["_id"], hit["_id"]) for hit in hits))[:10]
        found += len(set(nearest) & near)
        total += len(exact)
    if found < 0.9 * total:
        raise IndexStateError(
            f"kNN on {field} of version {new.version} finds {found} of {total} nearest items.",
            "Train again; if it stays, report it.",
        )


def _some_vectors(model: Model, data: Interactions) -> Iterator[NDArray[np.float32]]:
    """Yield vectors of a few users, by their newest events."""
    users = np.random.default_rng(0).permutation(len(data.user_ids))[:_SAMPLE]
    for user in users.tolist():
        begin, end = np.searchsorted(data.users, [user, user + 1])
        liked = data.items[begin:end][data.weights[begin:end] > 0]
        vector = model.user_vector(History.of(data.item_ids[liked].tolist()))
        if vector is not None:
            yield vector


def _drop_older(work: Workspace, keep: tuple[int, ...]) -> None:
    # What another machine is making this moment stays.
    keep += tuple(one.version for one in versions.unfinished_versions(work.es, work.settings.index))
    for info in versions.list_versions(work.es, work.settings.index):
        if info.metadata.version not in keep and not info.live:
            remove_folders(work.settings, info.metadata.version)
            versions.drop(work.job_es, work.settings.index, info.metadata.version)
