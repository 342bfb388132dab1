"""Trains the collaborative models on the stored events and puts them into service in a new index version.

New factors are a new space, so everything that speaks of it changes at once: the version with the items' vectors, the
models' artefacts, and the profiles. The version before it stays for a rollback.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import IndexStateError, InputError, ModelError
from es_recsys.fields import VECTOR_FIELDS
from es_recsys.index import copying, versions
from es_recsys.index.bulk import Meter
from es_recsys.index.read import ids_of
from es_recsys.jobs.behaviour import fold_in, rebuild
from es_recsys.meta import StoreMeta, VectorMeta
from es_recsys.models import ALS, MODELS, Model, Selection, Transitions, defaults, save_models, select
from es_recsys.models.popularity import Popularity
from es_recsys.models.selection import Report
from es_recsys.runtime.views import models_folder, popularity_folder
from es_recsys.runtime.workspace import Workspace
from es_recsys.types import Interactions, Item

__all__ = ["TrainReport", "train"]

Progress = Callable[[float, float | None], None]
TRAINABLE = tuple(name for name in MODELS if name != Popularity.name)
_SAMPLE = 20
_TIEBREAK = 1e-3


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What was chosen and why (`chosen`, `figures`), and how long training and putting into service took, seconds."""

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


def train(work: Workspace, names: Sequence[str] = (), *, seed: int = 7, progress: Progress | None = None) -> TrainReport:
    """Trains the named models, or without names chooses models, settings and weights on held-out events.

    Raises StoreNotFound, InputError for an unknown name, ModelError where there is nothing to train on.
    """
    from es_recsys.behaviour.interactions import interactions

    unknown = [name for name in names if name not in TRAINABLE]
    if unknown:
        raise InputError(
            f"There is no model {unknown[0]!r}.", f"Name some of: {', '.join(TRAINABLE)}; or none, to have them chosen."
        )
    with work.explaining():
        old = work.views.fresh().meta
        started = time.monotonic()
        data = interactions(work.events, work.now())
        rng = np.random.default_rng(seed)
        chosen = _named(data, names, rng) if names else select(data, rng)
        trained = time.monotonic()
        meta = _serve(work, old, chosen, data.timed, progress)
        served = time.monotonic()
    return TrainReport(
        meta.version,
        meta.models,
        chosen.weights,
        chosen.report.lines,
        chosen.report.figures,
        trained - started,
        served - trained,
    )


def _named(data: Interactions, names: Sequence[str], rng: np.random.Generator) -> Selection:
    """The named models with default settings and weights."""
    if not (data.weights > 0).any():
        raise ModelError("There are no positive events to train on.", "Load events first: es-recsys events load FILE.")
    transitions, als, weights = defaults(data)
    makers: dict[str, Callable[[], Model]] = {"transitions": lambda: Transitions(transitions), "als": lambda: ALS(als)}
    seed = int(rng.integers(2**31))
    models = {name: makers[name]().fit(data, np.random.default_rng(seed)) for name in dict.fromkeys(names)}
    total = sum(weights[name] for name in models)
    shares = {name: weights[name] / total for name in models}
    lines = (f"Trained as named, with default settings: {', '.join(f'{name} {share:.0%}' for name, share in shares.items())}.",)
    return Selection({**models, Popularity.name: Popularity().fit(data, rng)}, shares, Report(lines))


def _serve(work: Workspace, old: StoreMeta, chosen: Selection, timed: bool, progress: Progress | None) -> StoreMeta:
    """Builds the next version beside the live one, checks it, and swaps."""
    models = {name: model for name, model in chosen.models.items() if name in chosen.weights}
    vectors = {model.field: _vector_meta(model) for model in models.values() if model.field is not None}
    kept = {name: vector for name, vector in old.vectors.items() if VECTOR_FIELDS[name].source == "encoder"}
    new = replace(
        old,
        version=versions.next_version(work.es, old.store),
        vectors={**kept, **vectors},
        models=tuple(models),
        weights={**{k: v for k, v in old.weights.items() if k != "no_query"}, "no_query": _table(chosen)},
        timed=timed,
        notes={key: value for key, value in old.notes.items() if key != "replaces"},
    )
    folder = models_folder(work.settings, new.version)
    count = int(work.es.count(index=old.index)["count"])
    created = False
    try:
        save_models(models, folder)
        versions.create(work.patient, new, count=count)
        created = True
        meter = Meter((lambda p: progress(p.done, p.total)) if progress is not None else None, total=count)
        fill = _fill(models)
        copied = copying.copy(work.patient, old, new, fill, meter=meter)
        if copied.report.failed:
            raise IndexStateError(
                f"{copied.report.failed:,} items could not be copied ({copied.report.failures[0].reason}).",
                "The live version is as it was; mend the cause and train again.",
            )
        last = work.events.last_row
        view = replace(work.views.current(), meta=new, models=models)
        rebuild(work, view)
        _check(work, old, new, models)
        copying.take_over(work.patient, old, new, copied, fill)
    except BaseException:
        # Half a version serves nobody; the live one is untouched.
        if created and versions.live_version(work.es, old.store) != new.version:
            versions.drop(work.patient, old.store, new.version)
        if versions.live_version(work.es, old.store) != new.version:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    chosen.models[Popularity.name].save(popularity_folder(work.settings))
    # Events that came after the profiles were rebuilt went into those of the old version.
    fold_in(work, work.views.fresh(), {event.subject for event in work.events.scan(after=last)})
    _drop_older(work, keep=(old.version, new.version))
    return new


def _vector_meta(model: Model) -> VectorMeta:
    vectors = _item_vectors(model)
    assert model.field is not None
    return VectorMeta(vectors.shape[1], model.fingerprint, model.name, VECTOR_FIELDS[model.field].similarity)


def _item_vectors(model: Model) -> NDArray[np.float32]:
    if not isinstance(model, ALS):
        raise ModelError(f"The model {model.name} has no item vectors.", "This is a mistake in the program; please report it.")
    return model.item_vectors


def _fill(models: Mapping[str, Model]) -> copying.Fill:
    """Gives items the vectors that the models have for them; an item without events has none."""
    factors = {model.field: (model.item_ids, _item_vectors(model)) for model in models.values() if model.field is not None}

    def fill(items: Sequence[Item]) -> list[dict[str, NDArray[np.float32] | None]]:
        rows: list[dict[str, NDArray[np.float32] | None]] = [{} for _ in items]
        for field, (ids, vectors) in factors.items():
            for row, place in zip(rows, ids.find([item.item_id for item in items]).tolist(), strict=True):
                vector = vectors[place] if place >= 0 else None
                row[field] = vector if vector is not None and vector.any() else None
        return rows

    return fill


def _table(chosen: Selection) -> dict[str, float]:
    """Weights without a query: the models as training weighed them. What is popular and fresh only puts in order what the
    models know nothing of."""
    return {**chosen.weights, "popular": _TIEBREAK, "fresh": _TIEBREAK}


def _check(work: Workspace, old: StoreMeta, new: StoreMeta, models: Mapping[str, Model]) -> None:
    """The new version holds all items, and its kNN finds what the factors say. Raises IndexStateError."""
    work.es.indices.refresh(index=new.index)
    want, have = (int(work.es.count(index=meta.index)["count"]) for meta in (old, new))
    if have < want:
        raise IndexStateError(f"Version {new.version} has {have:,} of {want:,} items.", "Train again.")
    for model in models.values():
        if model.field is not None:
            _check_neighbours(work, new, model)


def _check_neighbours(work: Workspace, new: StoreMeta, model: Model) -> None:
    vectors, field = _item_vectors(model), str(model.field)
    rng = np.random.default_rng(0)
    found = total = 0
    live = {hit for ids in ids_of(work.es, new.index) for hit in ids}
    present = np.array([item_id in live for item_id in model.item_ids])
    places = np.flatnonzero(present & vectors.any(axis=1))
    if not len(places):
        return
    for place in rng.choice(places, min(_SAMPLE, len(places)), replace=False):
        exact = places[np.argsort(-(vectors[places] @ vectors[place]), kind="stable")[:10]]
        knn = {"field": field, "query_vector": vectors[place].tolist(), "k": 10, "num_candidates": 400}
        hits = work.es.search(index=new.index, knn=knn, size=10, source=False)["hits"]["hits"]
        found += len({hit["_id"] for hit in hits} & set(model.item_ids.names(exact)))
        total += len(exact)
    if found < 0.9 * total:
        raise IndexStateError(
            f"kNN on {field} of version {new.version} finds {found} of {total} nearest items.",
            "Train again; if it stays, report it.",
        )


def _drop_older(work: Workspace, keep: tuple[int, ...]) -> None:
    for info in versions.versions(work.es, work.settings.index):
        if info.meta.version not in keep and not info.live:
            versions.drop(work.patient, work.settings.index, info.meta.version)
            shutil.rmtree(models_folder(work.settings, info.meta.version), ignore_errors=True)
