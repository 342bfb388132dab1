"""Pieces of HTML that all parts of the page are made of."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

__all__ = ["facts", "figure", "moment"]


def facts(known: Mapping[str, str]) -> str:
    """Return a row of named figures as HTML."""
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in known.items())
    return f'<dl class="facts">{rows}</dl>'


def figure(svg: str, words: str, kind: str = "") -> str:
    """Return an SVG with the words under it as HTML; it scrolls by itself where the page is narrow."""
    return (
        f'<figure class="{kind}"><div class="scroll" tabindex="0" role="region" aria-label="Figure">{svg}</div>'
        f"<figcaption>{escape(words)}</figcaption></figure>"
    )


def moment(made: str) -> str:
    """Return a time in UTC, given in ISO 8601, as people read it."""
    return made.replace("T", " ").replace("+00:00", " UTC")
