"""Judged searches in languages whose words a plain analyser doesn't find: small catalogues, each judgment with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest

from es_recsys import Client, Item
from es_recsys.index.analysis import simplified_characters
from es_recsys.settings import Settings

pytestmark = pytest.mark.engine

CATALOGUES = {
    "chinese": ("男士运动鞋", "無線耳機", "绿茶 茶叶", "实木餐桌", "Nike 跑步鞋", "運動手錶"),
    "japanese": ("メンズ ランニングシューズ", "ワイヤレスイヤホン", "緑茶 ティーバッグ", "木製ダイニングテーブル", "子供用の靴"),
    "korean": ("남성용 운동화", "무선 이어폰", "녹차 티백", "원목 식탁", "아이들의 신발을 위한 끈"),
    "arabic": ("حذاء رياضي للرجال", "سَمَّاعات لاسلكية", "شاي أخضر", "الطاولة الخشبية", "أحذية أطفال", "مدرسة"),
    "hebrew": ("נעלי ריצה לגברים", "אוזניות אלחוטיות", "תה ירוק", "שולחן עץ לגינה", "שִׂמְלָה אדומה", "המחשב הנייד"),
    "thai": ("รองเท้าวิ่งผู้ชาย", "หูฟังไร้สาย", "ชาเขียว", "โต๊ะไม้", "รองเท้าแตะ Nike"),
    "turkish": ("İpek eşarp", "Kırmızı ışıklı ayakkabı", "IŞIKLI ÇOCUK BOTU", "Şarj aleti", "İSTANBUL haritası", "Çay bardağı"),
    "german": (
        "Damenlaufschuhe",
        "Geburtstagskarte",
        "Müsliriegel",
        "Größe XL Regenjacke",
        "Handschuhe",
        "Fußballschuhe",
        "Lampe für das Wohnzimmer",
        "Weißes Regal für Bücher",
        "Weiße Decke zum Kuscheln",
    ),
    "dutch": (
        "Hardloopschoenen",
        "Verjaardagskaart",
        "Keukentafel",
        "Ideeënboek",
        "Kinderfiets",
        "Lamp voor de woonkamer",
        "Witte plank om op te zitten",
        "Witte deken om te knuffelen",
    ),
    "french": ("Chaussures de course", "Écouteurs sans fil", "Thé vert", "Table à manger", "Œufs en chocolat"),
    "russian": ("Мужские кроссовки", "Беспроводные наушники", "Зелёный чай", "Деревянный стол"),
    "english": ("❤️ Mug", "Thumbs up 👍🏽 sticker", "🎧 Headphones", "Ｎｉｋｅ　Ａｉｒ", "Façade lamp"),
}

JUDGED: dict[str, list[tuple[str, set[int]]]] = {
    "chinese": [
        ("运动鞋", {0}),  # the words as they stand, within a longer run
        ("運動鞋", {0}),  # the same in traditional characters
        ("无线耳机", {1}),  # simplified finds what is written in traditional ones
        ("綠茶", {2}),  # traditional, of two characters
        ("茶", {2}),  # one character is a word
        ("餐桌", {3}),  # the end of a run
        ("ｎｉｋｅ", {4}),  # Latin letters in full width
        ("运动手表", {5}),  # half of it is in "运动鞋", too, which comes after
        ("运懂鞋", {0}),  # a character that sounds alike: two of three are right
    ],
    "japanese": [
        ("ランニングシューズ", {0}),  # a word in katakana
        ("ﾗﾝﾆﾝｸﾞｼｭｰｽﾞ", {0}),  # the same in half width, its marks apart
        ("イヤホン", {1}),  # the second part of a compound
        ("緑茶", {2}),  # two characters
        ("靴", {4}),  # one character
        ("テーブル", {3}),  # beside characters of another script
    ],
    "korean": [
        ("운동화", {0}),  # a word as it stands
        ("이어폰", {1}),  # the second of two
        ("신발", {4}),  # without the particle that hangs on it
        ("식탁", {3}),  # two syllables
        ("무선이어폰", {1}),  # without the blank
    ],
    "arabic": [
        ("حذاء رياضي", {0}),  # as it stands
        ("سماعات", {1}),  # without the marks of vowels
        ("الشاي", {2}),  # with the article
        ("طاولة", {3}),  # without the article that the title has
        ("طاوله", {3}),  # ه for ة, as many type
        ("احذية", {4}),  # a bare alef for one with hamza
        ("المدرسه", {5}),  # both at once
    ],
    "hebrew": [
        ("נעל", {0}),  # one of what the title has in the plural
        ("נעליים", {0}),  # the plural by itself, where the title has it before a noun
        ("הנעליים", {0}),  # with the article
        ("אוזנייה", {1}),  # one of a plural in -ות
        ("שולחן", {3}),  # a final letter
        ("לשולחן", {3}),  # with a preposition
        ("שמלה", {4}),  # the title has points
        ("שמלות", {4}),  # the plural
        ("מחשב", {5}),  # the title has the article
        ("ומחשבים", {5}),  # "and", and the plural
    ],
    "thai": [
        ("รองเท้า", {0, 4}),  # the beginning of two runs
        ("รองเท้าวิ่ง", {0}),  # the longer word first
        ("หูฟัง", {1}),  # a word of five letters
        ("ชา", {2}),  # of two: shorter than what is looked for, and still first where it begins a run
        ("โต๊ะ", {3}),  # with marks above
        ("nike", {4}),  # Latin letters
        ("รองเทาวิ่ง", {0}),  # without a tone mark
    ],
    "turkish": [
        ("ipek", {0}),  # i for İ
        ("İpek", {0}),  # the capital as it is
        ("istanbul", {4}),  # the title is in capitals
        ("İstanbul haritası", {4}),  # the whole title, in another case
        ("ışıklı", {1, 2}),  # one of them in capitals, where ı is I
        ("isikli", {1, 2}),  # typed without the language's letters
        ("sarj", {3}),  # the same of ş
        ("bardak", {5}),  # the stem changes its last letter
    ],
    "german": [
        ("Schuhe", {0, 4, 5}),  # the end of three compounds
        ("Laufschuhe", {0}),  # a compound that ends another
        ("Karte", {1}),  # after a joining s
        ("Riegel", {2}),  # the end
        ("groesse", {3}),  # oe and ss for ö and ß
        ("Fussballschuhe", {5}),  # ss for ß within a word
        ("Jacken", {3}),  # the plural, at the end of a compound
        ("Wohnzimmerlampen", {6}),  # a compound that the title has in two words
        ("weiße Kuscheldecken", {8}),  # the same beside another word, which two titles have
    ],
    "dutch": [
        ("schoenen", {0}),  # the end of a compound
        ("kaart", {1}),  # after a joining s
        ("tafel", {2}),  # the end
        ("ideeenboek", {3}),  # without the diaeresis
        ("fietsen", {4}),  # the plural, at the end of a compound
        ("woonkamerlamp", {5}),  # a compound that the title has in two words
        ("witte knuffeldekens", {7}),  # the same beside another word, which two titles have
    ],
    "french": [
        ("chaussure course", {0}),  # one of a plural
        ("ecouteurs", {1}),  # without the accent
        ("ÉCOUTEUR", {1}),  # capitals, with it
        ("the vert", {2}),  # "the" is no stop word here
        ("oeufs", {4}),  # two letters for one
    ],
    "russian": [
        ("кроссовок", {0}),  # the genitive
        ("наушник", {1}),  # one of a plural
        ("зеленый", {2}),  # е for ё
        ("столы", {3}),  # the plural
        ("крассовки", {0}),  # a wrong vowel
    ],
    "english": [
        ("❤", {0}),  # without the selector of its colours
        ("❤️", {0}),  # with it
        ("👍", {1}),  # in another skin tone
        ("🎧", {2}),  # an emoji is a word
        ("nike air", {3}),  # the title is in full width, its blank too
        ("facade", {4}),  # without the cedilla
    ],
}

SUGGESTED = {
    "japanese": ("ワイヤレスイヤボン", "ワイヤレスイヤホン"),  # one letter of a long word in katakana
    "arabic": ("لاسلكبة", "لاسلكية"),  # one letter beside the right one
    "hebrew": ("אלחוטיוצ", "אלחוטיות"),  # the last letter
    "turkish": ("haritasu", "haritası"),  # a vowel of another harmony
    "german": ("Geburtstagskrate", "geburtstagskarte"),  # two letters changed places
    "russian": ("наушнеки", "наушники"),  # a vowel
}  # fmt: skip


@pytest.fixture(scope="module")
def stores(module_settings: Callable[..., Settings]) -> Iterator[Callable[[str], Client]]:
    """Opens a store of a language with its catalogue."""
    with ExitStack() as clients:
        made: dict[str, Client] = {}

        def store(language: str) -> Client:
            if language not in made:
                client = Client(settings=module_settings().model_copy(update={"language": language}))
                clients.callback(client.close)
                titles = CATALOGUES[language]
                client.insert_items(
                    Item(item_id=str(n), title=title, brand=f"{titles[0]} {n % 2}", attributes={titles[1]: titles[n % 2]})
                    for n, title in enumerate(titles)
                )
                made[language] = client
            return made[language]

        yield store


@pytest.mark.parametrize("language", list(JUDGED))
def test_judged_searches(stores: Callable[[str], Client], language: str) -> None:
    if language == "chinese" and not simplified_characters():
        pytest.skip("the package opencc is not installed")
    wrong = {}
    for question, found in JUDGED[language]:
        hits = _ids(stores(language), question)
        if set(hits[: len(found)]) != found:
            wrong[question] = hits
    assert wrong == {}


@pytest.mark.parametrize("language", list(SUGGESTED))
def test_what_was_meant_is_suggested_or_found(stores: Callable[[str], Client], language: str) -> None:
    typed, meant = SUGGESTED[language]
    answer = stores(language).search(typed)
    expected = _ids(stores(language), meant)[:1]
    assert answer.ranking.suggestion == meant or [int(hit.item_id) for hit in answer.hits[:1]] == expected


@pytest.mark.parametrize("language", list(CATALOGUES))
def test_filters_by_names_and_values_in_any_script(stores: Callable[[str], Client], language: str) -> None:
    titles = CATALOGUES[language]
    client = stores(language)
    even = {str(n) for n in range(0, len(titles), 2)}
    for condition in ({"brand": f"{titles[0]} 0"}, {f"attributes.{titles[1]}": titles[0]}):
        assert {hit.item_id for hit in client.recommend(n=20, filter=condition).hits} == even
    assert _ids(client, titles[2], filter={"title": titles[2]}) == ["2"]


def _ids(client: Client, text: str, **options: object) -> Sequence[str | int]:
    hits = client.search(text, **options).hits  # type: ignore[arg-type]
    return [hit.item_id if options else int(hit.item_id) for hit in hits]
