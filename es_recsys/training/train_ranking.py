"""Training of the learned ranking of a store, on judgments or on the answer log, served where it is better.

Better means: on answers that its trees did not see, its NDCG@10 is above that of the weighted sum (on the log: of the order that
was served), and a paired randomisation test says with p < 0.05 that this is no accident.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from es_recsys import artefact
from es_recsys.counting import counted
from es_recsys.errors import InputError
from es_recsys.evaluation.statistics import Estimate, bootstrap, difference_words, paired_test
from es_recsys.index import versions
from es_recsys.index.stored_metadata import read_metadata, read_version
from es_recsys.progress import Progress
from es_recsys.search.features import part_of
from es_recsys.search.forest import Forest
from es_recsys.search.ranker import WINDOW, Ranker
from es_recsys.serving.product_groups import fetch_live_item_groups, group_events, group_judgments, group_records
from es_recsys.serving.snapshot_cache import RANKING, ranking_folder
from es_recsys.serving.workspace import Workspace
from es_recsys.sources import read_judgments
from es_recsys.training.count_interactions import store_interaction_stats
from es_recsys.training.judged_examples import judged_examples
from es_recsys.training.lambdamart import LambdaMARTConfig, count_users, cross_validate, forest
from es_recsys.training.logged_examples import examined, logged_examples, rewards_for
from es_recsys.training.ranking_examples import RankingExamples, ndcg
from es_recsys.training.training_record import record_ranking
from es_recsys.vector_fields import is_encoder_field

__all__ = ["Outcome", "RankingReport", "encoder_spaces", "read_most", "serve_ranking", "train_ranking"]


SITUATIONS = ("query", "no_query", "new_user", "window")
_LEAST_JUDGED = 20
_LEAST_LOGGED = 100
_LEVEL = 0.05
_TOLD = 6


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a training for one situation.

    before, after: NDCG@10 of the order that served and of the trees, on answers that these did not see; gain: their difference
    with its 95 % interval; p: of the paired test. kept: whether it serves now. importances: what the trees read most, by
    its share of the absolute contributions. lost_titles: how many titles that are asked for would lose the first place, where
    that is what it isn't served for.
    """

    situation: str
    answers: int
    before: float
    after: float
    gain: Estimate
    p: float
    trees: int
    kept: bool
    importances: Mapping[str, float]
    curve: Mapping[int, float]
    lost_titles: int = 0

    def lines(self, before: str) -> Iterator[str]:
        """Yield the outcome as lines to be read; before: what the trees are compared with, in words."""
        yield (
            f"{self.situation}: {self.answers:,} answers, NDCG@10 {self.before:.4f} by {before}, {self.after:.4f} by"
            f" {self.trees} trees, by cross-validation: {difference_words(self.gain)},"
            f" p = {self.p:.4f}"
        )
        if self.kept:
            most = ", ".join(f"{part} {share:.0%}" for part, share in self.importances.items())
            yield f"It is served from now on. Most important features: {most}."
        else:
            why = f"it is not significantly better than {before}"
            if self.lost_titles:
                why = f"{counted(self.lost_titles, 'title that is', 'titles that are')} asked for would lose the first place"
            yield f"It is not served: {why}. What was served stays."

    def to_dict(self) -> dict[str, Any]:
        return {
            "situation": self.situation,
            "answers": self.answers,
            "ndcg_before": self.before,
            "ndcg_after": self.after,
            "gain": self.gain.to_dict(),
            "p": self.p,
            "trees": self.trees,
            "kept": self.kept,
            "lost_titles": self.lost_titles,
            "importances": dict(self.importances),
            "curve": {str(trees): value for trees, value in self.curve.items()},
        }


@dataclass(frozen=True, slots=True)
class RankingReport:
    """Outcomes of the situations that there was enough to learn of; source: "judgments" or "answers"."""

    source: str
    outcomes: tuple[Outcome, ...]
    seconds: float

    def lines(self) -> Iterator[str]:
        before = "the weighted sum" if self.source == "judgments" else "the order that was served"
        for outcome in self.outcomes:
            yield from outcome.lines(before)
        yield f"Learned from {self.source} in {self.seconds:.0f} s."

    def to_dict(self) -> dict[str, Any]:
        return {"source": self.source, "outcomes": [one.to_dict() for one in self.outcomes], "seconds": self.seconds}


def train_ranking(
    work: Workspace,
    judgments: Path | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    seed: int = 7,
    progress: Progress | None = None,
    trees: LambdaMARTConfig | None = None,
) -> RankingReport:
    """Train the learned ranking on the judgments of a file, or without one on the answer log; serve it where it is better.

    With the answer log go the events that echo its answers; then what exploration knows of the items is counted anew, too. Raises
    InputError where there is too little to learn from, MissingExtra without LightGBM, StoreNotFound.
    """
    started, now = time.monotonic(), work.now()
    config = trees or LambdaMARTConfig()
    with work.translating_errors():
        given = _judged(work, judgments, columns or {}, progress) if judgments is not None else _logged(work, config.folds)
        outcomes = [_train(work, situation, examples, config, seed) for situation, examples in given.items()]
    source = "judgments" if judgments is not None else "answers"
    record_ranking(work, source, len(given["query"]) if judgments is not None else now)
    return RankingReport(source, tuple(outcomes), time.monotonic() - started)


def _judged(
    work: Workspace, judgments: Path, columns: Mapping[str, str], progress: Progress | None
) -> dict[str, RankingExamples]:
    examples = judged_examples(
        work, group_judgments(read_judgments(judgments, columns=columns), fetch_live_item_groups(work)), progress=progress
    )
    if len(examples) < _LEAST_JUDGED:
        raise InputError(
            f"Only {len(examples)} queries of {judgments} have a positive grade.", f"Judge at least {_LEAST_JUDGED} queries."
        )
    return {"query": examples}


def _logged(work: Workspace, folds: int) -> dict[str, RankingExamples]:
    groups = fetch_live_item_groups(work)
    records = list(group_records(work.log.read(), groups))
    given = rewards_for(records, group_events(work.events.scan(), groups))
    looked = examined(records, given)
    if records:
        store_interaction_stats(work, records, given, looked)
    found = {situation: logged_examples(records, situation, given, looked) for situation in SITUATIONS}
    enough = {
        situation: examples
        for situation, examples in found.items()
        if len(examples) >= _LEAST_LOGGED and count_users(examples) >= folds
    }
    if not enough:
        most = max(len(examples) for examples in found.values())
        raise InputError(
            f"The answer log has {len(records):,} answers, and something was done with {most:,} of one kind at most.",
            f"Have events echo query_id or recommendation_id until there are {_LEAST_LOGGED} of {folds} users or more, or give"
            " --judgments FILE.",
        )
    return enough


def _train(work: Workspace, situation: str, examples: RankingExamples, config: LambdaMARTConfig, seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    validated = cross_validate(examples, config, seed)
    ranks = np.arange(len(examples.rows), dtype=np.float64)
    before = ndcg(examples, -ranks)
    gains = validated.values - before
    people = examples.user_keys if any(examples.user_keys) else None
    p = paired_test(validated.values, before, rng, groups=people)
    gain = bootstrap(gains, rng, groups=people)
    kept = gain.mean > 0.0 and p < _LEVEL
    shares: dict[str, float] = {}
    if kept:
        grown = forest(examples, config, validated.trees, seed)
        serve_ranking(work, situation, Ranker(grown, examples.names, WINDOW, encoder_spaces(work)))
        shares = read_most(examples, grown, rng)
    means = (float(before.mean()), float(validated.values.mean()))
    return Outcome(situation, len(examples), *means, gain, p, validated.trees, kept, shares, validated.curve)


def encoder_spaces(work: Workspace) -> dict[str, str]:
    """Return vector field -> fingerprint of its encoder, of the live version."""
    metadata = read_metadata(work.es, work.settings.index)
    known = filter(is_encoder_field, metadata.vectors)
    return {name: metadata.vectors[name].fingerprint for name in known}


def read_most(examples: RankingExamples, grown: Forest, rng: np.random.Generator) -> dict[str, float]:
    """Return the largest few parts of the score: part -> its share in the absolute contributions to some candidates."""
    drawn = rng.choice(len(examples.rows), min(len(examples.rows), 2_000), replace=False)
    weights = np.abs(grown.contributions(examples.rows[drawn].astype(np.float64))[:, :-1]).mean(axis=0)
    found: dict[str, float] = {}
    for name, weight in zip(examples.names, weights.tolist(), strict=True):
        found[part_of(name)] = found.get(part_of(name), 0.0) + weight
    total = sum(found.values()) or 1.0
    return {name: found[name] / total for name in sorted(found, key=lambda name: -found[name])[:_TOLD]}


def serve_ranking(work: Workspace, situation: str, ranker: Ranker) -> None:
    """Store a ranking and put it into service."""
    params, arrays = ranker.params(), ranker.forest.arrays()
    fingerprint = artefact.fingerprint(RANKING, params, arrays)
    artefact.save(ranking_folder(work.settings, fingerprint), RANKING, params, arrays)
    work.update_metadata(
        lambda metadata: replace(metadata, ranker_fingerprints={**metadata.ranker_fingerprints, situation: fingerprint})
    )
    _remove_unused(work)


def _remove_unused(work: Workspace) -> None:
    """Remove rankings that no version of the store names."""
    store = work.settings.index
    in_use = {
        fingerprint
        for number in versions.version_numbers(work.es, store)
        for fingerprint in read_version(work.es, store, number).ranker_fingerprints.values()
    }
    folder = ranking_folder(work.settings, "")
    for each in folder.iterdir() if folder.exists() else ():
        if each.is_dir() and not each.name.startswith(".") and each.name not in in_use:
            shutil.rmtree(each, ignore_errors=True)
