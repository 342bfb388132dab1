"""Cache of the retriever scores that weights are tuned on: a tuning that was broken off need not train and search again."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from es_recsys.evaluation.weights import RetrieverScores
from es_recsys.private import make_folder

__all__ = ["ScoreCache"]


class ScoreCache:
    """Cache of retriever scores: one file of arrays, without pickle.

    key: names all that the answers depend on; scores of any other key are of no use. A file that can't be read counts as not
    there.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key

    def get(self) -> tuple[RetrieverScores, NDArray[np.float64]] | None:
        """Return the cached scores, and the weights (q, l) of each query until then.

        None where the file has none of this key.
        """
        try:
            with np.load(self._path, allow_pickle=False) as held:
                if str(held["key"]) != self._key:
                    return None
                retrievers = tuple(held["retrievers"].tolist())
                before = held["before"]
                arrays = {name: held[name] for name in ("fixed", "scores", "grades", "real", "ideal")}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        return RetrieverScores(retrievers, **arrays), before

    def put(self, retriever_scores: RetrieverScores, before: NDArray[np.float64]) -> None:
        """Store the scores and the weights until then, whole or not at all, in place of those before."""
        make_folder(self._path.parent)
        with tempfile.NamedTemporaryFile(dir=self._path.parent, suffix=self._path.suffix, delete=False) as draft:
            np.savez_compressed(
                draft,
                key=np.array(self._key),
                retrievers=np.array(retriever_scores.retrievers, np.str_),
                before=before,
                fixed=retriever_scores.fixed,
                scores=retriever_scores.scores,
                grades=retriever_scores.grades,
                real=retriever_scores.real,
                ideal=retriever_scores.ideal,
            )
        Path(draft.name).replace(self._path)
