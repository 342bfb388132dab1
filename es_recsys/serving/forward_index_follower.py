"""Keeps the forward index that answers are made from in step with what is written to its version, by whatever process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from elasticsearch import ApiError, Elasticsearch, TransportError

from es_recsys import artefact
from es_recsys.forward_index import ForwardIndex
from es_recsys.index.forward_index import TooManyChanges, follow_index, vector_fingerprints
from es_recsys.index.sequence_numbers import index_state
from es_recsys.index.version_folders import forward_index_folder
from es_recsys.index_metadata import IndexMetadata, IndexState
from es_recsys.serving.stored_forward_index import MAX_CHANGED, load_forward_index
from es_recsys.settings import Settings

__all__ = ["ForwardIndexFollower"]

# So many writes are read in a few hundredths of a second.
_FEW_WRITES = 500
_TIMEOUT_S = 300.0

_log = logging.getLogger(__name__)


class ForwardIndexFollower:
    """Opens the stored forward index of a version and brings it up to the index. One caller at a time.

    found: called with the name of the index and its forward index, or None, when what was read in the background is there.
    """

    def __init__(self, settings: Settings, client: Elasticsearch, found: Callable[[str, ForwardIndex | None], None]) -> None:
        self._settings = settings
        self._client = client.options(request_timeout=_TIMEOUT_S)
        self._found = found
        self._opened: tuple[str, float] | None = None
        self._refused: tuple[str, float] | None = None
        self._reader: threading.Thread | None = None
        self._failing = False

    def follow(self, metadata: IndexMetadata, served: ForwardIndex | None, *, wait: bool) -> ForwardIndex | None:
        """Return the forward index to serve the version with; None where there is none, or it can't be read in time.

        served: the one that serves now, which goes on while many changes are read in the background. wait: whether
        changes are waited for, however many.
        """
        stored = metadata.index, artefact.written_at(forward_index_folder(self._settings, metadata.version))
        if not stored[1] or stored == self._refused:
            return None
        try:
            forward = self._follow(metadata, served, stored, wait=wait)
        except (ApiError, TransportError) as error:
            self._warn_of_failure(metadata, error)
            return None
        self._failing = False
        return forward

    def _follow(
        self, metadata: IndexMetadata, served: ForwardIndex | None, stored: tuple[str, float], *, wait: bool
    ) -> ForwardIndex | None:
        state = index_state(self._client, metadata.index)
        if served is not None and (state.writes_since(served.state) is None or not _suits(served, metadata)):
            served = None
        forward, writes = served, 0
        if served is None or stored != self._opened:
            self._opened = stored
            loaded = load_forward_index(self._settings, metadata, state)
            if loaded is None:
                self._refused = stored
                return None
            forward, writes = loaded
        else:
            writes = state.writes_since(served.state) or 0
        assert forward is not None
        if not writes:
            return forward
        if wait or (served is None and writes <= _FEW_WRITES):
            return self._read(metadata, forward, state)
        self._read_in_background(metadata, forward, state)
        return served

    def _read(self, metadata: IndexMetadata, forward: ForwardIndex, state: IndexState) -> ForwardIndex | None:
        try:
            return follow_index(self._client, metadata, forward, state, MAX_CHANGED)
        except TooManyChanges:
            self._refused = self._opened
            _log.warning(
                "More than %s items of %s changed since its forward index was stored, so answers take longer. Load the catalogue"
                " (es-recsys items load) or train, which stores it anew.",
                f"{MAX_CHANGED:,}",
                metadata.index,
            )
            return None

    def _read_in_background(self, metadata: IndexMetadata, forward: ForwardIndex, state: IndexState) -> None:
        if self._reader is not None and self._reader.is_alive():
            return

        def read() -> None:
            try:
                self._found(metadata.index, self._read(metadata, forward, state))
            except (ApiError, TransportError) as error:
                self._warn_of_failure(metadata, error)

        self._reader = threading.Thread(target=read, name="es-recsys-forward-index", daemon=True)
        self._reader.start()

    def _warn_of_failure(self, metadata: IndexMetadata, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            _log.warning("The changes of %s can't be read (%s), so answers take longer until they can.", metadata.index, error)


def _suits(forward: ForwardIndex, metadata: IndexMetadata) -> bool:
    return forward.fingerprints == vector_fingerprints(metadata)
