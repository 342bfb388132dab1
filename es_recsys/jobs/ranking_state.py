"""Copies a store's tuned weights and learned ranking to the temporary store of an evaluation, and tells what they change."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from es_recsys.index.stored_metadata import read_metadata
from es_recsys.index_metadata import IndexMetadata
from es_recsys.search.personal_ranking import PERSONAL_SEARCH
from es_recsys.search.request import RankingPolicy
from es_recsys.search.retriever_weights import SEARCH_KINDS, WINDOW_TABLES
from es_recsys.search.retrievers import RETRIEVERS
from es_recsys.serving.snapshot_cache import ranking_folder
from es_recsys.serving.workspace import Workspace
from es_recsys.training.served_ranker import Change
from es_recsys.training.training_record import tuned_situations

__all__ = ["RankingState", "copy_ranking_state"]

_SITUATIONS = {True: ("query", PERSONAL_SEARCH), False: ("no_query", "new_user")}
"""Whether queries are searches -> situations whose learned ranking answers them."""


@dataclass(frozen=True, slots=True)
class RankingState:
    """What a temporary store has of the live one's ranking.

    tuned, ranked: situations with tuned weights, and with a learned ranking. trained_weights: retriever -> weight without a
    query, as the training of the temporary store chose them. missing: what could not be copied, as a sentence.
    """

    tuned: frozenset[str] = frozenset()
    ranked: frozenset[str] = frozenset()
    trained_weights: Mapping[str, float] = field(default_factory=dict)
    missing: str = ""

    def ablations(self, searches: bool) -> Iterator[tuple[str, Change]]:
        """Yield label and change of the ranking policy without each part that such queries are answered with."""
        if self._has_ranking(searches):
            yield "without the learned ranking", _without_ranking
        if self._has_tuned(searches):
            yield "with the weights of the training", self._with_trained_weights

    def notes(self, searches: bool) -> Iterator[str]:
        """Yield what a reader of the served figures must know."""
        parts = (("tuned weights", self._has_tuned), ("learned ranking", self._has_ranking))
        copied = [name for name, has in parts if has(searches)]
        if copied:
            yield (
                f"'served' has the store's {' and its '.join(copied)}, which have learned from its events or judgments, those"
                " asked for here among them: that flatters each served row that has them."
            )
        if self.missing:
            yield self.missing

    def _has_tuned(self, searches: bool) -> bool:
        # In a search the models share a part as they do without a query.
        return bool(self.tuned) if searches else "no_query" in self.tuned

    def _has_ranking(self, searches: bool) -> bool:
        return bool(self.ranked.intersection(_SITUATIONS[searches]))

    def _with_trained_weights(self, policy: RankingPolicy) -> RankingPolicy:
        given = policy.retriever_weights
        matching = {name for name, retriever in RETRIEVERS.items() if retriever.matches_query}
        query = {name: weight for name, weight in given.get("query", {}).items() if name in matching}
        others = {name: table for name, table in given.items() if name not in SEARCH_KINDS}
        return replace(policy, retriever_weights={**others, "query": query, "no_query": self.trained_weights})


def copy_ranking_state(work: Workspace, scratch: Workspace) -> RankingState:
    """Copy the live store's tuned weights and learned ranking to a temporary store that is trained.

    They are copied only where both have the same models. Weights of searches are there from the beginning.
    """
    live, own = read_metadata(work.es, work.settings.index), read_metadata(scratch.es, scratch.settings.index)
    tuned, trained = tuned_situations(live), own.retriever_weights.get("no_query", {})
    if set(live.models) != set(own.models):
        return RankingState(tuned - {"no_query"}, trained_weights=trained, missing=_missing(live, own, tuned))
    weights = dict(own.retriever_weights)
    if "no_query" in tuned:
        weights["no_query"] = live.retriever_weights["no_query"]
    chosen = (*SEARCH_KINDS, *WINDOW_TABLES.values())
    weights |= {kind: live.retriever_weights[kind] for kind in chosen if kind in live.retriever_weights}
    for fingerprint in live.ranker_fingerprints.values():
        folder = ranking_folder(work.settings, fingerprint)
        if folder.is_dir():
            shutil.copytree(folder, ranking_folder(scratch.settings, fingerprint), dirs_exist_ok=True)
    scratch.update_metadata(
        lambda metadata: replace(metadata, retriever_weights=weights, ranker_fingerprints=live.ranker_fingerprints)
    )
    return RankingState(tuned, frozenset(live.ranker_fingerprints), trained)


def _missing(live: IndexMetadata, own: IndexMetadata, tuned: frozenset[str]) -> str:
    parts = ["the tuned weights without a query"] if "no_query" in tuned else []
    parts += ["the learned ranking"] if live.ranker_fingerprints else []
    if not parts:
        return ""
    theirs, ours = (", ".join(metadata.models) or "no model" for metadata in (live, own))
    text = f"'served' lacks {' and '.join(parts)} of the store, which belong to {theirs}; trained here: {ours}."
    return f"{text} Name the store's models to have all: es-recsys evaluate {' '.join(live.models)}." if live.models else text


def _without_ranking(policy: RankingPolicy) -> RankingPolicy:
    return replace(policy, rankers={})
