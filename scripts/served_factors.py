"""ALS served by kNN, against the same factors ranked exactly: `python scripts/served_factors.py gowalla FOLDER`.

FOLDER is as for offline_models.py. ALS learns from train and valid; a sample of users is asked for test, each by the vector
that its history folds into, what it knows left out. Once Elasticsearch answers by kNN, with the index options, the number of
candidates and the filter that the product uses; once numpy multiplies all factors. The goal is a difference within 1 %.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measuring import machine, own_store, show
from numpy.typing import NDArray
from offline_models import gowalla, interactions, score

from es_recsys import Client, Item
from es_recsys.dataset import History
from es_recsys.index import versions
from es_recsys.index.bulk import bulk_write
from es_recsys.index.bulk_actions import Action
from es_recsys.index.documents import to_document
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.models import ALS, ALSConfig
from es_recsys.search.bodies import candidates_body
from es_recsys.search.query_dsl import item_id_of
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.retrievers import active_retrievers
from es_recsys.serving.operations import MultiSearch
from es_recsys.vector_fields import VECTOR_FIELDS, index_options

N = 20
BATCH = 64
FIELD = VECTOR_FIELDS["als_vector"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=["gowalla"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=int, default=3_000, help="so many users of test are asked (0: all)")
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    events, wanted = gowalla(arguments.folder)
    data = interactions(events)
    started = time.perf_counter()
    model = ALS(ALSConfig(factors=arguments.factors)).fit(data, np.random.default_rng(arguments.seed))
    print(f"{len(data.items):,} events; ALS with {arguments.factors} factors in {time.perf_counter() - started:.1f} s")
    users = np.random.default_rng(1).permutation(sorted(wanted))[: arguments.users or None].tolist()
    folded = {user: vector for user in users if (vector := model.user_vector(History.of(events[user][-300:]))) is not None}
    exact = {user: ranked(model, vector, events[user]) for user, vector in folded.items()}
    with own_store("factors_measured") as client:
        metadata = load(client, model)
        started = time.perf_counter()
        served = dict(ask_all(client, metadata, folded, events))
        each = (time.perf_counter() - started) / len(served) * 1_000
        rows = [measured("exact, numpy", exact, wanted, users), measured("served by kNN", served, wanted, users)]
        overlap = np.mean([len(set(served[user]) & set(exact[user])) / N for user in folded])
        differences = [f"{float(ours) / float(bare) - 1:+.2%}" for bare, ours in zip(rows[0][1:], rows[1][1:], strict=True)]
        show(
            f"{len(users):,} users of test, {len(model.item_ids):,} items, {model.item_vectors.shape[1]} factors, "
            f"{index_options(FIELD, model.item_vectors.shape[1], len(model.item_ids))}; {machine(client)}",
            ["ranking", f"Recall@{N}", f"NDCG@{N}"],
            [*rows, ["difference (goal: within 1 %)", *differences]],
        )
        print(f"recall@{N} of the served kNN against exact search {overlap:.4f}; {each:.1f} ms an answer")
    return 0


def ranked(model: ALS, vector: NDArray[np.float32], known: Sequence[str]) -> list[str]:
    """The N best items by inner product, known ones left out."""
    scores = model.item_vectors @ vector
    scores[model.item_ids.find(known)] = -np.inf
    best = np.argpartition(-scores, N)[:N]
    return list(model.item_ids.take(best[np.argsort(-scores[best], kind="stable")]))


def load(client: Client, model: ALS) -> IndexMetadata:
    """Items with their factors, in an index as training makes it."""
    es = client.workspace.job_es
    field = VectorMetadata(model.item_vectors.shape[1], model.fingerprint, model.name, FIELD.similarity)
    metadata = IndexMetadata(client.settings.index, 1, vectors={FIELD.name: field})
    versions.create(es, metadata, count=len(model.item_ids), live=True)
    rows = zip(model.item_ids, model.item_vectors, strict=True)
    actions = (Action(item_id, to_document(Item(item_id=item_id), {FIELD.name: v if v.any() else None})) for item_id, v in rows)
    report = bulk_write(es, actions, index=metadata.index, refresh=True)
    print(f"{report.stored:,} items indexed, {report.failed:,} refused")
    return metadata


def ask_all(
    client: Client, metadata: IndexMetadata, folded: dict[str, NDArray[np.float32]], events: dict[str, list[str]]
) -> Iterator[tuple[str, list[str]]]:
    policy = RankingPolicy(metadata=metadata, settings=client.settings.search.model_copy(update={"depth": N}))
    users = list(folded)
    for start in range(0, len(users), BATCH):
        batch = users[start : start + BATCH]
        bodies: list[dict[str, Any]] = []
        for user in batch:
            request = Request(now=0.0, exclude=frozenset(events[user]), n=N)
            state = UserState(factors={ALS.name: folded[user]})
            retriever = next(one for one in active_retrievers(request, state, policy) if one.name == ALS.name)
            query = retriever.build_query(request, state, policy)
            assert query is not None  # the user has a vector
            bodies.append(candidates_body(retriever, query, request, policy))
        for user, found in zip(batch, client.workspace.driver.perform(MultiSearch(metadata.index, tuple(bodies))), strict=True):
            yield user, [item_id_of(hit) for hit in found["hits"]["hits"]]


def measured(name: str, answers: dict[str, list[str]], wanted: dict[str, list[str]], users: Sequence[str]) -> list[str]:
    """A row: mean Recall and NDCG over all users, those without an answer counting 0."""
    values = [score(answers.get(user, []), set(wanted[user]), N) for user in users]
    recall, ndcg = np.mean(values, axis=0)
    return [name, f"{recall:.5f}", f"{ndcg:.5f}"]


if __name__ == "__main__":
    sys.exit(main())
