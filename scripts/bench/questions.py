"""What the benchmark asks: words, users and items, and requests as a user of plain Elasticsearch sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from bench.loading import FIELD, Catalogue
from es_recsys import Client
from es_recsys.settings import Settings

__all__ = ["PlainSearch", "Questions", "bare_client", "credentials", "make_questions"]

TEXTS = 400
TITLES = 0.25
"""Share of the texts that are titles; the others are queries of the sample store's shoppers."""


@dataclass(frozen=True, slots=True)
class Questions:
    """texts: distinct; cold: texts that nobody asked for before; users: all that have events; items: some of the catalogue's.

    Call number k takes each at k, round and round, so that texts and users meet in ever new pairs.
    """

    texts: list[str]
    cold: list[str]
    users: list[str]
    items: list[str]

    def text(self, k: int) -> str:
        return self.texts[k % len(self.texts)]

    def user(self, k: int) -> str:
        return self.users[k % len(self.users)]

    def item(self, k: int) -> str:
        return self.items[k % len(self.items)]


def make_questions(catalogue: Catalogue, calls: int) -> Questions:
    """Questions for so many calls; of a catalogue of another size the cold texts are others."""
    sample, rng = catalogue.sample, np.random.default_rng(len(catalogue.items))
    count = min(TEXTS, calls)
    titles = sorted({item.title for item in sample.items})
    asked = sorted({event.query for event in sample.events if event.query} - set(titles))
    from_titles = int(count * TITLES)
    texts = [*rng.choice(asked, count - from_titles, replace=False), *rng.choice(titles, from_titles, replace=False)]
    rng.shuffle(texts)
    words = sorted({word for title in titles for word in title.split()})
    cold = {" ".join(rng.choice(words, 4, replace=False)) for _ in range(count)} - set(texts)
    items = rng.choice(len(catalogue.items), min(500, len(catalogue.items)), replace=False)
    return Questions(
        texts=[str(text) for text in texts],
        cold=sorted(cold),
        users=sorted({event.user_id for event in sample.events if event.user_id is not None}),
        items=[catalogue.items[place].item_id for place in items.tolist()],
    )


class PlainSearch:
    """Searches of the catalogue as a user of Elasticsearch sends them, with the official client as it comes.

    The vectors of the texts are made before. A context manager.
    """

    def __init__(self, client: Client, texts: list[str]) -> None:
        snapshot = client.workspace.snapshots.latest()
        self.es = bare_client(client)
        self._index = snapshot.metadata.index
        self._vectors = {text: snapshot.encoder.vector(snapshot.metadata, FIELD, text).tolist() for text in texts}

    def words(self, text: str) -> Any:
        """(a): BM25."""
        return self.es.search(index=self._index, query=_match(text), source={"includes": ["title"]}, size=10)

    def words_and_vector(self, text: str) -> Any:
        """(b): BM25 and the nearest vectors, in one request."""
        knn = {"field": FIELD, "query_vector": self._vectors[text], "k": 50, "num_candidates": 100}
        return self.es.search(index=self._index, query=_match(text), knn=knn, source={"includes": ["title"]}, size=10)

    def __enter__(self) -> PlainSearch:
        return self

    def __exit__(self, *error: object) -> None:
        self.es.close()


def bare_client(client: Client) -> Elasticsearch:
    """Return the official client of the same Elasticsearch, as it comes."""
    return Elasticsearch(client.workspace.url, **credentials(client.settings))


def _match(text: str) -> dict[str, Any]:
    return {"multi_match": {"query": text, "fields": ["title^2", "description"]}}


def credentials(settings: Settings) -> dict[str, Any]:
    """Return the options of the official client that name the user."""
    if settings.api_key is not None:
        return {"api_key": settings.api_key.get_secret_value()}
    if settings.password is not None:
        return {"basic_auth": (settings.username or "elastic", settings.password.get_secret_value())}
    return {}
