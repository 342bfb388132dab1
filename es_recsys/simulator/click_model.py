"""What shoppers do with a page, given how they like each item.

A position-based model (Craswell et al. 2008, WSDM; Chuklin, Markov and de Rijke 2015, "Click Models for Web Search"):

    P(examined at k) = k ** -notice                          k = 1, 2, ...
    P(step | the steps before, u) = 1 / (1 + exp(-steepness * (u - middle)))

The steps are click, cart, purchase, each after the one before it. So what a page brings is expected to be

    sum over k of P(examined at k) * worth(item at k),    worth = product of the steps up to the goal.

Worth does not depend on the position, and examination falls with it: by the rearrangement inequality no order brings
more than that of falling worth, which is the order of falling utility. So the best answer is known, and the regret of any
other is never negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError

__all__ = ["GOALS", "LogisticResponse", "PageOutcome", "PositionBasedModel"]

GOALS = ("click", "cart", "purchase")


@dataclass(frozen=True, slots=True)
class LogisticResponse:
    """middle: the utility at which half of the people take the step. steepness: > 0, how surely they know."""

    midpoint: float
    steepness: float

    def random_value(self, utility: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) float64 in 0..1."""
        return 1.0 / (1.0 + np.exp(-np.clip(self.steepness * (utility - self.midpoint), -60.0, 60.0)))


@dataclass(frozen=True, slots=True, eq=False)
class PageOutcome:
    """What was done on a page, a row a position from the top: three (n,) bool, each within the one before."""

    clicked: NDArray[np.bool_]
    added_to_cart: NDArray[np.bool_]
    purchased: NDArray[np.bool_]

    def done(self, goal: str) -> NDArray[np.bool_]:
        """(n,) bool: where the goal was reached."""
        return dict(zip(GOALS, (self.clicked, self.added_to_cart, self.purchased), strict=True))[goal]


@dataclass(frozen=True, slots=True)
class PositionBasedModel:
    """notice: >= 0; 0 looks at all positions alike, 0.5 is the shoppers' of the sample store. click, cart, purchase: the
    steps; their middles are on the scale of the sample store's utilities (-6..7)."""

    examination_decay: float = 0.5
    click: LogisticResponse = LogisticResponse(2.5, 1.6)
    cart: LogisticResponse = LogisticResponse(3.5, 1.6)
    purchase: LogisticResponse = LogisticResponse(4.2, 2.0)

    def examination(self, count: int) -> NDArray[np.float64]:
        """(count,) float64: chance that each position is looked at, from the top."""
        return np.arange(1, count + 1, dtype=np.float64) ** -self.examination_decay

    def conversion_probability(self, utility: NDArray[np.float64], goal: str = "purchase") -> NDArray[np.float64]:
        """(n,) float64: chance that an item that is looked at reaches the goal ("click", "cart", "purchase").

        Raises InputError for another goal.
        """
        if goal not in GOALS:
            raise InputError(f"There is no goal {goal!r}.", f"Take one of: {', '.join(GOALS)}.")
        random_value = np.ones(len(utility))
        for step in (self.click, self.cart, self.purchase)[: GOALS.index(goal) + 1]:
            random_value = random_value * step.random_value(utility)
        return random_value

    def look(self, utility: NDArray[np.float64], uniforms: NDArray[np.float64]) -> PageOutcome:
        """What comes of a page. utility: (n,) of the items shown, from the top. draws: (3, n) in 0..1, one an item and step:
        an item that keeps its draws is clicked wherever it is clicked at a worse position."""
        clicked = uniforms[0] < self.examination(len(utility)) * self.click.random_value(utility)
        added_to_cart = clicked & (uniforms[1] < self.cart.random_value(utility))
        return PageOutcome(clicked, added_to_cart, added_to_cart & (uniforms[2] < self.purchase.random_value(utility)))
