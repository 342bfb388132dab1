"""The models by name. A new model is a new row."""

from __future__ import annotations

from collections.abc import Mapping

from es_recsys.models.affinity import Affinity
from es_recsys.models.aligned import Aligned
from es_recsys.models.als import ALS
from es_recsys.models.base import Model
from es_recsys.models.bspm import BSPM
from es_recsys.models.covisitation import CoVisitation
from es_recsys.models.ease import EASE
from es_recsys.models.fused import Fused
from es_recsys.models.lsa import LSA
from es_recsys.models.popularity import Popularity
from es_recsys.models.sasrec import SASRec
from es_recsys.models.userknn import UserKNN

__all__ = ["MODELS"]

_KINDS: tuple[type[Model], ...] = (
    CoVisitation,
    UserKNN,
    EASE,
    BSPM,
    ALS,
    Affinity,
    LSA,
    SASRec,
    Fused,
    Aligned,
    Popularity,
)

MODELS: Mapping[str, type[Model]] = {model.name: model for model in _KINDS}
