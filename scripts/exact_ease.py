"""EASE in memory, whole and cut to rows of several lengths: `python scripts/exact_ease.py FOLDER` with Gowalla's files.

One inversion serves all lines. The whole matrix is exact and takes a user's whole history; what is served are the rows.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from offline_models import gowalla, interactions, score
from scipy import sparse

from es_recsys.models.ease import precision, weights_of
from es_recsys.sequences import user_sequences

N = 20
USERS = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--regularization", type=float, default=80.0)
    parser.add_argument("--neighbours", type=int, nargs="*", default=[200, 400, 800], help="entries kept a row")
    arguments = parser.parse_args()
    events, wanted = gowalla(arguments.folder)
    data = interactions(events)
    began, cpu = time.perf_counter(), time.process_time()
    matrix = precision(user_sequences(data), arguments.regularization)
    print(
        f"inverse of {len(matrix):,} items: {time.perf_counter() - began:.0f} s ({time.process_time() - cpu:.0f} s of processor)"
    )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB", flush=True)
    rows: dict[int, list[sparse.csr_matrix]] = {keep: [] for keep in arguments.neighbours}
    for begin, block in weights_of(matrix):
        matrix[begin : begin + len(block)] = block
        for keep, parts in rows.items():
            parts.append(_cut(block, keep))
    x = sparse.csr_matrix(
        (np.ones(len(data.items), np.float32), (data.users, data.items)), shape=(len(data.user_ids), len(matrix))
    )
    ids, users = data.item_ids.tolist(), data.user_ids.tolist()

    def quality(weights: NDArray[np.float32] | sparse.csr_matrix) -> tuple[float, float]:
        reached = []
        for begin in range(0, len(users), USERS):
            part = x[begin : begin + USERS]
            scores = part @ weights
            scores = scores if isinstance(scores, np.ndarray) else scores.toarray()
            scores[part.nonzero()] = -np.inf
            best = np.argpartition(-scores, N, axis=1)[:, :N]
            best = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), axis=1, kind="stable"), 1)
            for user, places in zip(users[begin : begin + USERS], best, strict=True):
                if user in wanted:
                    reached.append(score([ids[place] for place in places], set(wanted[user]), N))
        recall, ndcg = np.mean(reached, axis=0)
        return float(recall), float(ndcg)

    for keep, parts in rows.items():
        print(
            f"{keep:5,} a row  Recall@{N} {{:.4f}}  NDCG@{N} {{:.4f}}".format(*quality(sparse.vstack(parts).tocsr())), flush=True
        )
    print(f"  all exact  Recall@{N} {{:.4f}}  NDCG@{N} {{:.4f}}".format(*quality(matrix)))


def _cut(block: NDArray[np.float32], keep: int) -> sparse.csr_matrix:
    at = np.argpartition(-np.abs(block), keep, axis=1)[:, :keep]
    own = np.repeat(np.arange(len(block)), keep)
    return sparse.csr_matrix((np.take_along_axis(block, at, 1).ravel(), (own, at.ravel())), shape=block.shape)


if __name__ == "__main__":
    main()
