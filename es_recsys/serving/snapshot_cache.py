"""The current snapshot of a store: which version is live, its models, what is popular."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from elasticsearch import Elasticsearch

from es_recsys import artefact
from es_recsys.errors import ModelError
from es_recsys.features import ItemFeatures
from es_recsys.forward_index import ForwardIndex
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.index.version_folders import models_folder
from es_recsys.index_metadata import IndexMetadata
from es_recsys.models.association_rules import AssociationRules
from es_recsys.models.base import DEPTHS, Model
from es_recsys.models.removed import REMOVED, recommending
from es_recsys.models.repeat_purchases import RepeatPurchases
from es_recsys.models.segments import SEGMENTS
from es_recsys.search.exploration import InteractionStats
from es_recsys.search.past_searches import PastSearches
from es_recsys.search.ranker import Ranker
from es_recsys.search.request import Scorer
from es_recsys.serving.feature_sampler import FeatureSampler
from es_recsys.serving.forward_index_follower import ForwardIndexFollower
from es_recsys.serving.interaction_stats import interaction_stats_folder, load_interaction_stats
from es_recsys.serving.item_features import item_features_folder, load_item_features
from es_recsys.serving.ranking_fingerprint import ranking_fingerprint
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.store_encoders import StoreEncoders
from es_recsys.serving.user_cache import UserCache
from es_recsys.settings import Settings

__all__ = [
    "RANKING",
    "SnapshotCache",
    "association_rules_folder",
    "popularity_folder",
    "ranking_folder",
    "repeat_purchases_folder",
    "segments_folder",
]

RANKING = "ranking"

T = TypeVar("T")

_log = logging.getLogger(__name__)

REFRESH_S = 2.0
"""Seconds after which the live version is read again."""


def segments_folder(settings: Settings, version: int) -> Path:
    """Return the folder of a version's segments, which is there only where it has any."""
    return models_folder(settings, version) / SEGMENTS


def popularity_folder(settings: Settings) -> Path:
    """Return the folder of popularity, which each load of events counts anew, so that it belongs to no version."""
    return settings.store_home / "popularity"


def association_rules_folder(settings: Settings) -> Path:
    """Return the folder of what is bought together, which each training counts anew; like popularity it belongs to no version."""
    return settings.store_home / "association-rules"


def repeat_purchases_folder(settings: Settings) -> Path:
    """Return the folder of what is bought again, which each training counts anew."""
    return settings.store_home / "repeat-purchases"


def ranking_folder(settings: Settings, fingerprint: str) -> Path:
    """Return the folder of a learned ranking; versions name theirs by its fingerprint."""
    return settings.store_home / "rankings" / fingerprint


class SnapshotCache:
    """Loads snapshots, and again when another version goes live, items are written or popularity is counted anew.

    Thread-safe. One thread loads, and all others go on with the old one meanwhile, unless that was made invalid. Where answers
    follow each other closely, a thread of the cache's own loads before the old one is too old, so that none of them waits.
    """

    def __init__(self, settings: Settings, client: Elasticsearch) -> None:
        self._settings = settings
        self._client = client
        self._encoders = StoreEncoders(settings)
        self._secret = settings.secret()
        self._follower = ForwardIndexFollower(settings, client, self._take_forward_index)
        self._past_searches, self._users, self._feature_sampler = PastSearches(), UserCache(), FeatureSampler()
        self._loading = threading.Lock()
        self._snapshot: ServingSnapshot | None = None
        self._counted_at: tuple[float, ...] = ()
        self._loaded_at = self._invalidated_at = float("-inf")

    def current(self) -> ServingSnapshot:
        """Return the snapshot, at most `REFRESH_S` old but while another thread loads one. Raises StoreNotFound, ModelError."""
        snapshot = self.known()
        if snapshot is not None:
            return snapshot
        with self._loading:
            if self._snapshot is None or not self._is_fresh():
                self._reload()
            assert self._snapshot is not None
            return self._snapshot

    def known(self) -> ServingSnapshot | None:
        """Return what `current` does where nobody has to wait for it, else None."""
        snapshot = self._snapshot
        if snapshot is None or self._is_invalid():
            return None
        age = time.monotonic() - self._loaded_at
        if age > REFRESH_S:
            return snapshot if self._loading.locked() else None
        if age > REFRESH_S / 2 and self._loading.acquire(blocking=False):
            loader = threading.Thread(target=self._reload_in_background, name="es-recsys-snapshot", daemon=True)
            try:
                loader.start()
            except RuntimeError:  # the process may have no more threads
                self._loading.release()
        return snapshot

    def _reload_in_background(self) -> None:
        """Load, and let go of the lock, which whoever started the thread took. Who waits for a snapshot meets a failure again."""
        try:
            self._reload()
        except Exception as error:
            _log.debug("The snapshot could not be loaded in the background: %s", error)
        finally:
            self._loading.release()

    def _reload(self) -> None:
        begun = time.monotonic()
        self._snapshot = self._load(self._snapshot, wait=self._snapshot is not None and self._is_invalid())
        self._loaded_at = begun

    def _is_fresh(self) -> bool:
        return not self._is_invalid() and time.monotonic() - self._loaded_at <= REFRESH_S

    def _is_invalid(self) -> bool:
        return self._invalidated_at >= self._loaded_at

    def latest(self) -> ServingSnapshot:
        """Return the snapshot as of now."""
        self.invalidate()
        return self.current()

    def for_training(self) -> ServingSnapshot:
        """Return the snapshot as of now; without models where they can't be loaded, so that others can replace them."""
        try:
            return self.latest()
        except ModelError:
            return self._build(read_metadata(self._client, self._settings.index), {}, self._popularity(), {}, None)

    def invalidate(self) -> None:
        """Make the next call read the live version again."""
        self._invalidated_at = time.monotonic()

    def _load(self, old: ServingSnapshot | None, *, wait: bool) -> ServingSnapshot:
        """Return the snapshot as of now, with what of the old one still holds. wait: for the forward index, as `follow` does."""
        metadata = read_metadata(self._client, self._settings.index)
        folders = popularity_folder, interaction_stats_folder, association_rules_folder, repeat_purchases_folder
        counts = tuple(folder(self._settings) for folder in folders)
        written_at = tuple(map(artefact.written_at, counts))
        forward = self._follower.follow(metadata, None if old is None else old.forward, wait=wait)
        if old is not None and old.metadata == metadata and written_at == self._counted_at:
            return old if old.forward is forward else replace(old, forward=forward)
        if old is not None and old.metadata.index == metadata.index:
            models, item_features = old.models, old.item_features
        else:
            models, item_features = self._models(metadata)
        counted = old is not None and written_at == self._counted_at
        popularity = (old.popularity, old.popularity_of) if old is not None and counted else self._popularity()
        same = old is not None and (old.metadata.ranker_fingerprints, old.metadata.vectors) == (
            metadata.ranker_fingerprints,
            metadata.vectors,
        )
        rankers = old.rankers if old is not None and same else self._rankers(metadata)
        snapshot = self._build(metadata, models, popularity, rankers, item_features)
        self._counted_at = written_at
        return replace(
            snapshot,
            forward=forward,
            past_searches=self._past_searches,
            users=self._users,
            feature_sampler=self._feature_sampler,
        )

    def _take_forward_index(self, index: str, forward: ForwardIndex | None) -> None:
        """Serve with a forward index that was read in the background, unless there is a newer one by now."""
        with self._loading:
            snapshot = self._snapshot
            if snapshot is None or snapshot.metadata.index != index:
                return
            served = snapshot.forward
            if forward is None or served is None or forward.state.writes_since(served.state) is not None:
                self._snapshot = replace(snapshot, forward=forward)

    def _build(
        self,
        metadata: IndexMetadata,
        models: Mapping[str, Model],
        popularity: tuple[Sequence[tuple[str, float]], Scorer | None],
        rankers: Mapping[str, Ranker | None],
        item_features: ItemFeatures | None,
    ) -> ServingSnapshot:
        most_popular, popularity_of = popularity
        try:
            stats = load_interaction_stats(interaction_stats_folder(self._settings), most_popular)
        except ModelError as error:
            _log.warning("Exploration starts from what is popular. %s", error)
            stats = InteractionStats.from_popularity(most_popular)
        snapshot = ServingSnapshot(
            self._settings, metadata, self._secret, self._encoders, models, most_popular, rankers, stats, item_features
        )
        fingerprint = ranking_fingerprint(metadata, self._settings.search)
        return replace(
            snapshot,
            ranking_fingerprint=fingerprint,
            popularity_of=popularity_of,
            association_rules=self._counted_by_training(association_rules_folder(self._settings), AssociationRules.load),
            repeat_purchases=self._counted_by_training(repeat_purchases_folder(self._settings), RepeatPurchases.load),
        )

    def _counted_by_training(self, folder: Path, load: Callable[[Path], T]) -> T | None:
        if not folder.exists():
            return None
        try:
            return load(folder)
        except ModelError as error:
            _log.warning("Nothing is said of what is bought together, or again. %s", error)
            return None

    def _models(self, metadata: IndexMetadata) -> tuple[dict[str, Model], ItemFeatures | None]:
        if not metadata.models:
            return {}, None
        from es_recsys.models import load_models

        folder, names = models_folder(self._settings, metadata.version), recommending(metadata.models)
        if gone := [name for name in metadata.models if name in REMOVED]:
            _log.warning("Answers of %s do without %s: no such model any more. Train again.", metadata.index, ", ".join(gone))
        try:
            return load_models(folder, names), load_item_features(item_features_folder(folder))
        except ModelError as error:
            raise ModelError(
                f"The models of {metadata.index} can't be loaded. {error.what}",
                f"They were trained elsewhere or lost: copy {folder} from there, share ES_RECSYS_HOME, or train again.",
            ) from error

    def _rankers(self, metadata: IndexMetadata) -> dict[str, Ranker | None]:
        """Return situation -> learned ranking; None for one that can't be used, so that the weighted sum answers and says so."""
        return {situation: self._ranker(metadata, fingerprint) for situation, fingerprint in metadata.ranker_fingerprints.items()}

    def _ranker(self, metadata: IndexMetadata, fingerprint: str) -> Ranker | None:
        folder = ranking_folder(self._settings, fingerprint)
        try:
            found = artefact.load(folder, RANKING)
            with artefact.described(folder):
                ranker = Ranker.from_params(found.params, found.arrays)
        except ModelError:
            return None
        return ranker if ranker.suits(metadata) else None

    def _popularity(self) -> tuple[list[tuple[str, float]], Scorer | None]:
        """Return the most popular products with their scores, and the score of any."""
        from es_recsys.dataset import History
        from es_recsys.models.popularity import Popularity

        folder = popularity_folder(self._settings)
        if not folder.exists():
            return [], None
        try:
            model = Popularity.load(folder)
            return model.recommend(History(), DEPTHS["neighbours"]), model.scorer(History())
        except ModelError as error:
            # Counted anew by every training and load of events: no reason not to answer, or not to record what happens.
            _log.warning("Answers do without what is popular. %s", error)
            return [], None
