"""Fused and aligned vectors on a real engine: trained by name, and asked by words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from es_recsys import Client, Settings
from es_recsys.jobs.load_events import load_events
from es_recsys.sample import SampleStore
from es_recsys.settings import EncoderSettings

pytestmark = [pytest.mark.engine, pytest.mark.long]


@pytest.fixture(scope="module")
def client(
    module_settings: Callable[..., Settings], sample: SampleStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """Items with texts and pictures, events, and both models."""
    base = tmp_path_factory.mktemp("sample")
    sample.write(base)
    settings = module_settings().model_copy(update={"encoders": EncoderSettings()})
    with Client(settings=settings) as client:
        client.insert_items(sample.items, base=base)
        load_events(client.workspace, [base / "events.jsonl"])
        client.train(["fused", "aligned"])
        yield client


def test_every_item_has_a_place_in_each(client: Client, sample: SampleStore) -> None:
    snapshot = client.workspace.snapshots.latest()
    assert set(snapshot.models) == {"fused", "aligned"}
    for field in ("fused_vector", "aligned_vector"):
        found = client.workspace.es.count(index=snapshot.metadata.index, query={"exists": {"field": field}})
        assert found["count"] == len(sample.items)


def test_words_find_pictures_by_their_own_retriever(client: Client, sample: SampleStore) -> None:
    kinds = {item.item_id: item.categories[-1] for item in sample.items}
    kind = max(set(kinds.values()), key=lambda name: list(kinds.values()).count(name))
    answer = client.search(kind, n=10)
    assert answer.ranking.degraded == ()
    shown = [hit for hit in answer.hits if hit.parts.get("aligned_vector", 0.0) > 0.0]
    assert len(shown) >= 5
    for hit in answer.hits:
        assert sum(hit.parts.values()) == pytest.approx(hit.score)


def test_recommendations_come_from_both_without_torch(client: Client, sample: SampleStore) -> None:
    answer = client.recommend(history=[sample.items[0].item_id, sample.items[5].item_id], n=10)
    assert {name for hit in answer.hits for name in hit.parts} >= {"fused", "aligned"}
    folder = client.settings.store_home / "models" / f"{client.workspace.snapshots.latest().metadata.version:06d}"
    code = f"""
import sys
from pathlib import Path
from es_recsys.models import load_models
from es_recsys.dataset import History
models = load_models(Path({str(folder)!r}), ("fused", "aligned"))
assert all(model.user_vector(History.of([{sample.items[0].item_id!r}])) is not None for model in models.values())
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False"
