"""Gives items without events a place in the models of a training (see `models.new_items`)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from es_recsys.counting import counted
from es_recsys.dataset import Interactions, ItemTable
from es_recsys.models.new_items import find_new_items
from es_recsys.training.model_selection import Selection
from es_recsys.training.selection_report import Notes

__all__ = ["with_new_items"]


def with_new_items(chosen: Selection, data: Interactions, items: ItemTable | None, notes: Notes) -> Selection:
    """Return the selection with items without events in the models that take them, which is noted.

    items: the catalogue; None, or one that says nothing of what items are, changes nothing.
    """
    taking = [name for name in chosen.weights if chosen.models[name].takes_new_items]
    places = find_new_items(data, items, np.random.default_rng(0)) if taking and items is not None else None
    if places is None:
        return chosen
    count = counted(len(places.new), "item without events stands", "items without events stand")
    notes.say(f"{count} in {', '.join(taking)} where what is like them stands.")
    return replace(chosen, models={**chosen.models, **{name: chosen.models[name].add_new_items(places) for name in taking}})
