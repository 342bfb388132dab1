"""Every code block of the docs that can run is run, on the real engine with the sample store; the others say why they are not."""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from code_blocks import RUNNABLE, Block, Reader, blocks_of
from store_indices import delete_indices

from es_recsys import Client, Event, Item
from es_recsys.sample import SampleStore

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

ROOT = Path(__file__).parents[2]
# The Chinese pages have the code of the English ones (tests/test_translations.py).
TRANSLATED = set(ROOT.glob("docs/zh/**/*.md"))
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(set(ROOT.glob("docs/**/*.md")) - TRANSLATED)]
PAGES = {str(path.relative_to(ROOT)): blocks_of(path, str(path.relative_to(ROOT))) for path in FILES}
RUN = {name: [block for block in blocks if block.language in RUNNABLE and block.reason is None] for name, blocks in PAGES.items()}
# Items that the pages name.
NAMED = [Item(item_id=item_id, title=f"Running shoes {item_id}", price=19) for item_id in ("i1", "i7")]
# The others evaluate, tune and train again and again: nightly.
LONG = ("README.md", "docs/existing-index.md", "docs/operations.md")
_COMMAND = re.compile(r"^(\$ )?(es-recsys|curl|pip|make|export|python3?) ", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_a_block_that_is_code_says_so(page: str) -> None:
    """A fence without a language is output; what could be run has one, so that it is run or says why not."""
    silent = [block.name for block in PAGES[page] if block.language == "" and _COMMAND.search(block.text)]
    assert silent == [], "write ```sh, and above it <!-- not run: why --> where it can't run"
    assert [block.name for block in PAGES[page] if block.language in ("bash", "shell", "console", "py")] == []


def test_most_blocks_are_run() -> None:
    assert sum(map(len, RUN.values())) >= 25
    assert set(LONG) <= {page for page, blocks in RUN.items() if blocks}


@pytest.fixture(scope="module")
def world(
    sample: SampleStore, tmp_path_factory: pytest.TempPathFactory, es: Elasticsearch, es_url: str, model_cache: Path
) -> Iterator[Reader]:
    """A folder with the files that the docs name, a store that is loaded, and an index of somebody's own."""
    folder = tmp_path_factory.mktemp("docs")
    ours = f"t{uuid.uuid4().hex[:8]}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    names = {
        "shop": f"{ours}shop", "products": f"{ours}products", "ubi_events": f"{ours}_ubi_events", "orders": "orders",
        "https://search.example.org:9200": es_url,
        "localhost:8000/products": f"127.0.0.1:{port}/{ours}products", "localhost:8000": f"127.0.0.1:{port}",
        "http://127.0.0.1:8000": f"http://127.0.0.1:{port}", "8000": port,
    }  # fmt: skip
    write_files(sample, folder)
    write_indices(sample, es, names)
    variables = {
        "ES_RECSYS_URL": es_url,
        "ES_RECSYS_INDEX": names["shop"],
        "ES_RECSYS_HOME": str(folder / "home"),
        "ES_RECSYS_CACHE": str(model_cache),
        "ES_RECSYS_ENCODERS__IMAGE": "none",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        with Client(settings=None) as client:
            client.insert_items(sample.items)
            client.put_events(sample.events)
            client.insert_items(NAMED)
            client.put_events([Event(event_type="purchase", user_id="u1", item_id=item.item_id) for item in NAMED])
            client.train(["covisitation"])
        yield Reader(folder, names)
    delete_indices(es, ours)


def write_files(sample: SampleStore, folder: Path) -> None:
    items = [
        item.model_dump(mode="json", exclude_none=True, include={"item_id", "title", "description", "price", "brand"})
        for item in sample.items
    ]
    lines = ["sku,name,description,price,brand"]
    lines += [
        ",".join(json.dumps(str(item.get(name, ""))) for name in ("item_id", "title", "description", "price", "brand"))
        for item in items
    ]
    (folder / "products.csv").write_text("\n".join(lines).replace('\\"', '""'))
    (folder / "items.csv").write_text("\n".join(lines).replace('\\"', '""').replace(",", ";"))
    events = "".join(event.model_dump_json(exclude_none=True) + "\n" for event in sample.events)
    (folder / "events.jsonl").write_text(events)
    (folder / "events.jsonl.gz").write_bytes(gzip.compress(events.encode()))
    (folder / "users.jsonl").write_text("".join(f'{{"user_id": "{shopper.user_id}"}}\n' for shopper in sample.shoppers[:20]))
    judged = [f"{item.title}\t{item.item_id}\t2" for item in sample.items[:40]]
    (folder / "judged.tsv").write_text("\n".join(judged) + "\n")


def write_indices(sample: SampleStore, es: Elasticsearch, names: dict[str, str]) -> None:
    """An application's own index, and events as the UBI plugins write them."""
    properties = {"name": {"type": "text"}, "price": {"type": "double"}, "maker": {"type": "keyword"}}
    es.indices.create(index=names["products"], mappings={"properties": properties})
    for item in (*sample.items[:100], *NAMED):
        es.index(
            index=names["products"], id=item.item_id, document={"name": item.title, "price": item.price, "maker": item.brand}
        )
    for event in sample.events[:300]:
        if event.item_id is not None and event.event_type in ("view", "purchase"):
            document = {
                "action_name": event.event_type,
                "timestamp": event.timestamp.isoformat() if event.timestamp else None,
                "user_id": event.user_id,
                "event_attributes": {"object": {"object_id": event.item_id}},
            }
            es.index(index=names["ubi_events"], id=event.event_id, document=document)
    es.indices.refresh(index=f"{names['products']},{names['ubi_events']}")


def read(world: Reader, blocks: list[Block]) -> None:
    before = dict(os.environ)
    reader = Reader(world.folder, world.names)
    try:
        for block in blocks:
            reader.run(block)
    finally:
        reader.close()
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.engine
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.long if page in LONG else pytest.mark.nightly)
        for page, blocks in RUN.items()
        if blocks
    ],
)
def test_the_blocks_of_a_page_run(world: Reader, page: str) -> None:
    read(world, RUN[page])
