"""Find out whether profiles were stored under the secret that is set here, for stores that don't say so."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from elasticsearch import Elasticsearch

from es_recsys.batching import batched
from es_recsys.errors import KeyMismatch
from es_recsys.events.actors import actor_key
from es_recsys.index import stored_profiles

if TYPE_CHECKING:  # it loads SQLAlchemy
    from es_recsys.events.store import EventStore

__all__ = ["is_secret_proven"]

_MAX_ACTORS = 20_000
_BATCH_SIZE = 500


def is_secret_proven(client: Elasticsearch, store: EventStore, secret: bytes, index: str) -> bool:
    """Return whether an actor of the event store has a profile under the secret's key, or there are no profiles at all.

    False where there are no events to tell by. Raises KeyMismatch where there are both, and no profile is
    found by any key.
    """
    if not client.count(index=index)["count"]:
        return True
    tried = False
    for batch in batched(islice(store.actors(), _MAX_ACTORS), _BATCH_SIZE):
        tried = True
        if stored_profiles.fetch_profiles(client, index, [actor_key(actor, secret) for actor in batch], ()):
            return True
    if tried:
        raise KeyMismatch(
            "None of the profiles of this store is kept under the secret that is set here.",
            "Set ES_RECSYS_USER_SECRET, or the file user.key in ES_RECSYS_HOME, to the secret that they were made with; where "
            "that is lost: es-recsys profiles build --new-key",
        )
    return False
