"""A small sample store, stores that live as long as a module, one that is trained once a session, and commands as typed."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command_line import Run, environment, runner
from recent_sample import recent_sample_store
from store_indices import delete_indices

from es_recsys import Client
from es_recsys.jobs.load_events import load_events
from es_recsys.jobs.load_items import load_items
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


@pytest.fixture(scope="session")
def client(
    es: Elasticsearch,
    es_url: str,
    sample: SampleStore,
    sample_events: Path,
    tmp_path_factory: pytest.TempPathFactory,
    model_cache: Path,
) -> Iterator[Client]:
    """A client of the sample store, with vectors of its texts and trained.

    The tests of a session share it: what one of them writes is of a user or an item of its own. A module that trains, or
    changes more, has a client of its own.
    """
    file = tmp_path_factory.mktemp("sample") / "items.jsonl"
    file.write_text("".join(item.model_dump_json(exclude={"image"}) + "\n" for item in sample.items))
    with _stores(es, es_url, tmp_path_factory, model_cache) as make, Client(settings=make("all-MiniLM-L6-v2")) as client:
        load_items(client.workspace, [file])
        load_events(client.workspace, [sample_events])
        client.train(["covisitation", "als", "lsa"], budget=0.0)
        yield client


@pytest.fixture(scope="session")
def user(sample: SampleStore) -> str:
    """The shopper who did most."""
    counts = Counter(event.user_id for event in sample.events)
    return str(counts.most_common(1)[0][0])


@pytest.fixture
def stranger(request: pytest.FixtureRequest) -> str:
    """A user whom no other test uses."""
    return f"stranger-{request.node.name}"


@pytest.fixture(scope="module")
def module_settings(
    es: Elasticsearch, es_url: str, tmp_path_factory: pytest.TempPathFactory, model_cache: Path
) -> Iterator[Callable[..., Settings]]:
    """Makes settings of stores that end with the module. text: the text encoder; there is no image encoder."""
    with _stores(es, es_url, tmp_path_factory, model_cache) as make:
        yield make


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process. Ends the test where the exit code is not `code`."""
    return runner(monkeypatch, capsys)


@pytest.fixture
def empty(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A store of the test's own, which the environment names."""
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    return settings


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a JSONL file; a line that is a text is written as it stands."""

    def make(name: str, lines: Sequence[Mapping[str, Any] | str]) -> Path:
        path = tmp_path / name
        path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        return path

    return make


@contextmanager
def _stores(
    es: Elasticsearch, es_url: str, tmp_path_factory: pytest.TempPathFactory, cache: Path
) -> Iterator[Callable[..., Settings]]:
    made: list[str] = []

    def make(text: str = "none") -> Settings:
        made.append(f"t{uuid.uuid4().hex[:12]}")
        home: Path = tmp_path_factory.mktemp("home")
        encoders = EncoderSettings(text=text, image="none")
        return Settings(url=es_url, index=made[-1], home=home, cache=cache, encoders=encoders)

    try:
        yield make
    finally:
        for name in made:
            delete_indices(es, name)
