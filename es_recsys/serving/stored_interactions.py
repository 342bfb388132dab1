"""The events that count of a store, as arrays for the models."""

from __future__ import annotations

from es_recsys.dataset import Interactions
from es_recsys.events.event_arrays import EventArrays
from es_recsys.events.interactions import read_interactions, to_interactions
from es_recsys.index_metadata import IndexMetadata
from es_recsys.serving.product_groups import fetch_item_groups
from es_recsys.serving.workspace import Workspace

__all__ = ["interactions_of", "load_interactions"]


def load_interactions(work: Workspace, metadata: IndexMetadata, now: float) -> Interactions:
    """Return the events up to `now` (epoch seconds), on products, weighted as a version of the store weighs them."""
    groups = fetch_item_groups(work, metadata)
    return read_interactions(work.events, now, weights=metadata.event_weights, products=groups)


def interactions_of(work: Workspace, metadata: IndexMetadata, events: EventArrays, now: float) -> Interactions:
    """Return the same of events that are read already."""
    groups = fetch_item_groups(work, metadata)
    return to_interactions(events, work.events.timed, now, weights=metadata.event_weights, products=groups)
