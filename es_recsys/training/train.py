"""Training of the collaborative models on the stored events, put into service in a new index version.

New factors are a new space, so everything that speaks of it changes at once: the version with the items' vectors, the models'
artefacts, and the profiles. The version before it stays for a rollback.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from elasticsearch import ApiError, TransportError
from numpy.typing import NDArray

from es_recsys.errors import EngineError, IndexStateError, WriteError
from es_recsys.features import FeatureTable, compute_features
from es_recsys.index import reindex, stored_metadata, versions
from es_recsys.index.fetch import scan_ids
from es_recsys.index.unfinished_versions import draft_folder, index_writer_lock, owner_id, remove_unfinished
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.models import MODELS, Model, UserKNN, save_models
from es_recsys.models.popularity import Popularity
from es_recsys.models.retired import wrong_model
from es_recsys.models.segments import SEGMENTS, Segments
from es_recsys.progress import ProgressCounter, ProgressReporter
from es_recsys.renamed import current_models
from es_recsys.serving.item_features import item_features_folder, save_item_features
from es_recsys.serving.product_groups import fetch_item_groups, record_variants
from es_recsys.serving.profile_folding import fold_all_profiles, fold_new_events
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.snapshot_cache import models_folder, popularity_folder
from es_recsys.serving.user_segments import segments_folder
from es_recsys.serving.workspace import Workspace
from es_recsys.training.attempts import Attempts
from es_recsys.training.count_interactions import recount_interaction_stats
from es_recsys.training.item_table import item_table, plain_table
from es_recsys.training.model_selection import Selection, TrainSpec, select
from es_recsys.training.positive_events import need_positive
from es_recsys.training.publish_users import index_users
from es_recsys.training.selection_report import ExpectedQuality, Notes
from es_recsys.training.target_types import check_targets, targets_of
from es_recsys.training.training_record import TrainingRecord, catalogue_ids, save_catalogue_ids, training_lock
from es_recsys.training.tuned_settings import load_tuned
from es_recsys.types import History, Interactions, Item
from es_recsys.vector_fields import VECTOR_FIELDS, is_encoder_field

__all__ = ["TrainReport", "check_model_names", "publish", "search_seconds", "train", "train_spec"]

TRAINABLE = (*(name for name in MODELS if name != Popularity.name), SEGMENTS)
_SAMPLE = 20
_TIEBREAK = 1e-3
# Likenesses that differ by less are the same; float32 has seven digits.
_SAME = 1e-5
# Statuses by which Elasticsearch refuses what it was sent.
_REFUSED = (400, 413)
_BUDGET = 240.0
# Whoever names models may name some that learn for minutes.
_NAMED_BUDGET = 900.0


@dataclass(frozen=True, slots=True)
class TrainReport:
    """Report of a training.

    What was chosen and why (`chosen`, `figures`), and how long training and putting into service took, seconds.
    """

    version: int
    models: tuple[str, ...]
    weights: Mapping[str, float]
    chosen: tuple[str, ...]
    figures: Mapping[str, Any]
    training_s: float
    serving_s: float

    def lines(self) -> Iterator[str]:
        yield from self.chosen
        yield (
            f"Version {self.version} is live with {', '.join(self.models)}:"
            f" {self.training_s:.1f} s of training, {self.serving_s:.1f} s to put it into service"
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "models": list(self.models),
            "weights": dict(self.weights),
            "chosen": list(self.chosen),
            "figures": dict(self.figures),
            "training_s": self.training_s,
            "serving_s": self.serving_s,
        }


def train(
    work: Workspace,
    names: Sequence[str] = (),
    *,
    add: bool = False,
    targets: Sequence[str] = (),
    budget: float | None = None,
    seed: int = 7,
    progress: ProgressReporter | None = None,
) -> TrainReport:
    """Train the named models and put them into service; without names choose models, settings and weights on held-out events.

    What was not named by the caller and can't be trained or served is left out, and the report says why. add: the models that are
    live are trained again beside the named ones, with the settings that they have, and for the targets that they had unless some
    are named. targets: event types that answers are to lead to, which held-out events are to be of (empty: any by which somebody
    takes to an item). budget: seconds after which no further setting is tried. Settings that `tune model` found are kept to. What
    exploration knows of the items is counted anew, too.

    Raises StoreNotFound, InputError for an unknown name or type, ModelError where there is nothing to train on, IndexStateError
    while another training of the store is running.
    """
    from es_recsys.events.interactions import read_interactions

    names, targets = check_model_names(names), check_targets(targets)
    with work.translating_errors():
        snapshot = work.snapshots.latest() if add else work.snapshots.for_training()
        with training_lock(work.settings) as free:
            if not free:
                raise IndexStateError(
                    f"Another training of {work.settings.index} is running.", "Wait until it has ended, then train again."
                )
            groups = fetch_item_groups(work, snapshot.metadata)
            tell = progress.line if progress is not None else None
            attempts = Attempts(Notes(tell))
            attempts.step("What came of showing items is not counted anew", lambda: recount_interaction_stats(work, groups), None)
            now = work.now()
            data = read_interactions(work.events, now, weights=snapshot.metadata.event_weights, products=groups)
            need_positive(work.events, data)
            configs: dict[str, Any] = {}
            again: frozenset[str] = frozenset()
            if add:
                configs = {name: model.config for name, model in snapshot.models.items() if name not in names}
                again = frozenset(live_names(work, snapshot)) - set(names)
                names = tuple(dict.fromkeys((*live_names(work, snapshot), *names)))
                targets = targets or targets_of(snapshot.metadata)
            spec = train_spec(work, snapshot.metadata, names, configs, targets, progress=progress)
            # What is only trained again beside those that were asked for may be left out.
            spec = replace(spec, optional=again)
            return publish(work, snapshot, data, now, spec, budget=budget, seed=seed, progress=progress)


def live_names(work: Workspace, snapshot: ServingSnapshot) -> tuple[str, ...]:
    """Return the models that are live, and segments where the version has them."""
    grouped = segments_folder(work.settings, snapshot.metadata.version).exists()
    return (*snapshot.models, SEGMENTS) if grouped else tuple(snapshot.models)


def check_model_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, each once.

    Raises InputError for one that no model to train has.
    """
    names = current_models(names)
    unknown = [name for name in names if name not in TRAINABLE]
    if unknown:
        raise wrong_model(unknown[0], TRAINABLE, "; or none, to have them chosen")
    return tuple(dict.fromkeys(names))


def train_spec(
    work: Workspace,
    metadata: IndexMetadata,
    names: tuple[str, ...],
    configs: Mapping[str, Any],
    targets: tuple[str, ...] = (),
    shares: Mapping[str, float] | None = None,
    progress: ProgressReporter | None = None,
) -> TrainSpec:
    """Return the spec that a training of these models starts from.

    It has segments where they are among the names; `configs`, for other named ones the settings that `tune model` found; the
    catalogue, where one of them reads it; checkpoints. shares: where `configs` and they are all decided. progress: is shown the
    epochs of long trainings.
    """
    segments, names = SEGMENTS in names, tuple(name for name in names if name != SEGMENTS)
    tuned = {name: config for name in names if (config := load_tuned(work.settings, name)) is not None}
    decided = (*names, *(shares or {}))
    reading = any(MODELS[name].reads_items for name in decided) if decided else _has_texts(work, metadata)
    items = item_table(work, metadata) if reading or segments else None
    return TrainSpec(
        names,
        {**tuned, **configs},
        items,
        work.settings.store_home / "checkpoints",
        shares=shares or {},
        targets=targets,
        part=progress.part if progress is not None else None,
        segments=segments,
    )


def search_seconds(spec: TrainSpec, budget: float | None) -> float:
    """Return the seconds to try settings in: the budget, or a default where the caller gave none."""
    return budget if budget is not None else _NAMED_BUDGET if spec.names else _BUDGET


def publish(
    work: Workspace,
    live: ServingSnapshot,
    data: Interactions,
    now: float,
    spec: TrainSpec,
    *,
    promise: ExpectedQuality | None = None,
    budget: float | None = None,
    seed: int = 7,
    progress: ProgressReporter | None = None,
) -> TrainReport:
    """Train on `data`, the store's events up to `now`, and serve the result in the place of `live`.

    The models of `live` need not be there; the caller holds the training lock. promise: measured by the caller, where the spec
    leaves nothing to be measured here. progress: is shown each line of what was chosen as it is known, then how many items are
    copied.
    """
    started = time.monotonic()
    old = live.metadata
    versions.create_missing_profiles_index(work.job_es, old)
    work.confirm_key(old, adopt=True)
    tell = progress.line if progress is not None else None
    chosen = select(data, np.random.default_rng(seed), search_seconds(spec, budget), tell, spec)
    trained = time.monotonic()
    record = TrainingRecord.on(data, now, spec.named, old.event_weights, chosen.report.figures, promise, spec.targets)
    items = None if old.notes.get("bare") else spec.items or plain_table(work, old)
    notes = Notes(tell)
    attempts = Attempts(notes, spec.required)
    table = attempts.step("Rankings learn nothing of the items' figures", lambda: compute_features(data, items, now), None)
    groups = None
    if spec.segments:
        groups = attempts.model(SEGMENTS, "", lambda: Segments().fit(data, np.random.default_rng(seed), items))
    metadata = None
    while metadata is None:
        try:
            metadata = _serve(work, live, chosen, data, table, groups, record, progress)
        except _Unserved as error:
            attempts.model(error.model, "when it was put into service", error.reraise)
            chosen = chosen.without(error.model)
    served = time.monotonic()
    return TrainReport(
        metadata.version,
        metadata.models,
        chosen.weights,
        (*chosen.report.lines, *notes.lines),
        {**chosen.report.figures, **({"curves": spec.curves} if spec.curves else {})},
        trained - started,
        served - trained,
    )


def _has_texts(work: Workspace, metadata: IndexMetadata) -> bool:
    """Return whether there is a catalogue, and not bare ids out of events."""
    return bool(work.es.count(index=metadata.index, query={"exists": {"field": "title"}})["count"])


class _Unserved(Exception):
    """Error of one model that can't be put into service, and is itself to blame."""

    def __init__(self, model: str, cause: Exception) -> None:
        super().__init__(model)
        self.model, self.cause = model, cause

    def reraise(self) -> None:
        raise self.cause


@contextmanager
def _serving(model: str) -> Iterator[None]:
    """Raise an error in this block as _Unserved, which blames the model.

    An error of a full disk, or of an Elasticsearch that is away, is raised as it is: it would meet any model.
    """
    try:
        yield
    except Exception as error:
        cause = error.__cause__ or error
        refused = isinstance(cause, ApiError) and cause.meta.status in _REFUSED
        if isinstance(cause, OSError | TransportError | ApiError | EngineError | WriteError) and not refused:
            raise
        raise _Unserved(model, error) from error


def _serve(
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

    Raises _Unserved where one model is to blame that it can't.
    """
    old = live.metadata
    models = {name: model for name, model in chosen.models.items() if name in chosen.weights}
    vectors = {model.field: _vector_meta(model) for model in models.values() if model.field is not None}
    kept = {name: vector for name, vector in old.vectors.items() if is_encoder_field(name)}
    new = replace(
        old,
        vectors={**kept, **vectors},
        models=tuple(models),
        retriever_weights={**{k: v for k, v in old.retriever_weights.items() if k != "no_query"}, "no_query": _table(chosen)},
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

    Items and events may come and go meanwhile. Raises _Unserved where one model is to blame that it can't.
    """
    old = live.metadata
    remove_unfinished(work.job_es, work.settings)
    folder = models_folder(work.settings, new.version)
    draft = draft_folder(folder)
    count = int(work.es.count(index=old.index)["count"])
    created = False
    try:
        for name, model in models.items():
            with _serving(name):
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
            with _serving(UserKNN.name):
                index_users(work, new, models, data)
        copied = _check_whole(work, old, new, copied, fill)
        _follow_notes(work, old, new)
        _check(work, new, models, data)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
        reindex.catch_up_and_swap(work.job_es, old, new, copied, fill)
    except BaseException:
        # Half a version serves nobody; the live one is untouched.
        if versions.live_version(work.es, old.store) != new.version:
            if created:
                versions.drop(work.job_es, old.store, new.version)
            shutil.rmtree(folder, ignore_errors=True)
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
            for row, place in zip(rows, ids.find([item.product_id for item in items]).tolist(), strict=True):
                vector = vectors[place] if place >= 0 else None
                row[field] = vector if vector is not None and vector.any() else None
        return rows

    return fill


def _table(chosen: Selection) -> dict[str, float]:
    """Return the retriever weights without a query: the models as training weighed them.

    What is popular and fresh only puts in order what the models know nothing of.
    """
    return {**chosen.weights, "popularity": _TIEBREAK, "recency": _TIEBREAK}


def _follow_notes(work: Workspace, old: IndexMetadata, new: IndexMetadata) -> None:
    """Mark the new version as one with a catalogue, where a catalogue was loaded meanwhile."""
    if "bare" in new.notes and "bare" not in stored_metadata.read_version(work.es, old.store, old.version).notes:
        told = stored_metadata.read_version(work.es, new.store, new.version)
        notes = {key: value for key, value in told.notes.items() if key != "bare"}
        stored_metadata.write_metadata(work.es, replace(told, notes=notes))


def _check(work: Workspace, new: IndexMetadata, models: Mapping[str, Model], data: Interactions) -> None:
    """Check that the kNN of the new version finds what the vectors say.

    Raises IndexStateError.
    """
    for model in models.values():
        if model.field is not None:
            with _serving(model.name):
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
    places = np.flatnonzero(present & vectors.any(axis=1))
    found = total = 0
    for asked in _some_vectors(model, data) if len(places) else ():
        alike = vectors[places] @ asked
        exact = np.sort(alike)[::-1][:10]
        # Of items that are as near as the last of them any will do.
        near = set(model.item_ids.names(places[alike >= exact[-1] - _SAME * max(1.0, abs(float(exact[-1])))]))
        knn = {"field": field, "query_vector": asked.tolist(), "k": k, "num_candidates": max(400, k)}
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
            shutil.rmtree(models_folder(work.settings, info.metadata.version), ignore_errors=True)
            versions.drop(work.job_es, work.settings.index, info.metadata.version)
