"""Trials of a search, kept in a file as they are made, so that a search that was broken off goes on where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import orjson

from es_recsys.index.fetch import scan
from es_recsys.index_metadata import IndexMetadata
from es_recsys.private import make_folder, private_opener
from es_recsys.serving.workspace import Workspace
from es_recsys.types import Interactions

__all__ = ["TrialStore", "content_digest", "data_digest"]


class TrialStore:
    """File of trials, one a line: what was tried and the score.

    key: names data, what is scored and models; the lines of any other key are of no use, and go. A line that was cut off counts
    as not written.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key
        self._known = dict(self._read())
        if path.exists() and not self._known:
            path.unlink()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, tried: Hashable) -> float | None:
        """Return the score of an earlier trial; None where there was none."""
        return self._known.get(_text(tried))

    def put(self, tried: Hashable, score: float) -> None:
        """Store the score of a trial at once."""
        self._known[_text(tried)] = score
        make_folder(self._path.parent)
        with open(self._path, "ab", opener=private_opener) as file:
            # A line that a crash has cut off must not take this one with it.
            file.write(b"\n" + orjson.dumps({"key": self._key, "tried": _text(tried), "score": score}))

    def _read(self) -> Iterator[tuple[str, float]]:
        for line in self._path.read_bytes().splitlines() if self._path.exists() else ():
            try:
                told: dict[str, Any] = orjson.loads(line)
                if told["key"] == self._key:
                    yield told["tried"], float(told["score"])
            except (ValueError, KeyError, TypeError):
                continue


def data_digest(data: Interactions, *more: object) -> str:
    """Return a digest of the events and whatever else a score depends on."""
    found = hashlib.blake2b(repr(more).encode(), digest_size=16)
    for column in (data.users, data.items, data.times, data.kinds, data.values):
        found.update(b"" if column is None else column.tobytes())
    for names in (data.user_ids, data.item_ids):
        found.update("\0".join(names.tolist()).encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def content_digest(work: Workspace, metadata: IndexMetadata) -> str:
    """Return a digest of a version's items and of what encoders made of them, whatever order they lie in."""
    total = 0
    for hits in scan(work.es, metadata.index, fields=("content_digest",), size=10_000):
        for hit in hits:
            told = f"{hit['_id']}\0{hit.get('_source', {}).get('content_digest')}".encode("utf-8", "surrogatepass")
            total += int.from_bytes(hashlib.blake2b(told, digest_size=16).digest())
    return f"{total % 2**128:032x}"


def _text(tried: Hashable) -> str:
    return repr(tried)
