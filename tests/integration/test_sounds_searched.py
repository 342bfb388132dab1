"""Sounds of items from a file to answers: by a sound, like an item, and by a user's taste."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from clap_model import tiny_clap
from sounds import chord, noise, tone, wav
from typer.testing import CliRunner

from es_recsys import AsyncClient, Client, Event, Item
from es_recsys.cli import app as cli_app
from es_recsys.encoders import audio_encoder, encode_query
from es_recsys.errors import InputError
from es_recsys.query import Answer, Hit, Query
from es_recsys.sample import sample_store, sound
from es_recsys.settings import Settings

KINDS: dict[str, Callable[[int], np.ndarray]] = {
    "low": lambda n: tone(110 + 5 * n, seed=n),
    "chord": lambda n: chord(400 + 20 * n, seed=n),
    "noise": noise,
}
COUNT = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """items.csv beside its sounds, one of them silent and one broken."""
    folder = tmp_path_factory.mktemp("sounds")
    rows = ["item_id,title,audio_url"]
    for kind, make in KINDS.items():
        for n in range(COUNT):
            (folder / f"{kind}{n}.flac").write_bytes(wav(make(n), "FLAC"))
            rows.append(f"{kind}{n},Record,{kind}{n}.flac")
    (folder / "silent.wav").write_bytes(wav(np.zeros(8_000)))
    (folder / "broken.wav").write_bytes(b"RIFF")
    rows += ["silent,Record,silent.wav", "broken,Record,broken.wav", "mute,Record,"]
    (folder / "items.csv").write_text("\n".join(rows) + "\n")
    for kind, make in KINDS.items():
        (folder / f"query_{kind}.mp3").write_bytes(wav(make(COUNT), "MP3"))
    return folder


@pytest.fixture(scope="module")
def settings(module_settings: Callable[..., Settings], folder: Path) -> Settings:
    """A store that had no sounds until the file was loaded."""
    settings = module_settings()
    with Client(settings=settings) as client:
        client.insert_items([Item(item_id="before", title="There before any sound")])
        assert "audio_vector" not in client.workspace.snapshots.latest().metadata.vectors
        report = client.load_items(folder / "items.csv")
        assert report.added == 3 * COUNT + 3 and report.unencoded == 2
        assert all(name in " ".join(report.notes) for name in ("item silent, audio", "item broken, audio"))
        assert client.workspace.snapshots.latest().metadata.vectors["audio_vector"].model == "log-mel"
        assert client.load_items(folder / "items.csv").unchanged == 3 * COUNT + 3
        assert client.insert_items([Item(item_id="later", title="Without a sound")]).added == 1
    return settings


def kinds(hits: Sequence[Hit]) -> set[str]:
    return {hit.item_id.rstrip("0123456789") for hit in hits}


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_finds_those_like_it(settings: Settings, folder: Path, kind: str) -> None:
    file = folder / f"query_{kind}.mp3"
    with Client(settings=settings) as client:
        found = client.search(audio=file, n=5)
        assert kinds(found.hits) == {kind} and set(found.hits[0].parts) == {"audio_vector"}
        (batched,) = client.execute_many([Query(audio=file, n=5)])
        assert isinstance(batched, Answer)
        for other in (batched, client.search(audio=str(file), n=5), client.search(audio=file.read_bytes(), n=5)):
            assert [hit.item_id for hit in other.hits] == [hit.item_id for hit in found.hits]
        both = client.search("record", audio=file, n=5)
        assert {"lexical", "audio_vector"} <= set(both.hits[0].parts) and kinds(both.hits) == {kind}
        assert kinds(client.similar_items(f"{kind}0", n=5).hits) == {kind}


async def test_a_sound_is_searched_for_asynchronously(settings: Settings, folder: Path) -> None:
    async with AsyncClient(settings=settings) as client:
        assert kinds((await client.search(audio=folder / "query_noise.mp3", n=5)).hits) == {"noise"}


def test_a_taste_is_one_of_sounds(settings: Settings) -> None:
    with Client(settings=settings) as client:
        events = [{"event_type": "view", "user_id": "u", "item_id": f"chord{n}", "timestamp": time.time() - n} for n in range(3)]
        client.put_events([Event.model_validate(event) for event in events])
        hits = client.recommend("u", n=3).hits
        assert kinds(hits) == {"chord"} and "taste_audio" in hits[0].parts


def test_the_command_line_searches_by_a_sound_alone_and_in_batches(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("URL", settings.url), ("INDEX", settings.index), ("HOME", settings.home)):
        monkeypatch.setenv(f"ES_RECSYS_{name}", str(value))
    run = CliRunner()
    done = run.invoke(cli_app.app, ["search", "--audio", str(folder / "query_low.mp3"), "--n", "3", "--json"])
    assert done.exit_code == 0, done.output
    assert all(hit["item_id"].startswith("low") for hit in json.loads(done.stdout)["hits"])
    requests, out = folder / "requests.jsonl", folder / "out.jsonl"
    lines = [{"audio": "query_noise.mp3"}, {"query": "record", "audio": "query_low.mp3"}, {"audio": "absent.mp3"}, {"n": 1}]
    requests.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = run.invoke(cli_app.app, ["batch", "search", str(requests), "--n", "3", "--out", str(out)])
    noises, low, absent, nothing = map(json.loads, out.read_text().splitlines())
    assert all(hit["item_id"].startswith("noise") for hit in noises["hits"])
    assert low["hits"] and low["audio"] == "query_low.mp3"
    assert "can't be read" in absent["error"] and "query is missing" in nothing["error"]


def test_a_store_without_sounds_says_so(module_settings: Callable[..., Settings], folder: Path) -> None:
    with Client(settings=module_settings()) as client:
        client.insert_items([Item(item_id="a", title="Chair")])
        with pytest.raises(InputError, match="no sounds to compare with"):
            client.search(audio=folder / "query_low.mp3")
        with pytest.raises(InputError, match="can't be read"):
            client.search(audio=folder / "absent.mp3")


def test_words_find_sounds_where_the_encoder_reads_both(
    module_settings: Callable[..., Settings], folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("transformers", reason="the package transformers is not installed")
    settings = module_settings()
    chosen = settings.encoders.model_copy(update={"audio": tiny_clap(tmp_path / "model", 5)})
    settings = settings.model_copy(update={"encoders": chosen})
    encoder = audio_encoder(settings)
    assert encoder is not None
    files = [folder / f"{kind}{n}.flac" for kind in KINDS for n in range(COUNT)]
    nearest = np.argsort(-encoder.encode(files) @ encode_query(encoder, "low noise"))
    with Client(settings=settings) as client:
        assert client.load_items(folder / "items.csv").unencoded == 2
        hits = client.search("low noise", n=5).hits
        assert [hit.item_id for hit in hits] == [files[place].stem for place in nearest[:5]]
        assert set(hits[0].parts) == {"audio_vector"}
        assert kinds(client.search(audio=folder / "query_noise.mp3", n=3).hits) == {"noise"}


def test_products_of_the_sample_store_are_found_by_their_sounds(module_settings: Callable[..., Settings], tmp_path: Path) -> None:
    store = sample_store(items=300, users=2, days=1)
    store.write_sounds(tmp_path)
    heard = next(item for item in store.items if item.audio)
    with Client(settings=module_settings()) as client:
        report = client.insert_items(store.items, base=tmp_path)
        assert report.added == 300 and report.unencoded == 0
        hits = client.search(audio=sound(heard), n=5).hits
    audible = {item.item_id for item in store.items if item.audio}
    assert hits[0].item_id == heard.item_id and {hit.item_id for hit in hits} <= audible
