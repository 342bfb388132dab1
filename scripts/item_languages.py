"""Measure by short titles how well the language of an item is found, and what a search costs where a store mixes languages.

    python scripts/item_languages.py titles
    python scripts/item_languages.py searches [--items N]

`titles`: of titles of two to seven words, how many are in their language's fields, with "auto" and with the languages named.
`searches`: the milliseconds that the words of a search take in one catalogue of several languages, read as English and by item,
on the embedded node or at ES_RECSYS_URL; items are made of random words of the titles.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from functools import partial

from elasticsearch import Elasticsearch
from measuring import own_store, stored_bytes, timed

from es_recsys import Item
from es_recsys.index.documents import to_document
from es_recsys.index.item_languages import ItemLanguages
from es_recsys.languages import is_mixed
from es_recsys.search.lexical import TextMatching, lexical_query
from es_recsys.settings import EncoderSettings

_ROUNDS = 25

TITLES = {
    "english": (
        "red running shoes", "cordless drill", "wooden garden chair", "the last summer", "stainless steel water bottle",
        "warm socks for winter", "council votes on new school", "kids' bike helmet", "gluten free bread mix", "how to bake bread",
        "leather wallet for men", "quiet desk fan",
    ),
    "german": (
        "rote Laufschuhe", "Akkuschrauber", "Gartenstuhl aus Holz", "der letzte Sommer", "Trinkflasche aus Edelstahl",
        "warme Socken für den Winter", "Stadtrat stimmt für neue Schule", "Fahrradhelm für Kinder", "glutenfreie Brotmischung",
        "Brot selbst backen", "Geldbörse aus Leder", "leiser Tischventilator",
    ),
    "french": (
        "chaussures de course rouges", "perceuse sans fil", "chaise de jardin en bois", "le dernier été",
        "gourde en acier inoxydable", "chaussettes chaudes pour l'hiver", "la mairie vote la nouvelle école",
        "casque de vélo enfant",
        "pain sans gluten", "faire son pain", "portefeuille en cuir", "ventilateur silencieux",
    ),
    "spanish": (
        "zapatillas de correr rojas", "taladro inalámbrico", "silla de jardín de madera", "el último verano",
        "botella de acero inoxidable", "calcetines cálidos de invierno", "el ayuntamiento aprueba la escuela",
        "casco de bicicleta infantil", "pan sin gluten", "hacer pan en casa", "cartera de cuero", "ventilador silencioso",
    ),
    "italian": (
        "scarpe da corsa rosse", "trapano a batteria", "sedia da giardino in legno", "l'ultima estate", "borraccia in acciaio",
        "calze calde per l'inverno", "il comune approva la nuova scuola", "casco da bici per bambini", "pane senza glutine",
        "fare il pane in casa", "portafoglio in pelle", "ventilatore silenzioso",
    ),
    "portuguese": (
        "tênis de corrida vermelho", "furadeira sem fio", "cadeira de jardim de madeira", "o último verão",
        "garrafa de aço inoxidável", "meias quentes para o inverno", "a câmara aprova a nova escola",
        "capacete de bicicleta infantil", "pão sem glúten",
        "fazer pão em casa", "carteira de couro", "ventilador silencioso",
    ),
    "dutch": (
        "rode hardloopschoenen", "accuboormachine", "houten tuinstoel", "de laatste zomer", "drinkfles van roestvrij staal",
        "warme sokken voor de winter", "gemeente stemt voor nieuwe school", "fietshelm voor kinderen", "glutenvrij brood",
        "zelf brood bakken", "leren portemonnee", "stille ventilator",
    ),
    "swedish": (
        "röda löparskor", "sladdlös borrmaskin", "trädgårdsstol av trä", "den sista sommaren", "vattenflaska av rostfritt stål",
        "varma strumpor för vintern", "kommunen röstar för ny skola", "cykelhjälm för barn", "glutenfritt bröd", "baka eget bröd",
        "plånbok i läder", "tyst bordsfläkt",
    ),
    "turkish": (
        "kırmızı koşu ayakkabısı", "şarjlı matkap", "ahşap bahçe sandalyesi", "son yaz", "paslanmaz çelik su şişesi",
        "kışlık sıcak çorap", "belediye yeni okulu onayladı", "çocuk bisiklet kaskı", "glutensiz ekmek", "evde ekmek yapımı",
        "deri cüzdan", "sessiz vantilatör",
    ),
    "russian": (
        "красные кроссовки", "аккумуляторная дрель", "деревянный садовый стул", "последнее лето", "бутылка из нержавеющей стали",
        "тёплые зимние носки", "город голосует за новую школу", "детский велосипедный шлем", "хлеб без глютена",
        "печём хлеб дома", "кожаный кошелёк", "тихий вентилятор",
    ),
    "arabic": (
        "حذاء جري أحمر", "مثقاب لاسلكي", "كرسي حديقة خشبي", "الصيف الأخير", "زجاجة ماء من الفولاذ", "جوارب شتوية دافئة",
        "البلدية توافق على مدرسة جديدة", "خوذة دراجة للأطفال", "خبز خال من الغلوتين", "خبز في البيت", "محفظة جلدية",
        "مروحة هادئة",
    ),
    "chinese": (
        "红色跑步鞋", "无绳电钻", "木制花园椅", "最后的夏天", "不锈钢水瓶", "冬季保暖袜", "市议会通过新学校", "儿童自行车头盔",
        "无麸质面包", "在家烤面包", "真皮钱包", "静音风扇",
    ),
}  # fmt: skip
"""Language -> titles, each of the same things."""


def measure_titles() -> None:
    kinds = {"auto": ItemLanguages("auto"), "named": ItemLanguages(",".join(TITLES))}
    print("share of titles whose likeliest language is right, and of those that are in the fields of the right one")
    print(f"{'':12}" + "".join(f"{f'{kind}, first':>14}{f'{kind}, among':>14}" for kind in kinds) + f"{'fields':>8}")
    rows: list[list[float]] = []
    for language, titles in TITLES.items():
        found = [[kind.find(to_document(Item(item_id="1", title=title))) for title in titles] for kind in kinds.values()]
        rows.append([share for names in found for share in _shares(language, names)])
        rows[-1].append(statistics.mean(map(len, found[0])))
        print(f"{language:12}{_row(rows[-1])}")
    print(f"{'all':12}{_row([statistics.mean(column) for column in zip(*rows, strict=True)])}")
    sources = [to_document(Item(item_id="1", title=title)) for titles in TITLES.values() for title in titles]
    started = time.process_time()
    for source in sources:
        kinds["auto"].find(source)
    print(f"{1e6 * (time.process_time() - started) / len(sources):.0f} microseconds of the processor a title")


def _shares(language: str, found: Sequence[tuple[str, ...]]) -> tuple[float, float]:
    return statistics.mean(names[0] == language for names in found), statistics.mean(language in names for names in found)


def _row(row: Sequence[float]) -> str:
    return "".join(f"{share:14.2f}" for share in row[:-1]) + f"{row[-1]:8.2f}"


def make_items(count: int, languages: Sequence[str]) -> Iterator[Item]:
    """Yield items with a title and a description of random words of a language, which each item names."""
    draw = random.Random(7)
    words = {language: sorted({word for title in TITLES[language] for word in title.split()}) for language in languages}
    for n in range(count):
        language = languages[n % len(languages)]
        title, text = (" ".join(draw.choices(words[language], k=k)) for k in (5, 40))
        yield Item(item_id=str(n), title=f"{title} {n % 997}", description=text, attributes={"language": language})


def measure_searches(count: int) -> None:
    """Print what the words of a search cost, and the size of the index, of one catalogue in an English store and a mixed one."""
    print(f"{count:,} items; the English titles are the queries, each asked {_ROUNDS} times, of which the quickest counts")
    print(f"{'languages':>10}{'--language':>12}{'ms':>8}{'index, MB':>11}")
    for languages in (4, len(TITLES)):
        items = list(make_items(count, list(TITLES)[:languages]))
        for language in ("english", "auto"):
            with own_store("languages", language=language, encoders=EncoderSettings(text="none", image="none")) as client:
                client.insert_items(items)
                es, name = client.workspace.es, f"{client.workspace.settings.index}-items"
                es.indices.forcemerge(index=name, max_num_segments=1)
                es.indices.flush(index=name)
                took, megabytes = _search_ms(es, name, language), stored_bytes(es, name) / 1e6
                print(f"{languages:10}{language:>12}{took:8.2f}{megabytes:11.1f}", flush=True)


def _search_ms(es: Elasticsearch, index: str, language: str) -> float:
    quickest = []
    for title in TITLES["english"]:
        query = lexical_query(title, TextMatching(mixed=is_mixed(language)))
        search = partial(es.search, index=index, query=query, size=100, source=False, track_total_hits=False)
        quickest.append(1_000.0 * min(timed(search) for _ in range(_ROUNDS)))
    return statistics.mean(quickest)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=["titles", "searches"])
    arguments.add_argument("--items", type=int, default=12_000)
    chosen = arguments.parse_args()
    if chosen.what == "titles":
        measure_titles()
    else:
        measure_searches(chosen.items)


if __name__ == "__main__":
    main()
