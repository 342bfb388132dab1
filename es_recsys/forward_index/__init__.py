"""Forward index: what an answer needs of each item (vectors, age, product, document), by item id, so that it needs no request.

The items as of one moment lie in memory-mapped arrays that processes share (the base); those that changed since lie in memory
(the overlay). An index is never altered: `with_changes` returns another one, which shares the base.
"""

from __future__ import annotations

from es_recsys.forward_index.index import ForwardIndex
from es_recsys.forward_index.item_blocks import Documents, ItemBlock, ItemVectors, concatenate, concatenate_on_disk

__all__ = ["Documents", "ForwardIndex", "ItemBlock", "ItemVectors", "concatenate", "concatenate_on_disk"]
