"""Whether a store that doesn't say under which secret its users are kept may say that it is the one that is set here."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from elasticsearch import Elasticsearch

from es_recsys.batching import batched
from es_recsys.errors import KeyMismatch
from es_recsys.events.actors import actor_key
from es_recsys.index import stored_profiles

if TYPE_CHECKING:
    from es_recsys.events.store import EventStore

__all__ = ["may_adopt"]

_TRIED = 20_000
_BATCH = 500


def may_adopt(client: Elasticsearch, store: EventStore, secret: bytes, index: str) -> bool:
    """Whether a profile in `index` is found under the secret's key of somebody in the event store, or there are no profiles.

    False where that can't be told, since there are no events here. Raises KeyMismatch where there are both, and no profile is
    found by any key.
    """
    if not client.count(index=index)["count"]:
        return True
    tried = False
    for batch in batched(islice(store.actors(), _TRIED), _BATCH):
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
