"""Keeps the view of a store current: which version is live, its models, what is popular."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from es_recsys.errors import ModelError
from es_recsys.features import ItemSide
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.index_metadata import IndexMetadata
from es_recsys.models.base import DEPTHS, Model
from es_recsys.models.retired import without_retired
from es_recsys.search.explore import InteractionStats
from es_recsys.search.learned import Ranker
from es_recsys.serving.interaction_stats import exposure_folder, load_exposure
from es_recsys.serving.item_features import item_side_folder, load_item_side
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.store_encoders import StoreEncoders
from es_recsys.settings import Settings

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

__all__ = ["RANKING", "SnapshotCache", "models_folder", "popularity_folder", "ranking_folder"]

RANKING = "ranking"

_log = logging.getLogger(__name__)

REFRESH_S = 5.0
"""Seconds after which a client looks again which version is live."""


def models_folder(settings: Settings, version: int) -> Path:
    """Where the models of a version lie."""
    return settings.store_home / "models" / f"{version:06d}"


def popularity_folder(settings: Settings) -> Path:
    """What is popular is counted anew with each load of events, so it belongs to no version."""
    return settings.store_home / "popularity"


def ranking_folder(settings: Settings, mark: str) -> Path:
    """Where a learned ranking lies; versions name theirs by its fingerprint."""
    return settings.store_home / "rankings" / mark


class SnapshotCache:
    """Loads views, and again when another version goes live or popularity is counted anew. Safe between threads."""

    def __init__(self, settings: Settings, client: Elasticsearch) -> None:
        self._settings = settings
        self._client = client
        self._encoders = StoreEncoders(settings)
        self._secret = settings.secret()
        self._lock = threading.Lock()
        self._snapshot: ServingSnapshot | None = None
        self._popular_at: tuple[float, ...] = ()
        self._looked = 0.0

    def current(self) -> ServingSnapshot:
        """The view, at most `REFRESH_S` old. Raises StoreNotFound, ModelError."""
        with self._lock:
            if self._snapshot is None or time.monotonic() - self._looked > REFRESH_S:
                self._look()
            assert self._snapshot is not None
            return self._snapshot

    def fresh(self) -> ServingSnapshot:
        """The view as of now."""
        self.forget()
        return self.current()

    def to_train(self) -> ServingSnapshot:
        """The view as of now; without models where they can't be loaded, so that others can be trained in their place."""
        try:
            return self.fresh()
        except ModelError:
            return self._made(read_metadata(self._client, self._settings.index), {}, self._popular(), {}, None)

    def forget(self) -> None:
        """Has the next call look."""
        self._looked = float("-inf")

    def _look(self) -> None:
        metadata = read_metadata(self._client, self._settings.index)
        stamp = _changed(popularity_folder(self._settings), exposure_folder(self._settings))
        old = self._snapshot
        if old is None or old.metadata != metadata or stamp != self._popular_at:
            if old is not None and old.metadata.index == metadata.index:
                models, item_side = old.models, old.item_side
            else:
                models, item_side = self._models(metadata)
            popular = old.popular if old is not None and stamp == self._popular_at else self._popular()
            same = old is not None and (old.metadata.ranking, old.metadata.vectors) == (metadata.ranking, metadata.vectors)
            rankers = old.rankers if old is not None and same else self._rankers(metadata)
            self._snapshot = self._made(metadata, models, popular, rankers, item_side)
            self._popular_at = stamp
        self._looked = time.monotonic()

    def _made(
        self,
        metadata: IndexMetadata,
        models: Mapping[str, Model],
        popular: Sequence[tuple[str, float]],
        rankers: Mapping[str, Ranker | None],
        item_side: ItemSide | None,
    ) -> ServingSnapshot:
        try:
            exposure = load_exposure(exposure_folder(self._settings), popular)
        except ModelError as error:
            _log.warning("Exploration starts from what is popular. %s", error)
            exposure = InteractionStats.of_popularity(popular)
        return ServingSnapshot(
            self._settings, metadata, self._secret, self._encoders, models, popular, rankers, exposure, item_side
        )

    def _models(self, metadata: IndexMetadata) -> tuple[dict[str, Model], ItemSide | None]:
        if not metadata.models:
            return {}, None
        from es_recsys.models import load_models

        folder, names = models_folder(self._settings, metadata.version), without_retired(metadata.models)
        if gone := [name for name in metadata.models if name not in names]:
            _log.warning("Answers of %s do without %s: no such model any more. Train again.", metadata.index, ", ".join(gone))
        try:
            return load_models(folder, names), load_item_side(item_side_folder(folder))
        except ModelError as error:
            raise ModelError(
                f"The models of {metadata.index} can't be loaded. {error.what}",
                f"They were trained elsewhere or lost: copy {folder} from there, share ES_RECSYS_HOME, or train again.",
            ) from error

    def _rankers(self, metadata: IndexMetadata) -> dict[str, Ranker | None]:
        """A ranking that can't be used is None, so that the weighted sum answers and the answer says so."""
        return {about: self._ranker(metadata, mark) for about, mark in metadata.ranking.items()}

    def _ranker(self, metadata: IndexMetadata, mark: str) -> Ranker | None:
        from es_recsys.models import artefact

        try:
            found = artefact.load(ranking_folder(self._settings, mark), RANKING)
            with artefact.described(ranking_folder(self._settings, mark)):
                ranker = Ranker.from_params(found.params, found.arrays)
        except ModelError:
            return None
        return ranker if ranker.suits(metadata) else None

    def _popular(self) -> list[tuple[str, float]]:
        from es_recsys.models.popularity import Popularity
        from es_recsys.types import History

        folder = popularity_folder(self._settings)
        if not folder.exists():
            return []
        try:
            return Popularity.load(folder).recommend(History(), DEPTHS["neighbours"])
        except ModelError as error:
            # Counted anew by every training and load of events: no reason not to answer, or not to record what happens.
            _log.warning("Answers do without what is popular. %s", error)
            return []


def _changed(*folders: Path) -> tuple[float, ...]:
    """When each was written; 0 for one that is not there."""
    return tuple(_stamp(folder / "manifest.json") for folder in folders)


def _stamp(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
