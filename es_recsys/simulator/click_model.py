"""A click model: what users do with a page, given how they like each item.

A position-based model (Craswell et al. 2008, WSDM; Chuklin, Markov and de Rijke 2015, "Click Models for Web Search"):

    P(examined at k) = k ** -examination_decay               k = 1, 2, ...
    P(step | the steps before, u) = 1 / (1 + exp(-steepness * (u - midpoint)))

The steps are click, cart, purchase, each after the one before it. So what a page brings is expected to be

    sum over k of P(examined at k) * P(goal | item at k, examined),    the latter the product of the steps up to the goal.

That conversion probability does not depend on the position, and examination falls with it: by the rearrangement inequality
no order brings more than that of falling probability, which is the order of falling utility. So the best answer is known,
and the regret of any other is never negative.
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
    """A step's probability by utility. midpoint: the utility at which half of the users take it. steepness: > 0."""

    midpoint: float
    steepness: float

    def probability(self, utility: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n,) float64 in 0..1."""
        return 1.0 / (1.0 + np.exp(-np.clip(self.steepness * (utility - self.midpoint), -60.0, 60.0)))


@dataclass(frozen=True, slots=True, eq=False)
class PageOutcome:
    """What was done on a page, a row a position from the top: three (n,) bool, each within the one before."""

    clicked: NDArray[np.bool_]
    added_to_cart: NDArray[np.bool_]
    purchased: NDArray[np.bool_]

    def done(self, goal: str) -> NDArray[np.bool_]:
        """Return (n,) bool: where the goal was reached."""
        return dict(zip(GOALS, (self.clicked, self.added_to_cart, self.purchased), strict=True))[goal]


@dataclass(frozen=True, slots=True)
class PositionBasedModel:
    """Examination by position, then click, cart and purchase by utility.

    examination_decay: >= 0; 0 examines all positions alike, 0.5 is that of the sample store's shoppers. click, cart, purchase:
    the steps; their midpoints are on the scale of the sample store's utilities (-6..7).
    """

    examination_decay: float = 0.5
    click: LogisticResponse = LogisticResponse(2.5, 1.6)
    cart: LogisticResponse = LogisticResponse(3.5, 1.6)
    purchase: LogisticResponse = LogisticResponse(4.2, 2.0)

    def examination(self, count: int) -> NDArray[np.float64]:
        """Return (count,) float64: probability that each position is examined, from the top."""
        return np.arange(1, count + 1, dtype=np.float64) ** -self.examination_decay

    def conversion_probability(self, utility: NDArray[np.float64], goal: str = "purchase") -> NDArray[np.float64]:
        """Return (n,) float64: probability that an examined item reaches the goal ("click", "cart", "purchase").

        Raises InputError for another goal.
        """
        if goal not in GOALS:
            raise InputError(f"There is no goal {goal!r}.", f"Take one of: {', '.join(GOALS)}.")
        probability = np.ones(len(utility))
        for step in (self.click, self.cart, self.purchase)[: GOALS.index(goal) + 1]:
            probability = probability * step.probability(utility)
        return probability

    def simulate(self, utility: NDArray[np.float64], uniforms: NDArray[np.float64]) -> PageOutcome:
        """Simulate what comes of a page.

        utility: (n,) of the items shown, from the top. uniforms: (3, n) in 0..1, one an item and step: an item that keeps
        its draws is clicked wherever it is clicked at a worse position.
        """
        clicked = uniforms[0] < self.examination(len(utility)) * self.click.probability(utility)
        added_to_cart = clicked & (uniforms[1] < self.cart.probability(utility))
        return PageOutcome(clicked, added_to_cart, added_to_cart & (uniforms[2] < self.purchase.probability(utility)))
