"""Drawn pictures of the sample's products: which function draws what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from es_recsys.sample.drawing import bags, clothing, electronics, home, kitchen, outdoor, shoes, toys
from es_recsys.sample.drawing.canvas import Canvas

__all__ = ["DRAWINGS", "Canvas"]

DRAWINGS: Mapping[str, Callable[[Canvas], None]] = MappingProxyType(
    {
        name: getattr(module, name)
        for module in (shoes, clothing, bags, home, kitchen, electronics, outdoor, toys)
        for name in module.__all__
    }
)
