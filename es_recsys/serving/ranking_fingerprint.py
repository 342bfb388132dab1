"""Tell whether a ready list was ranked as the store ranks now."""

from __future__ import annotations

import hashlib

import orjson

from es_recsys.index_metadata import IndexMetadata
from es_recsys.settings import SearchSettings

__all__ = ["ranking_fingerprint"]

# What says nothing of how a plain recommendation is ranked.
_OTHER_METADATA = ("notes", "key_check")
_OTHER_SETTINGS = {"ready_hours", "timeout_s", "log_features", "seen"}


def ranking_fingerprint(metadata: IndexMetadata, settings: SearchSettings) -> str:
    """Return a digest of a version's models and weights, and of the settings.

    What is popular is no part of it, since every load of events counts that anew.
    """
    version = {name: value for name, value in metadata.to_dict().items() if name not in _OTHER_METADATA}
    content = [version, settings.model_dump(mode="json", exclude=_OTHER_SETTINGS)]
    return hashlib.blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=12).hexdigest()
