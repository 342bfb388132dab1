"""Answers and profiles on a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from es_recsys.cli.printing import say, table
from es_recsys.counting import counted
from es_recsys.dataset import Profile
from es_recsys.query import Answer, Hit

__all__ = ["parts", "profile_dict", "show_answer", "show_profile"]


def parts(hit: Hit, most: int = 4) -> str:
    """Return the largest parts of a hit's score, largest first."""
    largest = sorted(hit.parts.items(), key=lambda part: -abs(part[1]))[:most]
    return "  ".join(f"{name} {value:.3f}" for name, value in largest if round(value, 3))


_NAMES = {"bought_together": "bought together", "buy_again": "bought again"}


def show_answer(answer: Answer, *, explain: bool, titles: Mapping[str, str] | None = None, name: str | None = None) -> None:
    """Print the hits as a table, and the facets under it. name: what the answer is called, unless it is as its kind is."""
    titles = titles or {}
    grouped = any(hit.group_id is not None for hit in answer.hits)
    figures = list(dict.fromkeys(name for hit in answer.hits for name in hit.rule))
    columns = ["", "item", *(["group"] if grouped else []), "title", "score", *figures]
    columns += ["parts", "because"] if explain else []
    rows = []
    for hit in answer.hits:
        row = [str(hit.rank), hit.item_id, *([hit.group_id or ""] if grouped else []), hit.title, f"{hit.score:.3f}"]
        row += [f"{hit.rule[name]:.3g}" if name in hit.rule else "" for name in figures]
        if explain:
            row += [parts(hit), ", ".join(titles.get(i, i) for i in hit.because)]
        rows.append(row)
    total = answer.ranking.total
    head = f"{name or _NAMES.get(answer.kind, answer.kind)}: {counted(len(rows), 'hit', 'hits')}" + (
        f" of {total:,}" if total is not None else ""
    )
    head = f"{head}, {answer.took_ms:.0f} ms"
    if rows:
        table(head, columns, rows, right=("", "score", *figures))
    else:
        say(head)
    if answer.kind == "recommend" and any(after.score > before.score for before, after in pairwise(answer.hits)):
        say("Scores may rise: each of the user's interests has ranks of its own.")
    for field, counts in answer.ranking.facets.items():
        say(f"{field}: " + ", ".join(f"{value} ({count})" for value, count in counts.items()))
    if answer.unknown:
        say(f"Unknown ids, left out: {', '.join(answer.unknown[:20])}" + (" and others" if len(answer.unknown) > 20 else ""))
    if answer.ranking.suggestion is not None:
        say(f'Did you mean "{answer.ranking.suggestion}"?')
    if answer.ranking.degraded:
        say(f"Without these retrievers, which failed: {', '.join(answer.ranking.degraded)}")


def profile_dict(profile: Profile) -> dict[str, Any]:
    """Return a profile as JSON values."""
    history = profile.history
    return {
        "user_key": profile.user_key,
        "counts": dict(profile.counts),
        "strength": profile.strength,
        "history": [
            {"item_id": item, "weight": float(weight), "age": float(age)}
            for item, weight, age in zip(history.item_ids, history.weights, history.ages, strict=True)
        ],
        "affinities": {name: dict(values) for name, values in profile.affinities.items()},
        "price": None if profile.price is None else {"median": math.expm1(profile.price[0]), "spread": profile.price[1]},
        "queries": list(profile.queries),
        "seen": sorted(profile.seen),
        "disliked": sorted(profile.disliked),
        "followed": sorted(profile.followed),
        "muted": sorted(profile.muted),
        "tastes": sorted(profile.tastes),
        "applied_through": profile.applied_through,
    }


def show_profile(profile: Profile, titles: Mapping[str, str]) -> None:
    """Print a profile in a few lines."""
    say(f"Events: {', '.join(f'{count} {name}' for name, count in profile.counts.items()) or 'none'}")
    for name, values in profile.affinities.items():
        best = sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))[:6]
        if best:
            say(f"{name}: " + ", ".join(f"{value} {share:.0%}" for value, share in best))
    if profile.price is not None:
        say(f"price: about {math.expm1(profile.price[0]):.2f}")
    if profile.queries:
        say(f"searched: {', '.join(profile.queries[-6:])}")
    if profile.history.item_ids:
        say("last: " + ", ".join(titles.get(item, item) for item in profile.history.item_ids[-10:]))
    if profile.disliked:
        say(f"dislikes: {', '.join(sorted(profile.disliked))}")
    for name, authors in (("follows", profile.followed), ("mutes", profile.muted)):
        if authors:
            say(f"{name}: {', '.join(sorted(authors))}")
    say(f"tastes: {', '.join(sorted(profile.tastes)) or 'none'}")
