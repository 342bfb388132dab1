"""Rehearses an A/B test and an interleaved comparison of two ways to answer, with shoppers whose tastes are known.

    python scripts/rehearse.py [--items N] [--users N] [--days D] [--visits N] [--goal click|cart|purchase]
                               [--explore SHARE] [--budget SECONDS] [--seed N] [--out FILE.json]

A sample store with the events of all but the last D days is loaded and trained (at ES_RECSYS_URL, else on a node of its own).
In the days after, its shoppers visit it: A answers them as nobody in particular, B personally; with --explore, A answers
personally and B leaves that share of the order to chance. Printed are

- the truth: what a page of each is expected to bring, its regret (what the best page would bring beyond it) and its gain (1 for
  the best page, 0 for a random order of what is wanted, which in a search is the few items that its words name), and the
  paired difference;
- what an A/B test finds, where half of the users get either, and what interleaving finds, where all get pages of both;
- after how many visits either is sure: from there on, looked at twenty times in all, its 95 % interval leaves out 0.

Every visit is asked once of both, and nothing of what is done goes into the store, so both methods judge the same answers.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from measuring import busy, load_sample, machine, own_store, show

from es_recsys import Answer, Client
from es_recsys.evaluation.statistics import Estimate, difference_words
from es_recsys.event_types import EVENT_TYPES
from es_recsys.sample import SampleStore, sample_store
from es_recsys.simulator import (
    GOALS,
    ABTestResult,
    InterleavingResult,
    RankingSystem,
    RegretReport,
    SampleStoreEnvironment,
    SimulatedNeed,
    UserSimulator,
    interleave,
    measure_regret,
    p_value,
    run_ab_test,
    sample_needs,
    significant_after,
)

LOOKS = 20
POSITIVE = frozenset(name for name, row in EVENT_TYPES.items() if row.counts_as_seen)


@dataclass(frozen=True, eq=False)
class Variant:
    """One way to answer, with its answer to every need."""

    name: str
    answers: RankingSystem


def asked(client: Client, name: str, needs: Sequence[SimulatedNeed], **changes: float) -> Variant:
    """changes: of the wishes' queries."""
    found = {}
    for need, answer in zip(needs, client.execute_many(need.query.model_copy(update=changes) for need in needs), strict=True):
        if not isinstance(answer, Answer):
            raise answer
        found[need.query] = answer
    return Variant(name, found.__getitem__)


def looked_at(look: Callable[[Sequence[SimulatedNeed]], Estimate], needs: Sequence[SimulatedNeed]) -> int | None:
    """After how many visits a method is sure."""
    counts = np.linspace(len(needs) / LOOKS, len(needs), LOOKS).astype(int).tolist()
    return significant_after([(count, look(needs[:count])) for count in counts])


def p_of(estimate: Estimate) -> str:
    p = p_value(estimate)
    return f"{p:.3f}" if p >= 0.001 else "< .001"


def truth(variants: Sequence[Variant], found: Sequence[RegretReport], goal: str) -> None:
    rows = []
    for variant, judged in zip(variants, found, strict=True):
        rows.append([variant.name, f"{judged.value.mean():.4f}", str(judged.mean_regret()), str(judged.mean_gain())])
    show("The truth", ["answers", f"{goal}s a page", "regret", "gain"], rows)
    print(f"\nB over A, paired: {difference_words(found[1].over(found[0]))}", flush=True)


def findings(test: ABTestResult, preference: InterleavingResult, sure: Sequence[int | None], visits: int) -> None:
    margin, users = preference.margin, "any number of" if test.needed is None else f"{test.needed:,}"
    share = f"{margin.mean + 0.5:.3f} [{margin.low + 0.5:.3f}, {margin.high + 0.5:.3f}]"
    pages = f"B's items won {preference.won:,} pages, A's {preference.lost:,}, {preference.tied:,} tied"
    after = [f"{count:,} visits" if count is not None else f"not in {visits:,}" for count in sure]
    rows = [
        ["A/B test", f"{test.a.mean:.4f} and {test.b.mean:.4f} a page, {difference_words(test.lift)}", p_of(test.lift), after[0]],
        ["interleaved", f"win share of B {share}; {pages}", p_of(margin), after[1]],
    ]
    show(f"What {visits:,} visits say", ["method", "found", "p", "sure after"], rows)
    print(f"\nTo see a difference like that four times in five, an A/B test takes {users} users in each group.", flush=True)


def mixed_needs(store: SampleStore, seed: int, visits: int, start: float) -> list[SimulatedNeed]:
    """Half recommendations, half searches, oldest first. Recommendations leave out whatever was touched, searches nothing."""
    worlds = (
        SampleStoreEnvironment.of(store, searches=0.0, excluded_event_types=POSITIVE),
        SampleStoreEnvironment.of(store, searches=1.0, excluded_event_types=()),
    )
    counts = visits - visits // 2, visits // 2
    drawn = [
        sample_needs(environment, seed + k, count, start=start)
        for k, (environment, count) in enumerate(zip(worlds, counts, strict=True))
    ]
    return sorted((need for needs in drawn for need in needs), key=lambda need: need.timestamp)


def rehearse(client: Client, store: SampleStore, start: float, arguments: argparse.Namespace) -> dict[str, object]:
    goal, visits, seed = arguments.goal, arguments.visits, arguments.seed
    environment, needs = SampleStoreEnvironment.of(store), mixed_needs(store, seed, visits, start)
    if arguments.explore:
        ways = {"A: personal": {}, f"B: personal, exploring {arguments.explore:g}": {"explore": arguments.explore}}
    else:
        ways = {"A: neutral": {"personalization": 0.0}, "B: personal": {}}
    variants = [asked(client, name, needs, **changes) for name, changes in ways.items()]
    a, b = (variant.answers for variant in variants)
    found = [measure_regret(environment, variant.answers, needs, goal=goal) for variant in variants]
    truth(variants, found, goal)

    def apart(some: Sequence[SimulatedNeed]) -> ABTestResult:
        return run_ab_test(UserSimulator(environment, seed=seed), a, b, some, goal=goal)

    def together(some: Sequence[SimulatedNeed]) -> InterleavingResult:
        return interleave(UserSimulator(environment, seed=seed), b, a, some, goal=goal, seed=seed)

    test, preference = apart(needs), together(needs)
    sure = [looked_at(lambda some: apart(some).lift, needs), looked_at(lambda some: together(some).margin, needs)]
    findings(test, preference, sure, visits)
    return {
        "visits": visits,
        "goal": goal,
        "regret": {variant.name: judged.mean_regret().mean for variant, judged in zip(variants, found, strict=True)},
        "gain": {variant.name: judged.mean_gain().mean for variant, judged in zip(variants, found, strict=True)},
        "b_over_a": found[1].over(found[0]).mean,
        "ab_test": {"lift": test.lift.mean, "p": p_value(test.lift), "sure_after": sure[0]},
        "interleaved": {"win_share": preference.margin.mean + 0.5, "p": p_value(preference.margin), "sure_after": sure[1]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--days", type=float, default=12.0)
    parser.add_argument("--visits", type=int, default=2_000)
    parser.add_argument("--goal", choices=GOALS, default="click")
    parser.add_argument("--explore", type=float, default=0.0)
    parser.add_argument("--budget", type=float, help="seconds of training after which no further setting is tried")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    end = datetime.now(UTC) - timedelta(minutes=5)
    moment = end - timedelta(days=arguments.days)
    store = sample_store(arguments.seed, arguments.items, arguments.users, end=end)
    past = tuple(event for event in store.events if event.timestamp is not None and event.timestamp < moment)
    seen = replace(store, events=past)
    with own_store("rehearse") as client:
        print(f"{machine(client)}, {busy()}", flush=True)
        load_sample(client, seen)
        for line in client.train(budget=arguments.budget).lines():
            print(line, flush=True)
        result = rehearse(client, seen, moment.timestamp(), arguments)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
