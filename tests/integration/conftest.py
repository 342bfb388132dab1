"""A small sample store, and stores that live as long as a module or a session."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from recent_sample import recent_sample_store

from es_recsys.sample import SampleStore
from es_recsys.serving import feature_sampler
from es_recsys.settings import EncoderSettings, Settings

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch


@pytest.fixture(scope="module", autouse=True)
def every_answer_is_logged_with_its_features() -> Iterator[None]:
    """However many a quick machine gives in a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_sampler, "ANSWERS_PER_SECOND", 1e12)
        yield


@pytest.fixture(scope="session")
def sample() -> SampleStore:
    """300 items and 60 shoppers, whose last visits were just now."""
    return recent_sample_store(items=300, users=60)


@pytest.fixture(scope="session")
def sample_events(sample: SampleStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's events as a file."""
    file = tmp_path_factory.mktemp("sample") / "events.jsonl"
    file.write_text("".join(event.model_dump_json(exclude_none=True) + "\n" for event in sample.events))
    return file


@pytest.fixture(scope="module")
def module_settings(
    es: Elasticsearch, es_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Settings]]:
    """Makes settings of stores that end with the module. text: the text encoder; there is no image encoder."""
    made: list[str] = []
    # The same folder as other tests with models, so that a model is exported once a session.
    cache = tmp_path_factory.getbasetemp() / "model-cache"
    cache.mkdir(exist_ok=True)

    def make(text: str = "none") -> Settings:
        made.append(f"t{uuid.uuid4().hex[:12]}")
        home: Path = tmp_path_factory.mktemp("home")
        encoders = EncoderSettings(text=text, image="none")
        return Settings(url=es_url, index=made[-1], home=home, cache=cache, encoders=encoders)

    yield make
    for name in made:
        for index in list(es.indices.get(index=f"{name}*", expand_wildcards="all", features="aliases")):
            es.indices.delete(index=index)
