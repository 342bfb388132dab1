"""The state of an index whose shards a node has not opened yet, as just after its start."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator

import pytest
from elasticsearch import Elasticsearch

from es_recsys.errors import EngineError
from es_recsys.index.sequence_numbers import index_state

pytestmark = pytest.mark.engine

_NOWHERE = "index.routing.allocation.require._name"


@pytest.fixture
def unopened(es: Elasticsearch) -> Iterator[str]:
    """An index that no node may have, so that none of its shards is open."""
    index = f"t{uuid.uuid4().hex[:8]}"
    es.indices.create(index=index, settings={_NOWHERE: "nobody"}, wait_for_active_shards="0")
    yield index
    es.indices.delete(index=index)


def test_an_index_that_is_being_opened_is_waited_for(es: Elasticsearch, unopened: str) -> None:
    opening = threading.Timer(0.3, lambda: es.indices.put_settings(index=unopened, settings={_NOWHERE: None}))
    opening.start()
    state = index_state(es, unopened)
    opening.join()
    assert (state.index, list(state.checkpoints.values())) == (unopened, [-1])


def test_an_index_that_stays_shut_is_an_error_of_ours(es: Elasticsearch, unopened: str) -> None:
    with pytest.raises(EngineError, match=f"{unopened} has no shard that is open"):
        index_state(es, unopened, wait_s=0.1)
