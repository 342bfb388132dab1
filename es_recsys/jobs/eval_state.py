"""What a store's tuning and its learned ranking do for the answers of an evaluation: taken along, and left out again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from es_recsys.index.stored_metadata import read_metadata, write_metadata
from es_recsys.index_metadata import IndexMetadata
from es_recsys.search.request import RankingPolicy
from es_recsys.search.retrievers import RETRIEVERS
from es_recsys.serving.snapshot_cache import ranking_folder
from es_recsys.serving.workspace import Workspace
from es_recsys.training.served_ranker import Change
from es_recsys.training.training_record import tuned_situations

__all__ = ["CarriedState", "carry_state"]

_RANKED = {True: ("query",), False: ("no_query", "new_user")}


@dataclass(frozen=True, slots=True)
class CarriedState:
    """What a scratch store has of the live one. tuned, ranked: situations that have tuned weights, a learned ranking. trained:
    retriever -> weight without a query, as the training of the scratch store chose them. lacking: what could not be taken along,
    in words."""

    tuned: frozenset[str] = frozenset()
    ranked: frozenset[str] = frozenset()
    trained: Mapping[str, float] = field(default_factory=dict)
    lacking: str = ""

    def without(self, searching: bool) -> Iterator[tuple[str, Change]]:
        """Label and change of the ranking policy without each of what serves such questions."""
        if self._ranked(searching):
            yield "without the learned ranking", _unranked
        if self._tuned(searching):
            yield "with the weights of the training", self._untuned

    def notes(self, searching: bool) -> Iterator[str]:
        """What a reader of the served figures must know."""
        own = [word for word, has in (("tuned weights", self._tuned), ("learned ranking", self._ranked)) if has(searching)]
        if own:
            yield (
                f"'served' has the store's {' and its '.join(own)}, which have learned from its events or judgments, those asked"
                " for here among them: that flatters each served row that has them."
            )
        if self.lacking:
            yield self.lacking

    def _tuned(self, searching: bool) -> bool:
        # In a search the models share a part as they do without a query.
        return bool(self.tuned) if searching else "no_query" in self.tuned

    def _ranked(self, searching: bool) -> bool:
        return bool(self.ranked.intersection(_RANKED[searching]))

    def _untuned(self, policy: RankingPolicy) -> RankingPolicy:
        given = policy.retriever_weights
        matching = {name for name, retriever in RETRIEVERS.items() if retriever.matches_query}
        query = {name: weight for name, weight in given.get("query", {}).items() if name in matching}
        return replace(policy, retriever_weights={**given, "query": query, "no_query": self.trained})


def carry_state(work: Workspace, scratch: Workspace) -> CarriedState:
    """Gives a scratch store, once it is trained, the tuned weights and the learned ranking of the live one, where both have the
    same models; the files of the ranking are copied. Weights in searches it has from the beginning."""
    live, own = read_metadata(work.es, work.settings.index), read_metadata(scratch.es, scratch.settings.index)
    tuned, trained = tuned_situations(live), own.retriever_weights.get("no_query", {})
    if set(live.models) != set(own.models):
        return CarriedState(tuned - {"no_query"}, trained=trained, lacking=_lacking(live, own, tuned))
    weights = (
        {**own.retriever_weights, "no_query": live.retriever_weights["no_query"]}
        if "no_query" in tuned
        else own.retriever_weights
    )
    for mark in live.ranker_fingerprints.values():
        folder = ranking_folder(work.settings, mark)
        if folder.is_dir():
            shutil.copytree(folder, ranking_folder(scratch.settings, mark), dirs_exist_ok=True)
    write_metadata(scratch.es, replace(own, retriever_weights=weights, ranker_fingerprints=live.ranker_fingerprints))
    scratch.snapshots.invalidate()
    return CarriedState(tuned, frozenset(live.ranker_fingerprints), trained)


def _lacking(live: IndexMetadata, own: IndexMetadata, tuned: frozenset[str]) -> str:
    words = ["the tuned weights without a query"] if "no_query" in tuned else []
    words += ["the learned ranking"] if live.ranker_fingerprints else []
    if not words:
        return ""
    theirs, ours = (", ".join(metadata.models) or "no model" for metadata in (live, own))
    lacks = f"'served' lacks {' and '.join(words)} of the store, which belong to {theirs}; trained here: {ours}."
    return f"{lacks} Name the store's models to have all: es-recsys evaluate {' '.join(live.models)}." if live.models else lacks


def _unranked(policy: RankingPolicy) -> RankingPolicy:
    return replace(policy, rankers={})
