"""An index that exists already becomes the catalogue of a store, and stays as it is."""

from __future__ import annotations

import io
import json
import shlex
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk
from odd_index import clicks, document, make_odd_index

from es_recsys import Client
from es_recsys.cli import main
from es_recsys.errors import EngineError, InputError
from es_recsys.index.items_report import ItemsReport
from es_recsys.index.source_index import SourceIndex
from es_recsys.jobs.row_sources import SourceName
from es_recsys.jobs.sync_items import ItemSource, follow_items, propose_item_columns, sync_items
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import EncoderSettings, Settings
from es_recsys.sources import ReadOptions

pytestmark = pytest.mark.engine

COUNT = 120
COLUMNS = {
    "title": "name.en",
    "description": "body",
    "categories": "category.name",
    "price": "price.amount",
    "currency": "price.currency",
    "image": "img.url",
    "brand": "maker",
}


@pytest.fixture
def plain(settings: Settings) -> Settings:
    return settings.model_copy(update={"encoders": EncoderSettings(text="none", image="none")})


@pytest.fixture
def work(plain: Settings) -> Iterator[Workspace]:
    with Workspace(plain) as work:
        yield work


@pytest.fixture
def source(es: Elasticsearch, store_name: str) -> str:
    return make_odd_index(es, store_name, COUNT)


def _source(name: str, columns: Mapping[str, str] = COLUMNS, *, query: Any = None, **given: Any) -> ItemSource:
    return ItemSource(SourceName(name, query), ReadOptions(columns=columns), **{"whole": True, "max_errors": 0, **given})


def _counts(report: ItemsReport) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.removed


def _stored(es: Elasticsearch, work: Workspace, item_id: str) -> dict[str, Any]:
    return dict(es.get(index=f"{work.settings.index}-items", id=item_id)["_source"])


def test_an_odd_index_is_adopted_and_kept_in_step(es: Elasticsearch, work: Workspace, source: str) -> None:
    before = es.indices.get(index=source).body
    report = sync_items(work, _source(source))
    assert _counts(report) == (COUNT, 0, 0, 0)
    item = _stored(es, work, "p3")
    assert item["title"] == "Hiking shoe 3"
    assert item["categories"] == ["Shoes", "Hiking"]
    assert (item["price"], item["currency"], item["image"], item["brand"]) == (13.0, "EUR", "img/3.png", "maker3")
    assert item["attributes"]["sku"] == "S3" and "embedding" not in item["attributes"]
    assert es.indices.get(index=source).body == before

    es.delete(index=source, id="p0")
    es.index(index=source, id="p3", document={**document(3), "maker": "other"})
    es.index(index=source, id="new", document=document(4))
    es.indices.refresh(index=source)
    assert _counts(sync_items(work, _source(source))) == (1, 1, COUNT - 2, 1)
    assert not list((work.settings.store_home / "incoming").iterdir()), "what was read lies nowhere afterwards"


def test_without_columns_they_are_proposed_and_told(work: Workspace, source: str) -> None:
    proposal = propose_item_columns(work, SourceName(source))
    assert proposal.columns == {**COLUMNS, "item_id": "_id"}
    assert not set(proposal.others) & {"embedding", "name.en.raw"}
    report = sync_items(work, _source(source, {}))
    assert report.added == COUNT
    assert any(proposal.option in note for note in report.notes)


def test_a_reading_of_a_part_removes_nothing(es: Elasticsearch, work: Workspace, source: str) -> None:
    sync_items(work, _source(source))
    report = sync_items(work, _source(source, query={"term": {"maker": "maker1"}}))
    assert report.removed == 0 and 0 < report.unchanged < COUNT
    with pytest.raises(InputError, match="no row"):
        sync_items(work, _source(source, query={"term": {"maker": "maker9"}}))
    assert es.count(index=f"{work.settings.index}-items")["count"] == COUNT


def test_only_what_has_changed_is_read(es: Elasticsearch, work: Workspace, source: str) -> None:
    by_time = _source(source, since="updated_at")
    assert _counts(sync_items(work, by_time)) == (COUNT, 0, 0, 0)
    newest = sum(document(n)["updated_at"] == "2026-01-28T00:00:00Z" for n in range(COUNT))
    assert _counts(sync_items(work, by_time)) == (0, 0, newest, 0), "what has the highest time is read again"
    es.index(index=source, id="p1", document={**document(1), "maker": "other", "updated_at": "2026-02-01T00:00:00Z"})
    es.index(index=source, id="old", document=document(2))
    es.indices.refresh(index=source)
    assert _counts(sync_items(work, by_time)) == (0, 1, newest, 0), "what is older by its own account isn't seen"
    report = sync_items(work, _source(source, {**COLUMNS, "tags": "sku"}, since="updated_at"))
    assert report.changed + report.added == COUNT + 1, "read otherwise, nothing was read before"


def test_following_sees_changes_and_now_and_then_what_is_gone(es: Elasticsearch, work: Workspace, source: str) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        number = len(waited)
        es.delete(index=source, id=f"p{number}")
        es.index(
            index=source,
            id=f"n{number}",
            document={**document(number), "updated_at": f"2026-03-0{number}T00:00:00Z"},
        )
        es.indices.refresh(index=source)

    reports = follow_items(work, _source(source, since="updated_at"), 30.0, compare_s=0.0, wait=wait)
    first, second, third = islice(reports, 3)
    reports.close()
    assert isinstance(first, ItemsReport) and isinstance(second, ItemsReport) and isinstance(third, ItemsReport)
    assert waited == [30.0, 30.0]
    assert (first.added, second.added, third.added) == (COUNT, 1, 1)
    assert (first.removed, second.removed, third.removed) == (0, 1, 1)
    assert any("no longer in" in note for note in third.notes)


def test_following_goes_on_when_the_source_comes_back(es_url: str, work: Workspace, source: str) -> None:
    reports = follow_items(work, _source(source), 1.0, wait=lambda _: None)
    assert isinstance(next(reports), ItemsReport)
    work.settings = work.settings.model_copy(update={"from_url": "http://127.0.0.1:9"})
    assert isinstance(next(reports), EngineError)
    work.settings = work.settings.model_copy(update={"from_url": es_url})
    back = next(reports)
    assert isinstance(back, ItemsReport) and back.unchanged == COUNT


def test_fields_outside_of_the_source_and_other_ways_to_index_one(es: Elasticsearch, work: Workspace, source: str) -> None:
    sync_items(work, _source(source, {"title": "name.de.raw", "brand": "producer"}))
    item = _stored(es, work, "p5")
    assert item["title"] == "Hikingschuh 5"
    assert item["brand"] == "maker5"


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"title": "name.eng"}, "Did you mean name.en"),
        ({"title": "name.en", "price": "amount"}, "price.amount"),
        ({"title": "nothing_like_it"}, "has no field nothing_like_it"),
    ],
)
def test_an_unknown_path_is_told_with_those_like_it(work: Workspace, source: str, columns: dict[str, str], told: str) -> None:
    with pytest.raises(InputError) as caught:
        sync_items(work, _source(source, columns))
    assert told in str(caught.value)


def test_what_can_not_be_a_source_is_told(es: Elasticsearch, es_url: str, work: Workspace, source: str) -> None:
    with pytest.raises(InputError, match=f"Did you mean {source}"):
        sync_items(work, _source(source.replace("source", "sorce")))
    with pytest.raises(InputError, match=r"maker of .* is one of type keyword"):
        sync_items(work, _source(source, since="maker"))
    with pytest.raises(InputError, match=r"unknown query \[trm\]"):
        sync_items(work, _source(source, query={"trm": {"maker": "x"}}))
    sync_items(work, _source(source))
    own = f"{work.settings.index}-items"
    with pytest.raises(InputError, match="an index of the store"):
        sync_items(work, _source(own))
    with Workspace(work.settings.model_copy(update={"from_url": es_url.replace("127.0.0.1", "localhost")})) as by_another_name:
        with pytest.raises(InputError, match="an index of the store"):
            sync_items(by_another_name, _source(own))
        assert sync_items(by_another_name, _source(source)).unchanged == COUNT
    es.indices.delete_alias(index="*", name=source)
    with pytest.raises(InputError, match="There is no index"):
        sync_items(work, _source(source))


def test_the_client_takes_an_index_and_files_alike(plain: Settings, source: str, tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    file.write_text('{"item_id": "p1", "title": "other"}\n')
    with Client(settings=plain) as client:
        assert client.load_items(file).added == 1
        report = client.sync_items(source=f"index:{source}", columns="title=name.en,categories=category.name")
        assert (report.added, report.changed) == (COUNT - 1, 1)
        assert client.search("hiking shoe 3").hits[0].item_id == "p3"
        with pytest.raises(InputError, match="since"):
            client.load_items(file, since="updated_at")
        with pytest.raises(InputError, match="source"):
            client.sync_items(17)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mapping", "code"),
    [
        ({}, "P {n}"),  # Elasticsearch's own choice: a text, with code.keyword beside it
        ({"code": {"type": "text", "fields": {"exact": {"type": "keyword"}}}}, "P {n}"),
        ({"code": {"type": "double"}}, "{n}"),
        ({"code": {"type": "keyword", "normalizer": "lowercase", "fields": {"raw": {"type": "keyword"}}}}, "P{n}"),
    ],
    ids=str,
)
def test_item_ids_are_read_however_they_are_indexed(
    es: Elasticsearch, plain: Settings, store_name: str, mapping: dict[str, Any], code: str
) -> None:
    name = f"{store_name}_theirs"
    es.indices.create(index=name, mappings={"properties": mapping}, settings={"number_of_replicas": 0})
    ids = [code.format(n=n) for n in range(6)]
    rows = [
        {"_index": name, "_id": f"d{n}", "code": int(each) if each.isdecimal() else each, "t": "shoe"}
        for n, each in enumerate(ids)
    ]
    bulk(es, rows, refresh=True)
    with Client(settings=plain) as client:
        report = client.sync_items(source=f"index:{name}", columns={"item_id": "code", "title": "t"})
        assert not any("doc values" in note for note in report.notes)
        found = client.search(body={"query": {"match": {"t": "shoe"}}}, source_index=name, exclude=[ids[2]])
        assert sorted(hit.item_id for hit in found.hits) == sorted({*ids} - {ids[2]})
        assert all("fields" not in hit for hit in found.response["hits"]["hits"])


def test_ids_that_no_body_can_be_read_by_are_told(es: Elasticsearch, plain: Settings, store_name: str) -> None:
    name = f"{store_name}_theirs"
    es.indices.create(index=name, mappings={"properties": {"code": {"type": "text"}}}, settings={"number_of_replicas": 0})
    es.index(index=name, id="1", document={"code": "p1", "t": "shoe"}, refresh=True)
    with Client(settings=plain) as client:
        report = client.sync_items(source=f"index:{name}", columns={"item_id": "code", "title": "t"})
        assert report.added == 1 and any("no field has the values of code as doc values" in note for note in report.notes)


def test_the_command_asks_before_it_takes_what_it_proposes(
    plain: Settings, source: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    named = {
        "URL": str(plain.url),
        "INDEX": plain.index,
        "HOME": str(plain.home),
        "ENCODERS__TEXT": "none",
        "ENCODERS__IMAGE": "none",
    }
    for name, value in named.items():
        monkeypatch.setenv(f"ES_RECSYS_{name}", value)
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    def run(*words: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["es-recsys", "items", "sync", "--from-index", source, *words])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, *capsys.readouterr()

    code, _, told = run()
    assert code == 2 and "--yes" in told and "title        name.en" in told
    code, out, _ = run("--yes", "--json")
    assert not code and json.loads(out)["added"] == COUNT
    code, _, told = run("--from-url", "http://someone:secret@127.0.0.1:9200")
    assert code == 2 and "ES_RECSYS_FROM_PASSWORD" in told and "secret" not in told


@pytest.mark.long
def test_twenty_thousand_documents_need_no_more_memory_than_half_of_them(
    es: Elasticsearch, work: Workspace, store_name: str
) -> None:
    name = make_odd_index(es, store_name, 20_000)

    def peak(read: Callable[[], object]) -> float:
        tracemalloc.start()
        try:
            read()
            return tracemalloc.get_traced_memory()[1] / 2**20
        finally:
            tracemalloc.stop()

    index = SourceIndex(es, name)
    half = {"range": {"updated_at": {"lt": "2026-01-15"}}}
    sync_items(work, _source(name, query=half))  # what is loaded once
    some = peak(lambda: index.read(lambda rows: None, half))
    all_read = peak(lambda: index.read(lambda rows: None))
    assert all_read < 1.3 * some + 1, f"{some:.1f} MiB for half of them, {all_read:.1f} MiB for all"
    some = peak(lambda: sync_items(work, _source(name, query=half)))
    whole = peak(lambda: sync_items(work, _source(name)))
    # Of the half that is new chunks are on their way, more of them to a slow Elasticsearch; twice as much would be 35 MiB.
    assert whole < 1.3 * some + 8, f"{some:.1f} MiB for half of them, {whole:.1f} MiB for all"
    assert es.count(index=f"{work.settings.index}-items")["count"] == 20_000


def test_the_commands_of_the_docs_lead_to_personal_answers(
    es: Elasticsearch, plain: Settings, store_name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"products": make_odd_index(es, store_name, 40), "ubi_events": f"{store_name}_ubi_events"}
    bulk(es, ({"_index": names["ubi_events"], "_source": each} for each in clicks(40)), refresh=True)
    page = (Path(__file__).parents[2] / "docs" / "existing-index.md").read_text(encoding="utf-8")
    block = page.split("## In five commands")[1].split("```")[1].removeprefix("sh")
    commands = [shlex.split(line) for line in block.strip().splitlines()[1:]]
    assert len(commands) == 4
    for name, value in _environment(plain).items():
        monkeypatch.setenv(name, value)
    for words in commands:
        added = ["--yes"] if "products" in words else ["--json"] if "search" in words else []
        monkeypatch.setattr(sys, "argv", [names.get(word, word) for word in words] + added)
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        assert not caught.value.code, words
    hits = json.loads(capsys.readouterr().out)["hits"]
    assert any(len(hit["parts"]) > 1 for hit in hits), "behaviour counts beside the words"


def _environment(settings: Settings) -> dict[str, str]:
    named = {"URL": str(settings.url), "INDEX": settings.index, "HOME": str(settings.home), "CACHE": str(settings.cache)}
    named |= {"ENCODERS__TEXT": "none", "ENCODERS__IMAGE": "none"}
    return {f"ES_RECSYS_{name}": value for name, value in named.items()}
