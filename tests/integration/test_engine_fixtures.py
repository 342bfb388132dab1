from __future__ import annotations

import pytest
from elasticsearch import Elasticsearch

from es_recsys import engine
from es_recsys.settings import Settings

pytestmark = pytest.mark.engine


def test_the_session_has_a_server_and_a_test_its_own_store(es: Elasticsearch, settings: Settings, store_name: str) -> None:
    assert engine.check_server(es) >= "9.2"
    assert engine.resolve_url(settings) == settings.url
    es.indices.create(index=f"{store_name}-items-000001", aliases={f"{store_name}-items": {}})
    assert es.indices.exists(index=f"{store_name}-items")
