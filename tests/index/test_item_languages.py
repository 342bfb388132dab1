"""The language of an item in a store that mixes languages, and the fields that its texts go into."""

from __future__ import annotations

import pytest

from es_recsys import Item
from es_recsys.index.analysis import mixed_analysis
from es_recsys.index.documents import to_document
from es_recsys.index.item_languages import ItemLanguages
from es_recsys.index.mappings import items_body
from es_recsys.index_metadata import IndexMetadata
from es_recsys.languages import mixed_analyzers

pytest.importorskip("py3langid")

# One title a language that has nothing but its words to tell it by, and one that has its script.
TITLES = {
    "english": "Waterproof hiking boots for women",
    "german": "Wasserdichte Wanderschuhe für Damen",
    "french": "Chaussures de randonnée imperméables pour femme",
    "spanish": "Zapatillas de montaña impermeables para mujer",
    "italian": "Scarpe da montagna impermeabili per donna",
    "dutch": "Waterdichte wandelschoenen voor dames",
    "turkish": "Kadınlar için su geçirmez yürüyüş ayakkabısı",
    "russian": "Водонепроницаемые ботинки для женщин",
    "arabic": "حذاء رياضي مقاوم للماء للنساء",
    "chinese": "女士防水登山鞋 Gore-Tex",
    "cjk": "レディース 防水 トレッキングシューズ",
    "hebrew": "נעלי הליכה לנשים",
    "thai": "รองเท้าเดินป่าผู้หญิง",
    "greek": "Αδιάβροχα παπούτσια πεζοπορίας",
    "hindi": "महिलाओं के जूते",
}


@pytest.mark.parametrize("language", TITLES)
def test_the_language_of_a_title(language: str) -> None:
    assert find(Item(item_id="1", title=TITLES[language]))[0] == language


@pytest.mark.parametrize("stated", ["de", "german", "German", "de-AT", "de_CH"])
def test_what_an_item_says_wins(stated: str) -> None:
    assert find(Item(item_id="1", title="Running shoes for women", attributes={"language": stated})) == ("german",)


def test_a_language_that_nobody_knows_is_guessed() -> None:
    item = Item(item_id="1", title="Running shoes for women with a good grip", attributes={"language": "Klingon"})
    assert find(item)[0] == "english"


def test_words_that_say_nothing_have_no_language() -> None:
    assert find(Item(item_id="1")) == find(Item(item_id="1", title="4711 / 0815")) == ("standard",)


def test_a_few_words_may_leave_several_open() -> None:
    """These two words are the same in languages of neighbours."""
    assert {"spanish", "galician"} <= set(find(Item(item_id="1", title="Ventilador silencioso")))


def test_of_languages_that_are_named_items_are_in_no_other() -> None:
    languages = ItemLanguages("de, english")
    assert languages.find(to_document(Item(item_id="1", title=TITLES["dutch"])))[0] in ("german", "english")
    assert languages.find(to_document(Item(item_id="1", title=TITLES["thai"]))) == ("standard",)
    assert languages.find(to_document(Item(item_id="1", title="Boots", attributes={"language": "fr"}))) == ("standard",)


def test_texts_go_into_the_fields_of_their_language() -> None:
    languages = ItemLanguages("english,german")
    item = Item(
        item_id="1",
        title=TITLES["german"],
        categories=("Schuhe",),
        brand="Alpstein",
        attributes={"color": "rot", "sizes": ("39", "40"), "year": 2019, "language": "de", "size.unit": "EU"},
    )
    source = languages.with_fields(to_document(item))
    assert source["by_language"] == {
        "title": {"german": item.title},
        "all_text": {"german": [item.title, "Schuhe", "Alpstein", "rot", "39", "40", "de", "2019", "EU"]},
        "ends": {"german": [item.title, "Schuhe", "Alpstein"]},
        "heads": {"german": [item.title, "Schuhe", "Alpstein"]},
    }
    assert languages.counts == {"german": 1}
    assert {name: value for name, value in source.items() if name != "by_language"} == to_document(item)


def test_an_index_has_the_analysers_of_all_its_languages() -> None:
    chains = mixed_analysis(mixed_analyzers("english,german,chinese"))
    names = chains["analyzer"]
    for language in ("standard", "english", "german", "chinese"):
        assert {f"content_{language}", f"content_search_{language}"} <= names.keys()
    assert {"ends_german", "ends_search_german"} <= names.keys()
    assert "ends_english" not in names
    assert names["content"] == names["content_standard"]
    assert "content_stemmer_german" in names["content_german"]["filter"]
    # Each filter that a chain names is Elasticsearch's own or there.
    own = {part for body in names.values() for part in body.get("filter", ()) if part.startswith("content_")}
    assert own <= chains["filter"].keys()


def test_only_an_index_of_several_languages_has_their_fields() -> None:
    one, several = (items_body(IndexMetadata("s", 1, language=language), 0)["mappings"] for language in ("german", "german,en"))
    assert "by_language" not in one["properties"]
    assert several["properties"]["by_language"] == {"type": "object", "dynamic": True}
    assert len(several["dynamic_templates"]) == len(one["dynamic_templates"]) + 4


def find(item: Item) -> tuple[str, ...]:
    return ItemLanguages("auto").find(to_document(item))
