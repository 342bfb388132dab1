"""The limit of attributes that files have holds for items from memory, before anything of them is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from es_recsys import Client, Item, Settings
from es_recsys.errors import InputError
from es_recsys.sources.attributes import MAX_ATTRIBUTES

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings]) -> Iterator[Client]:
    with Client(settings=module_settings()) as client:
        yield client


def _item(item_id: str, names: range) -> Item:
    return Item(item_id=item_id, title=item_id, attributes={f"a{n}": n for n in names})


def test_too_many_attributes_are_refused_at_once_and_spoil_nothing(client: Client) -> None:
    with pytest.raises(InputError, match=f"can have {MAX_ATTRIBUTES}; the one too many is 'a{MAX_ATTRIBUTES}'"):
        client.insert_items([_item("few", range(3)), _item("many", range(1_200))])
    # Of so many fields Elasticsearch would have been told for minutes.
    assert list(client.workspace.es.indices.get(index=f"{client.settings.index}*", expand_wildcards="all")) == []
    half = MAX_ATTRIBUTES // 2
    assert client.insert_items([_item("first", range(half))]).added == 1
    # Across calls, against what the store has.
    assert client.insert_items([_item("second", range(half, MAX_ATTRIBUTES))]).added == 1
    with pytest.raises(InputError, match=f"has {MAX_ATTRIBUTES} attributes .* one too many is 'b'"):
        client.insert_items([Item(item_id="third", attributes={"b": 1})])
    with pytest.raises(InputError, match="one too many is 'b'"):
        client.insert_items(Item(item_id=f"g{n}", attributes={"b": 1} if n == 50 else {}) for n in range(100))
    assert client.titles(["few", "many", "third"]) == {}
    assert client.insert_items([_item("later", range(5))]).added == 1
    assert client.search("later", filter={"a3": 3}).hits[0].item_id == "later"
