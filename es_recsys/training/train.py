"""Training of a store: its models in a new index version, then how personal its searches are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from es_recsys.errors import IndexStateError
from es_recsys.models import MODELS
from es_recsys.models.popularity import Popularity
from es_recsys.models.removed import wrong_model
from es_recsys.models.segments import SEGMENTS
from es_recsys.progress import ProgressReporter
from es_recsys.renamed import current_models
from es_recsys.serving.stored_interactions import load_interactions
from es_recsys.serving.workspace import Workspace
from es_recsys.training.count_interactions import try_recount
from es_recsys.training.positive_events import need_positive
from es_recsys.training.search_weights import with_search_weights
from es_recsys.training.seen_proposal import with_seen_proposal
from es_recsys.training.target_types import check_targets, targets_of
from es_recsys.training.train_version import TrainReport, live_names, train_and_publish, train_spec
from es_recsys.training.training_record import training_lock

__all__ = ["check_model_names", "train"]

TRAINABLE = (*(name for name in MODELS if name != Popularity.name), SEGMENTS)


def train(
    work: Workspace,
    names: Sequence[str] = (),
    *,
    add: bool = False,
    targets: Sequence[str] = (),
    budget: float | None = None,
    seed: int = 7,
    searches: bool = True,
    progress: ProgressReporter | None = None,
) -> TrainReport:
    """Train the named models and put them into service; without names choose models, settings and weights on held-out events.

    What was not named by the caller and can't be trained or served is left out, and the report says why. add: the models that
    are live are trained again beside the named ones, with the settings that they have, and for the targets that they had
    unless some are named. targets: event types that answers are to lead to, which held-out events are to be of (empty: any by
    which somebody takes to an item). budget: seconds of processor time after which no further setting is tried. searches:
    whether it is chosen how personal searches are, and proposed what they do with items that the user has seen. Settings that
    `tune model` found are kept to. What exploration knows of the items is counted anew, too.

    Raises StoreNotFound, InputError for an unknown name or type, ModelError where there is nothing to train on, IndexStateError
    while another training of the store is running.
    """
    names, targets = check_model_names(names), check_targets(targets)
    with work.translating_errors():
        snapshot = work.snapshots.latest() if add else work.snapshots.for_training()
        with training_lock(work.settings) as free:
            if not free:
                raise IndexStateError(
                    f"Another training of {work.settings.index} is running.", "Wait until it has ended, then train again."
                )
            try_recount(work, snapshot.metadata, progress.line if progress is not None else None)
            now = work.now()
            data = load_interactions(work, snapshot.metadata, now)
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
            report = train_and_publish(work, snapshot, data, now, spec, budget=budget, seed=seed, progress=progress)
            if not searches:
                return report
            return with_seen_proposal(work, with_search_weights(work, report, seed, progress), data, progress)


def check_model_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, each once.

    Raises InputError for one that no model to train has.
    """
    names = current_models(names)
    unknown = [name for name in names if name not in TRAINABLE]
    if unknown:
        raise wrong_model(unknown[0], TRAINABLE, "; or none, to have them chosen")
    return tuple(dict.fromkeys(names))
