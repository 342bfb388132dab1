"""A/B tests rehearsed: users are shared out by a hash, each half sees one system, and the means are compared.

The unit is the user, as it is users who are shared out: a user's value is what their pages brought, on average a page.
The interval of the difference is Welch's (1947), normal for the many users that such tests have.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError
from es_recsys.evaluation.statistics import Estimate
from es_recsys.sample.chance import digest
from es_recsys.simulator.environment import SimulatedNeed
from es_recsys.simulator.estimates import estimate, sample_size, standard_error
from es_recsys.simulator.regret import RankingSystem
from es_recsys.simulator.user_simulator import UserSimulator

__all__ = ["ABTestResult", "assign_variant", "compare_variants", "run_ab_test"]


@dataclass(frozen=True, slots=True)
class ABTestResult:
    """The result of an A/B test.

    a, b: mean value of a page in each group. lift: b - a. needed: users in each group for a power of 0.8 at a difference of
    this size; None for no difference at all.
    """

    a: Estimate
    b: Estimate
    lift: Estimate
    needed: int | None


def assign_variant(user_id: str, experiment: str, shares: Mapping[str, float]) -> str:
    """Return the group of a user, always the same for an experiment and independent between experiments.

    shares: group -> share (> 0, taken as parts of their sum).
    """
    point = int(digest(experiment, user_id), 16) / 2.0**64 * math.fsum(shares.values())
    for group, share in shares.items():
        point -= share
        if point < 0.0:
            return group
    return list(shares)[-1]


def run_ab_test(
    simulator: UserSimulator,
    a: RankingSystem,
    b: RankingSystem,
    needs: Iterable[SimulatedNeed],
    *,
    name: str = "ab",
    goal: str = "purchase",
) -> ABTestResult:
    """Give half of the users system A and half system B, and compare.

    Raises InputError where a group has fewer than two users.
    """
    systems = {"a": a, "b": b}
    found: dict[str, dict[str, list[int]]] = {"a": defaultdict(list), "b": defaultdict(list)}
    for need in needs:
        group = assign_variant(need.user_id, name, {"a": 1.0, "b": 1.0})
        found[group][need.user_id].append(simulator.visit(systems[group], need).count(goal))
    values = {group: np.array([np.mean(counts) for counts in users.values()], np.float64) for group, users in found.items()}
    return compare_variants(values["a"], values["b"])


def compare_variants(a: NDArray[np.float64], b: NDArray[np.float64]) -> ABTestResult:
    """Compare the values of two groups of different users, one value a user."""
    if min(len(a), len(b)) < 2:
        raise InputError("A group of the experiment has fewer than two users.", "Give it more needs, of more users.")
    ours, theirs = estimate(a), estimate(b)
    error = math.hypot(standard_error(ours), standard_error(theirs))
    lift = theirs.mean - ours.mean
    deviation = math.sqrt((float(a.var(ddof=1)) + float(b.var(ddof=1))) / 2.0)
    needed = sample_size(deviation, lift) if lift else None
    return ABTestResult(ours, theirs, Estimate.normal(lift, error, len(a) + len(b)), needed)
