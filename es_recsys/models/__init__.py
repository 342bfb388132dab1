"""Collaborative models: interactions in, item vectors or neighbours out, an answer for any history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from es_recsys.errors import ModelError
from es_recsys.models.als import ALS, ALSConfig
from es_recsys.models.base import DEPTHS, Model
from es_recsys.models.covisitation import CoVisitation, CoVisitationConfig
from es_recsys.models.ensemble import ensemble_parts, recommend
from es_recsys.models.popularity import Popularity, PopularityConfig
from es_recsys.models.registry import MODELS
from es_recsys.models.removed import REMOVED
from es_recsys.models.userknn import UserKNN, UserKNNConfig
from es_recsys.renamed import MODELS as RENAMED
from es_recsys.renamed import spellings

__all__ = [
    "ALS",
    "DEPTHS",
    "MODELS",
    "ALSConfig",
    "CoVisitation",
    "CoVisitationConfig",
    "Model",
    "Popularity",
    "PopularityConfig",
    "UserKNN",
    "UserKNNConfig",
    "ensemble_parts",
    "load_models",
    "recommend",
    "save_models",
]


def save_models(models: Mapping[str, Model], folder: Path) -> None:
    """Save each model in a folder of its name inside `folder`, without what answers find in Elasticsearch.

    Raises ModelError.
    """
    for name, model in models.items():
        served = model.to_serve() if isinstance(model, UserKNN) else model
        served.save(Path(folder) / name)


def load_models(folder: Path, names: tuple[str, ...]) -> dict[str, Model]:
    """Return the named models, memory-mapped.

    Raises ModelError for a name that no model has, or an artefact that isn't whole.
    """
    gone = [name for name in names if name in REMOVED]
    if gone:
        raise ModelError(f"There is no model {gone[0]!r} any more.", f"Train again: {REMOVED[gone[0]]} does better.")
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise ModelError(f"There is no model {unknown[0]!r}.", f"Known are {', '.join(MODELS)}.")
    return {name: MODELS[name].load(_artefact_folder(Path(folder), name)) for name in names}


def _artefact_folder(folder: Path, name: str) -> Path:
    """Return the folder of a model's artefact: of its name, or of the one that it had when it was written."""
    found = (folder / one for one in spellings(name, RENAMED) if (folder / one).exists())
    return next(found, folder / name)
