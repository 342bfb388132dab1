"""Figures of matplotlib as SVG that takes the colours of the page around it, light or dark.

Each colour here stands for a CSS variable; matplotlib draws with the colour, and the variable takes its place in the SVG.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

from es_recsys.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GRID", "INK", "MUTED", "SERIES", "drawing", "to_svg"]

INK, MUTED, GRID = "#0a0b01", "#0a0b02", "#0a0b03"
SERIES = tuple(f"#0a0c0{number}" for number in range(1, 9))

_VARIABLES = {INK: "var(--ink)", MUTED: "var(--muted)", GRID: "var(--grid)"} | {
    colour: f"var(--s{number})" for number, colour in enumerate(SERIES, 1)
}
_FONT = re.compile(r"font: ([\d.]+)px [^;\"]+")
_OPENING = re.compile(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', re.DOTALL)
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """Give figures that are drawn inside the style of the page, and ids that no other figure has.

    name: what the ids are derived from. Raises MissingExtra.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtra("matplotlib", "evaluation") from error
    settings: Any = {**_STYLE, "svg.hashsalt": name}
    with mpl.rc_context(settings):
        yield


def to_svg(figure: Figure, name: str, label: str) -> str:
    """Return the figure as an `svg` element.

    name: begins its ids, so that several fit into one page; label: what it shows, for those who don't see it.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = _FONT.sub(r"font: \1px system-ui, sans-serif", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    text = re.sub(r'(\sid="|xlink:href="#|url\(#)', lambda found: f"{found.group(1)}{name}-", text)
    text = text.replace("xlink:href=", "href=")
    opening = _OPENING.match(text)
    assert opening is not None
    # A point is a third more than a CSS pixel: text then is as large as the page's small print.
    width = round(float(opening.group(1).split()[2]) * 4 / 3)
    head = f'<svg class="plot" style="max-width:{width}px" role="img" aria-label="{escape(label, quote=True)}"'
    head += f' viewBox="{opening.group(1)}">'
    return head + text[opening.end() :].strip()
