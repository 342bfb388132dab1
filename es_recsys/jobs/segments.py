"""Describes the segments of a store's users that were made with its live version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from es_recsys.dataset import History
from es_recsys.errors import ModelError
from es_recsys.models.clustering import LEAST_USERS
from es_recsys.models.segment_profiles import SegmentProfile
from es_recsys.models.segments import Segments
from es_recsys.serving.operations import Flow, MultiGet
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.snapshot_cache import segments_folder
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import Settings

__all__ = ["SegmentsReport", "describe_segments", "find_segment"]


@dataclass(frozen=True, slots=True)
class SegmentsReport:
    """The segments of a version.

    segments: the largest first. silhouettes: number of segments -> mean silhouette (-1 to 1), of all numbers that were tried.
    titles: item id -> title, of the segments' popular items.
    """

    version: int
    segments: tuple[SegmentProfile, ...]
    silhouettes: Mapping[int, float]
    titles: Mapping[str, str]

    def lines(self) -> Iterator[str]:
        tried = ", ".join(f"{count} ({score:.3f})" for count, score in sorted(self.silhouettes.items()))
        yield f"{len(self.segments)} segments of {sum(one.users for one in self.segments):,} users in version {self.version}."
        if tried:
            best = max(self.silhouettes, key=lambda count: (self.silhouettes[count], -count))
            merged = "" if best == len(self.segments) else f", of which those of fewer than {LEAST_USERS} users were merged"
            yield f"{best} segments have the highest mean silhouette{merged}; tried: {tried}."

    def to_dict(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "segments": [
                {**asdict(one), "popular": [{"item_id": item, "title": self.titles.get(item, item)} for item in one.popular]}
                for one in self.segments
            ],
            "silhouettes": {str(count): score for count, score in self.silhouettes.items()},
        }


def describe_segments(work: Workspace) -> SegmentsReport:
    """Return the segments that were made with the live version. Raises StoreNotFound, ModelError where there are none."""
    with work.translating_errors():
        snapshot = work.snapshots.latest()
    model = _load_segments(work.settings, snapshot.metadata.version)
    if model is None:
        raise ModelError(
            f"Version {snapshot.metadata.version} of {snapshot.metadata.store} has no segments.",
            "Make them beside the models that are live: es-recsys train --add segments",
        )
    popular = tuple(dict.fromkeys(item for one in model.profiles for item in one.popular))
    titles = work.run(lambda current: _titles(current, popular))
    return SegmentsReport(snapshot.metadata.version, model.profiles, model.tried, titles)


def find_segment(work: Workspace, history: History) -> tuple[SegmentProfile, float] | None:
    """Return the nearest segment of a history and its membership (0 to 1); None for an empty history or without segments."""
    model = _load_segments(work.settings, work.snapshots.current().metadata.version)
    nearest = model.nearest(history) if model is not None else []
    if model is None or not nearest:
        return None
    number, membership = nearest[0]
    return model.profiles[number], membership


def _load_segments(settings: Settings, version: int) -> Segments | None:
    """Return the segments of a version, None where it has none. Raises ModelError."""
    folder = segments_folder(settings, version)
    return Segments.load(folder) if folder.exists() else None


def _titles(snapshot: ServingSnapshot, item_ids: tuple[str, ...]) -> Flow[dict[str, str]]:
    found = (yield MultiGet(snapshot.metadata.index, item_ids, ("title",))) if item_ids else {}
    return {item_id: str(source.get("title") or item_id) for item_id, source in found.items()}
