"""Words that are typed in another way than the catalogue has them, by judged questions to small catalogues."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from es_recsys import Answer, AsyncClient, Client, Event, Item, Query
from es_recsys.search.lexical import lexical_query
from es_recsys.settings import Settings

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

pytestmark = pytest.mark.engine

Ask = Callable[..., list[str]]

CODES = (
    Item(
        item_id="SKU-1", title="Oak Table", attributes={"gtin": 4006381333931, "model_no": 4711, "mpn": "A-1234/B", "size": 42.0}
    ),
    Item(item_id="SKU-2", title="Pine Chair", attributes={"gtin": 4006381333948, "model_no": 4712, "mpn": "A-1235/B"}),
    Item(item_id="SKU-3", title="Stool", attributes={"gtin": 4006381333955, "model_no": 815, "mpn": "B-1234/C"}),
    Item(item_id="red-chair", title="Armchair", attributes={"isbn": "978-3-16-148410-0", "long": 12345678901234567890}),
    Item(item_id="lamp_X9", title="Lamp 4713", group_id="G-77/a", attributes={"storage": "256GB"}),
)
ENGLISH = (
    "Wi-Fi router AC1900", "T-Shirt men", "iPhone 15 Pro 256GB", "Multi-purpose cleaner", "C++ Primer", "C# in Depth",
    "In-ear headphones", "Levi's jeans", "O'Neill jacket", "The Who: Live", "It", "To be or not to be", "Café crème", "Bread",
    "Ｗｉｄｅ ｌａｍｐ", "Bosch GSR 18V-28 drill", "Widget ABC-123/45", "usb_hub_black", "Sander PEX300AE",
)  # fmt: skip
JUDGED = {
    ("french", ("Thé vert", "Pâtes fraîches", "Café moulu", "Vélo électrique", unicodedata.normalize("NFD", "Café en grains"),
                "L'œuvre d'art", "Pates au beurre")): {
        "pates": {1, 6}, "pâtes": {1, 6}, "cafe": {2, 4}, "café": {2, 4}, unicodedata.normalize("NFD", "café"): {2, 4},
        "velos": {3}, "VELO": {3}, "the": {0}, "oeuvre": {5}, "œuvre": {5},
    },
    ("spanish", ("Sofá gris", "Muñeca niña", "Camión de juguete")): {
        "sofa": {0}, "nina": {1}, "muneca": {1}, "camiones": {2}, "camion": {2},
    },
    ("portuguese", ("Avião de papel", "Corações de chocolate")): {
        "aviao": {0}, "avião": {0}, "coracoes": {1}, "coração": {1},
    },
    ("italian", ("Caffè macinato", "Tè verde")): {"caffe": {0}, "caffè": {0}, "te": {1}},
    ("german", ("Laufschuhe für Damen", "Kinderwagen blau", "Damen Schuhe", "Müsli", "Brot", "Straßenkarte", "Armbanduhr",
                "Crêpe Pfanne", "Herrenfahrrad")): {
        "Schuhe": {0, 2}, "Schuh": {0, 2}, "Wagen": {1}, "Kinder Wagen": {1}, "Kinderwagen": {1}, "Muesli": {3}, "Musli": {3},
        "rot": set(), "strassenkarte": {5}, "Strassen-Karte": {5}, "Uhren": {6}, "crepe": {7}, "Räder": {8}, "Fahrrad": {8},
        "Lauf Schuhe": {0, 2},
    },
    ("dutch", ("Hardloopschoenen", "Regenjas", "Crème brûlée")): {
        "schoenen": {0}, "jas": {1}, "regen jas": {1}, "creme brulee": {2},
    },
    ("swedish", ("Löparskor", "Räksmörgås", "Raka tändstickor")): {
        "skor": {0}, "loparskor": {0}, "löpar skor": {0}, "raksmorgas": {1}, "räksmörgås": {1}, "smörgås": {1}, "räka": set(),
        "raka": {2},
    },
    ("turkish", ("Şarj aleti", "IPHONE kılıfı", "Ağaç masa")): {
        "sarj": {0}, "şarj": {0}, "iphone": {1}, "agac": {2}, "ağacı": {2},
    },
    ("polish", ("Łóżko dziecięce", "Żółta lampa")): {"lozko": {0}, "łóżko": {0}, "zolta": {1}},
    ("russian", ("Ёлка искусственная", "Мёд", "Café")): {"елка": {0}, "ёлка": {0}, "мед": {1}, "cafe": {2}},
    ("cjk", ("緑茶", "お茶 セット", "机", "ｼｬﾂ", "ワイン Wi-Fi", "本")): {
        "茶": {0, 1}, "緑茶": {0}, "机": {2}, "シャツ": {3}, "wifi": {4}, "本": {5},
    },
    ("english", ENGLISH): {
        "wifi": {0}, "wi fi": {0}, "WI-FI": {0}, "tshirt": {1}, "t shirt": {1}, "iphone15": {2}, "256 gb": {2}, "iphone 15": {2},
        "multipurpose": {3}, "multi purpose": {3}, "C++": {4}, "c++": {4}, "C#": {5}, "inear": {6}, "levis": {7}, "levi's": {7},
        "oneill": {8}, "the who": {9}, "it": {10}, "to be or not to be": {11}, "creme": {12}, "cafe creme": {12}, "ac 1900": {0},
        "wide": {14}, "ＷＩＦＩ": {0}, "read": set(),
        "GSR18V28": {15}, "gsr-18v-28": {15}, "abc12345": {16}, "hub": {17}, "usb hub": {17}, "wi_fi": {0}, "pex 300 ae": {18},
    },
}  # fmt: skip


NAMED = (
    Item(
        item_id="mentions", title="Home and garden, garden and home", description="Home and garden. Sony in the home and garden."
    ),
    Item(item_id="category", title="Rake", categories=("Home and Garden",)),
    Item(item_id="tag", title="Spade", tags=("home and garden",), brand="Sony"),
    Item(item_id="author", title="The Dispossessed", author="Ursula K. Le Guin"),
    Item(item_id="attribute", title="Memento", attributes={"director": "Christopher Nolan"}),
    Item(item_id="about", title="Christopher Nolan and Ursula Le Guin", description="Of Christopher Nolan, by Ursula K. Le Guin"),
    Item(item_id="itself", title="Sony", description="A name"),
)


@pytest.fixture(scope="module")
def opened(module_settings: Callable[..., Settings]) -> Iterator[Callable[[str, Sequence[Item]], Ask]]:
    """Opens a store of a language with some items; questions to it are answered with the ids found, best first."""
    with ExitStack() as clients:
        made: dict[str, Ask] = {}

        def store(language: str, items: Sequence[Item]) -> Ask:
            if language not in made:
                client = Client(settings=module_settings().model_copy(update={"language": language}))
                clients.callback(client.close)
                client.insert_items(items)

                def ask(text: str, **options: object) -> list[str]:
                    answer = client.search(text, **options)  # type: ignore[arg-type]
                    assert answer.ranking.total == len(answer.hits)
                    return [hit.item_id for hit in answer.hits]

                made[language] = ask
            return made[language]

        yield store


QUESTIONS = [(language, titles, q, found) for (language, titles), judged in JUDGED.items() for q, found in judged.items()]


@pytest.mark.parametrize(("language", "titles", "question", "found"), QUESTIONS, ids=[f"{row[0]}-{row[2]}" for row in QUESTIONS])
def test_words_find_what_is_written_otherwise(
    opened: Callable[..., Ask], language: str, titles: tuple[str, ...], question: str, found: set[int]
) -> None:
    known = "standard" if language == "polish" else language
    ask = opened(known, [Item(item_id=f"x{n}", title=title) for n, title in enumerate(titles)])
    hits = [int(item_id[1:]) for item_id in ask(question)]
    assert set(hits[: len(found)] if found else hits) == found


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("4006381333931", "SKU-1"), ("4006381 333931", "SKU-1"), ("4006381333948", "SKU-2"), ("4711", "SKU-1"), ("815", "SKU-3"),
        ("SKU-1", "SKU-1"), ("sku 1", "SKU-1"), ("sku1", "SKU-1"), ("A-1234/B", "SKU-1"), ("A1234B", "SKU-1"),
        ("a 1234 b", "SKU-1"), ("B-1234/C", "SKU-3"), ("oak table a1234b", "SKU-1"), ("red-chair", "red-chair"),
        ("RED-CHAIR", "red-chair"), ("9783161484100", "red-chair"), ("978-3-16-148410-0", "red-chair"), ("x9", "lamp_X9"),
        ("lamp_x9", "lamp_X9"), ("g77a", "lamp_X9"), ("lamp 256 gb", "lamp_X9"), ("12345678901234567890", "red-chair"),
        ("4713", "lamp_X9"),
    ],
)  # fmt: skip
def test_codes_come_first(opened: Callable[..., Ask], question: str, first: str) -> None:
    assert opened("en", CODES)(question)[0] == first


@pytest.fixture(scope="module")
def drinks(module_settings: Callable[..., Settings]) -> Iterator[Client]:
    """A small shop with the default text model, and somebody who knows it."""
    titles = ("Coffee beans", "Espresso machine", "Tea pot", "Garden hose")
    with Client(settings=module_settings(text="all-MiniLM-L6-v2")) as client:
        items = [Item(item_id=str(n), title=title, brand="Acme", categories=("Shop",)) for n, title in enumerate(titles)]
        table = Item(item_id="SKU-9", title="Oak Table", brand="Zenith", attributes={"gtin": 4006381333931})
        client.insert_items([*items, table, Item(item_id="9", title="Kettle", brand="Acme", attributes={"use": "brew slowly"})])
        client.put_events([Event(event_type="purchase", user_id="u1", item_id="0")])
        yield client


def test_pages_of_a_search_have_one_total(drinks: Client) -> None:
    pages = [drinks.search("coffee", n=1, offset=offset) for offset in range(6)]
    shown = [hit.item_id for page in pages for hit in page.hits]
    assert {page.ranking.total for page in pages} == {len(shown)}
    assert shown[0] == "0" and len(shown) == len(set(shown)) > 1
    assert "3" not in shown


def test_the_facets_are_those_of_what_is_shown(drinks: Client) -> None:
    answer = drinks.search("coffee", facets=True)
    assert sum(answer.ranking.facets["brand"].values()) == answer.ranking.total == len(answer.hits)


@pytest.mark.parametrize("user", [None, "u1"])
@pytest.mark.parametrize("nonsense", ["qwxzy", "xkcdvb jjjq", "???", "0000011111"])
def test_what_nobody_knows_finds_nothing(drinks: Client, nonsense: str, user: str | None) -> None:
    answer = drinks.search(nonsense, user_id=user, explore=1.0)
    assert (answer.hits, answer.ranking.total, answer.ranking.suggestion) == ((), 0, None)
    assert not answer.ranking.degraded


def test_other_words_of_the_catalogue_are_suggested(drinks: Client) -> None:
    async def later() -> str | None:
        async with AsyncClient(settings=drinks.workspace.settings) as client:
            return (await client.search("mashene")).ranking.suggestion

    assert drinks.search("mashene").to_dict()["suggestion"] == "machine"
    (answered,) = drinks.execute_many([Query(text="mashene")])
    assert isinstance(answered, Answer) and answered.ranking.suggestion == "machine"
    assert asyncio.run(later()) == "machine"
    assert drinks.search("Zenih", personalization=0.0).ranking.suggestion == "zenith"


def test_filters_are_no_reason_to_suggest(drinks: Client) -> None:
    for known in ("coffee", "brew", "4006381333931"):
        answer = drinks.search(known, filter={"brand": "nobody"})
        assert (answer.hits, answer.ranking.total, answer.ranking.suggestion) == ((), 0, None)
    assert drinks.search("coffee").ranking.suggestion is None


def test_what_is_near_needs_no_word(drinks: Client) -> None:
    answer = drinks.search("furniture")
    assert [hit.item_id for hit in answer.hits] == ["SKU-9"]
    assert answer.ranking.total == 1


@pytest.mark.parametrize("code", ["4006381333931", "SKU-9", "sku9"])
def test_a_code_comes_first_beside_the_text_model_and_a_profile(drinks: Client, code: str) -> None:
    answer = drinks.search(code, user_id="u1")
    assert answer.hits[0].item_id == "SKU-9"
    assert answer.ranking.total == len(answer.hits) == 1


def test_tuned_stores_and_stores_of_earlier_releases_answer(es: Elasticsearch, store_name: str) -> None:
    """The fields of today's analysis are asked for wherever the store has them; where it doesn't, the rest answers."""
    old = f"{store_name}-items"
    es.indices.create(index=old, mappings={"properties": {"title": {"type": "text", "analyzer": "english"}}})
    es.index(index=old, id="1", document={"title": "Running shoes"}, refresh=True)
    for text in ("running shoes", "a-1234", "the who", "256 gb"):
        assert "error" not in es.search(index=old, query=lexical_query(text)).body
    assert es.search(index=old, query=lexical_query("run")).body["hits"]["total"]["value"] == 1


@pytest.fixture(scope="module")
def names(module_settings: Callable[..., Settings]) -> Iterator[Client]:
    """Items that have a name, and others that mention it."""
    with Client(settings=module_settings()) as client:
        client.insert_items(NAMED)
        yield client


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("home and garden", {"category", "tag"}),
        ("HOME AND GARDEN ", {"category", "tag"}),
        ("ursula k. le guin", {"author"}),
        ("christopher nolan", {"attribute"}),
        ("sony", {"itself"}),
    ],
)
def test_what_has_a_whole_name_comes_before_what_mentions_it(names: Client, text: str, first: set[str]) -> None:
    found = [hit.item_id for hit in names.search(text).hits]
    assert set(found[: len(first)]) == first
    assert len(found) > len(first)
