"""Judged searches in one catalogue of many languages, each judgment with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from es_recsys import Client, Item
from es_recsys.index.analysis import simplified_characters
from es_recsys.settings import Settings

pytest.importorskip("py3langid")
pytestmark = pytest.mark.engine

TITLES = (
    "Running shoes for women with a soft sole",  # 0
    "Waterproof hiking boots for men",  # 1
    "The best of Norwegian folk songs",  # 2
    "Damenlaufschuhe für den Wald mit weicher Sohle",  # 3
    "Bücher über die Geschichte der Eisenbahn",  # 4
    "Geburtstagskarten für die ganze Familie",  # 5
    "Chaussures de course pour femme",  # 6
    "Les chevaux sauvages de la Camargue, un livre pour enfants",  # 7
    "Zapatillas para correr por la montaña",  # 8
    "Libros de cocina para niños pequeños",  # 9
    "Мужские кроссовки для бега",  # 10
    "Книги об истории железной дороги",  # 11
    "女士跑步鞋",  # 12
    "無線耳機",  # 13
    "レディース ランニングシューズ",  # 14
    "أحذية رياضية للرجال",  # 15
    "Kırmızı ışıklı çocuk ayakkabıları",  # 16
    "Hardloopschoenen voor heren met een zachte zool",  # 17
    "רכבות של ישראל, ספר לילדים",  # 18
    "Nike Air Zoom",  # 19
    "Lampe für das Wohnzimmer",  # 20
    "Weißes Regal aus Holz",  # 21
    "Weiße Decke zum Kuscheln",  # 22
)

JUDGED: list[tuple[str, set[int]]] = [
    ("running shoe", {0}),  # English: one of a plural
    ("shoes for woman", {0}),  # a stop word between, and an irregular plural that the rest makes up for
    ("boot", {1}),  # English: one of a plural
    ("folk song", {2}),  # English, beside "Norwegian", which is no language of the text
    ("Laufschuhe", {3}),  # German: the end of a compound
    ("Laufschuh", {3}),  # its singular
    ("Buch Eisenbahn", {4}),  # German: the plural has an umlaut
    ("buecher", {4}),  # ue for ü
    ("Karte", {5}),  # German: the end of a compound, in the plural
    ("die Geschichte der Eisenbahn", {4}),  # German stop words find no other German item
    ("chaussure femme", {6}),  # French: one of a plural
    ("cheval sauvage", {7}),  # French: -aux is the plural of -al
    ("zapatilla montana", {8}),  # Spanish: one of a plural, and n for ñ
    ("libro niño", {9}),  # Spanish: one of two plurals
    ("кроссовок", {10}),  # Russian: the genitive
    ("книга история", {11}),  # Russian: the nominative of two words
    ("跑步鞋", {12}),  # Chinese: within a longer run
    ("无线耳机", {13}),  # simplified finds traditional characters
    ("ﾗﾝﾆﾝｸﾞ", {14}),  # Japanese in half width
    ("الاحذية", {15}),  # Arabic: the article, and a bare alef
    ("isikli ayakkabi", {16}),  # Turkish, typed without its letters
    ("schoenen", {17}),  # Dutch: the end of a compound
    ("הרכבות", {18}),  # Hebrew: with the article
    ("nike", {19}),  # a brand is in no language
    ("Wohnzimmerlampe", {20}),  # German: a compound that the title has in two words
    ("weiße Kuscheldecken", {22}),  # German: the same beside another word, which two titles have
    ("runing shoes", {0}),  # a letter that is missing
]


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings]) -> Iterator[Client]:
    with Client(settings=module_settings().model_copy(update={"language": "auto"})) as client:
        client.insert_items(Item(item_id=str(n), title=title) for n, title in enumerate(TITLES))
        yield client


@pytest.mark.parametrize(("question", "found"), JUDGED, ids=[question for question, _ in JUDGED])
def test_judged_searches(client: Client, question: str, found: set[int]) -> None:
    if question == "无线耳机" and not simplified_characters():
        pytest.skip("the package opencc is not installed")
    hits = [int(hit.item_id) for hit in client.search(question).hits]
    assert set(hits[: len(found)]) == found


def test_stop_words_of_a_language_match_nothing(client: Client) -> None:
    """Of "die Geschichte", an item with "die" alone is no match; it would be one if words were read in no language."""
    assert [hit.item_id for hit in client.search("die Geschichte").hits] == ["4"]
    assert client.search("die Geschichte").ranking.total == 1


def test_what_an_item_says_of_itself_wins(client: Client) -> None:
    """The name of a film looks English; its language says how it is read, so that "Angst" finds "Ängste"."""
    client.insert_items([Item(item_id="film", title="Ängste im Hotel Modern", attributes={"language": "de"})])
    assert client.search("Angst").hits[0].item_id == "film"
    assert [hit.item_id for hit in client.recommend(n=5, filter={"attributes.language": "de"}).hits] == ["film"]
    client.delete_items(["film"])


def test_a_new_language_comes_with_its_first_item(client: Client) -> None:
    report = client.insert_items([Item(item_id="fi", title="Naisten vedenpitävät kengät retkeilyyn ja metsään")])
    assert "finnish 1" in " ".join(report.notes)
    assert client.search("kenkä").hits == () or client.search("kengät").hits[0].item_id == "fi"
    client.delete_items(["fi"])


def test_a_store_of_named_languages(module_settings: Callable[..., Settings]) -> None:
    with Client(settings=module_settings().model_copy(update={"language": "english,german"})) as client:
        client.insert_items([Item(item_id="1", title="Laufschuhe"), Item(item_id="2", title="Shoes")])
        assert [hit.item_id for hit in client.search("Schuh").hits] == ["1"]
