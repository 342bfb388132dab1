"""The embedded node analyses text as the full distribution does.

Expected tokens are those that Elasticsearch's reference shows for the same text, or that follow from its definition of the
analyzer; the tests hold on any server.
"""

from __future__ import annotations

from typing import Any

import pytest
from elasticsearch import BadRequestError, Elasticsearch

pytestmark = pytest.mark.engine

LANGUAGES = {
    "arabic": ("الكتاب والولد", ["كتاب", "ولد"]),
    "armenian": ("արծիվներ", ["արծ"]),
    "basque": ("zaldiak", ["zaldi"]),
    "bengali": ("বাড়ী", ["বার"]),
    "brazilian": ("meninos boataria", ["menin", "boat"]),
    "bulgarian": ("градове", ["град"]),
    "catalan": ("l'llengües", ["llengu"]),
    "cjk": ("我是中国人 ﾊﾝｶｸ shoes", ["我是", "是中", "中国", "国人", "ハン", "ンカ", "カク", "shoes"]),
    "czech": ("pohádka a pohádky", ["pohádk", "pohádk"]),
    "danish": ("undersøgelse og undersøg", ["undersøg", "undersøg"]),
    "dutch": ("de lichamelijke schoenen", ["licham", "schoen"]),
    "english": ("The dogs' running shoes, and John's cities", ["dog", "run", "shoe", "john", "citi"]),
    "estonian": ("ja teadaolevalt", ["teadaole"]),
    "finnish": ("ja edeltäjiinsä edeltäjistään", ["edeltäj", "edeltäj"]),
    "french": ("L'avion des chevaux", ["avion", "cheval"]),
    "galician": ("e correspondente", ["correspond"]),
    "german": ("Die Häuser und schönen Schuhe", ["haus", "schon", "schuh"]),
    "greek": ("Τα παπούτσια", ["παπουτσ"]),
    "hindi": ("किताबें", ["किताब"]),
    "hungarian": ("a babakocsi és babakocsijáért", ["babakocs", "babakocs"]),
    "indonesian": ("peledakan pembunuhan", ["ledak", "bunuh"]),
    "irish": ("an siopadóireacht", ["siopadóir"]),
    "italian": ("dell'abbandonata scarpa", ["abbandonat", "scarp"]),
    "latvian": ("un tirgiem tirgus", ["tirg", "tirg"]),
    "lithuanian": ("ir vaikų vaikai", ["vaik", "vaik"]),
    "norwegian": ("og havnedistriktene havnedistrikter", ["havnedistrikt", "havnedistrikt"]),
    "persian": ("کتاب‌های", ["\u0643تاب"]),
    "portuguese": ("os quilométricas sapatos", ["quilometric", "sapat"]),
    "romanian": ("și absenţa absenţi", ["absenț", "absenț"]),
    "russian": ("и ботинки ботинок", ["ботинк", "ботинок"]),
    "serbian": ("i čarape", ["carap"]),
    "sorani": ("پیاوەکان", ["پیاو"]),
    "spanish": ("los zapatos chicanas", ["zapat", "chican"]),
    "swedish": ("och jaktkarlarne jaktkarlens", ["jaktkarl", "jaktkarl"]),
    "thai": ("การที่ได้ต้องแสดงว่างานดี", ["แสดง", "งาน", "ดี"]),
    "turkish": ("ve ağacı ağaç", ["ağaç", "ağaç"]),
}

FILTERS: list[tuple[str, Any, str, list[str]]] = [
    ("standard", "apostrophe", "Istanbul'a veya Istanbul'dan", ["Istanbul", "veya", "Istanbul"]),
    ("standard", "asciifolding", "açaí à la carte", ["acai", "a", "la", "carte"]),
    ("standard", {"type": "asciifolding", "preserve_original": True}, "açaí", ["acai", "açaí"]),
    (
        "standard",
        "cjk_bigram",
        "東京都は、日本の首都であり",
        ["東京", "京都", "都は", "日本", "本の", "の首", "首都", "都で", "であ", "あり"],
    ),
    (
        "standard",
        {"type": "cjk_bigram", "ignored_scripts": ["han"], "output_unigrams": True},
        "東京まで",
        ["東", "京", "ま", "まで", "で"],
    ),
    ("standard", "cjk_width", "ｼｰｻｲﾄﾞﾗｲﾅｰ", ["シーサイドライナー"]),
    ("whitespace", "decimal_digit", "१-one two-२ ३", ["1-one", "two-2", "3"]),
    (
        "standard",
        {"type": "dictionary_decompounder", "word_list": ["Donau", "dampf", "meer", "schiff"]},
        "Donaudampfschiff",
        ["Donaudampfschiff", "Donau", "dampf", "schiff"],
    ),
    ("standard", {"type": "edge_ngram", "min_gram": 1, "max_gram": 2}, "the quick fox", ["t", "th", "q", "qu", "f", "fo"]),
    ("standard", {"type": "edge_ngram", "min_gram": 2, "max_gram": 3, "side": "back"}, "quick", ["ck", "ick"]),
    ("standard", "edge_ngram", "the quick fox", ["t", "q", "f"]),
    ("standard", "elision", "j'examine près du wharf", ["examine", "près", "du", "wharf"]),
    ("standard", {"type": "elision", "articles": ["l"]}, "l'avion d'or", ["avion", "d'or"]),
    ("standard", "german_normalization", "straße größer", ["strasse", "grosser"]),
    ("whitespace", "keyword_repeat", "fox runs", ["fox", "fox", "runs", "runs"]),
    ("standard", "kstem", "the foxes jumping quickly", ["the", "fox", "jump", "quick"]),
    ("standard", {"type": "length", "min": 0, "max": 4}, "the quick brown fox over", ["the", "fox", "over"]),
    ("standard", "limit", "quick fox jumps", ["quick"]),
    ("standard", {"type": "limit", "max_token_count": 2}, "quick fox jumps", ["quick", "fox"]),
    ("standard", {"type": "lowercase", "language": "turkish"}, "IĞDIR", ["ığdır"]),
    ("standard", "ngram", "ab", ["a", "ab", "b"]),
    ("standard", {"type": "pattern_replace", "pattern": "(dog)", "replacement": "watch$1"}, "lazy dogs", ["lazy", "watchdogs"]),
    ("standard", "porter_stem", "jumping foxes", ["jump", "fox"]),
    ("standard", "reverse", "quick fox jumps", ["kciuq", "xof", "spmuj"]),
    ("standard", "scandinavian_folding", "blåbær räksmörgås", ["blabar", "raksmorgas"]),
    ("standard", "shingle", "quick brown fox", ["quick", "quick brown", "brown", "brown fox", "fox"]),
    ("standard", {"type": "snowball", "language": "English"}, "the foxes jumping quickly", ["the", "fox", "jump", "quick"]),
    ("standard", "stemmer", "the foxes jumping quickly", ["the", "fox", "jump", "quickli"]),
    ("standard", {"type": "stemmer", "language": "possessive_english"}, "John's dogs", ["John", "dogs"]),
    ("standard", {"type": "stemmer", "language": "light_german"}, "hauser", ["haus"]),
    ("standard", {"type": "stemmer", "language": "minimal_nynorsk"}, "husa", ["hus"]),
    ("standard", {"type": "stemmer", "language": "swedish"}, "jaktkarlens", ["jaktkarl"]),
    ("standard", {"type": "stemmer_override", "rules": ["running, runs => go"]}, "running runs run", ["go", "go", "run"]),
    ("standard", "stop", "a quick fox jumps over the lazy dog", ["quick", "fox", "jumps", "over", "lazy", "dog"]),
    ("standard", {"type": "stop", "stopwords": "_german_"}, "der schnelle und", ["schnelle"]),
    ("keyword", "trim", " fox ", ["fox"]),
    ("whitespace", "truncate", "the quinquennial extravaganza", ["the", "quinquenni", "extravagan"]),
    ("standard", "uppercase", "the Quick", ["THE", "QUICK"]),
    (
        "keyword",
        "word_delimiter_graph",
        "Neil's-Super-Duper-XL500--42+AutoCoder",
        ["Neil", "Super", "Duper", "XL", "500", "42", "Auto", "Coder"],
    ),
    (
        "keyword",
        {"type": "word_delimiter_graph", "catenate_all": True, "preserve_original": True},
        "wi-fi",
        ["wi-fi", "wifi", "wi", "fi"],
    ),
]

TOKENIZERS: list[tuple[Any, str, list[str]]] = [
    ("keyword", "New York", ["New York"]),
    ("letter", "The 2 QUICK Brown-Foxes", ["The", "QUICK", "Brown", "Foxes"]),
    ("whitespace", "The 2 Brown-Foxes.", ["The", "2", "Brown-Foxes."]),
    ("ngram", "Fox", ["F", "Fo", "o", "ox", "x"]),
    (
        {"type": "edge_ngram", "min_gram": 2, "max_gram": 10, "token_chars": ["letter", "digit"]},
        "2 Quick Foxes.",
        ["Qu", "Qui", "Quic", "Quick", "Fo", "Fox", "Foxe", "Foxes"],
    ),
    ("edge_ngram", "Quick", ["Q", "Qu"]),
    ("path_hierarchy", "/one/two/three", ["/one", "/one/two", "/one/two/three"]),
    (
        {"type": "path_hierarchy", "delimiter": "-", "replacement": "/", "skip": 2},
        "one-two-three-four-five",
        ["/three", "/three/four", "/three/four/five"],
    ),
    ("pattern", "The foo_bar_size's default is 5.", ["The", "foo_bar_size", "s", "default", "is", "5"]),
    ({"type": "pattern", "pattern": ","}, "a,b c", ["a", "b c"]),
    ("uax_url_email", "Email me at john.smith@example.com", ["Email", "me", "at", "john.smith@example.com"]),
]

CHAR_FILTERS: list[tuple[Any, str, list[str]]] = [
    ("html_strip", "<p>I&apos;m so <b>happy</b>!</p>", ["\nI'm so happy!\n"]),
    ({"type": "html_strip", "escaped_tags": ["b"]}, "<i>so</i> <b>happy</b>", ["so <b>happy</b>"]),
    ({"type": "mapping", "mappings": ["& => and", "\\u20AC => EUR"]}, "R&D 5€", ["RandD 5EUR"]),
    ({"type": "pattern_replace", "pattern": "(\\d+)-(?=\\d)", "replacement": "$1_"}, "123-456", ["123_456"]),
]


def _tokens(es: Elasticsearch, **request: Any) -> list[str]:
    return [token["token"] for token in es.indices.analyze(**request)["tokens"]]


@pytest.mark.parametrize(("language", "text", "expected"), [(name, *row) for name, row in LANGUAGES.items()], ids=list(LANGUAGES))
def test_language_analyzers(es: Elasticsearch, language: str, text: str, expected: list[str]) -> None:
    try:
        found = _tokens(es, analyzer=language, text=text)
    except BadRequestError:
        if language != "thai":
            raise
        pytest.skip("the Java of this node cannot find the words in Thai")
    assert found == expected


@pytest.mark.parametrize(("tokenizer", "filter_", "text", "expected"), FILTERS)
def test_token_filters(es: Elasticsearch, tokenizer: str, filter_: Any, text: str, expected: list[str]) -> None:
    assert _tokens(es, tokenizer=tokenizer, filter=[filter_], text=text) == expected


@pytest.mark.parametrize(("tokenizer", "text", "expected"), TOKENIZERS)
def test_tokenizers(es: Elasticsearch, tokenizer: Any, text: str, expected: list[str]) -> None:
    assert _tokens(es, tokenizer=tokenizer, text=text) == expected


@pytest.mark.parametrize(("char_filter", "text", "expected"), CHAR_FILTERS)
def test_char_filters(es: Elasticsearch, char_filter: Any, text: str, expected: list[str]) -> None:
    assert _tokens(es, tokenizer="keyword", char_filter=[char_filter], text=text) == expected


def test_english_is_the_chain_that_the_reference_gives_for_it(es: Elasticsearch) -> None:
    text = "The children's bicycles weren't in John's flying cities, but theirs were"
    chain = [
        {"type": "stemmer", "language": "possessive_english"},
        "lowercase",
        {"type": "stop", "stopwords": "_english_"},
        {"type": "stemmer", "language": "english"},
    ]
    by_hand = _tokens(es, tokenizer="standard", filter=chain, text=text)
    assert by_hand == _tokens(es, analyzer="english", text=text)
    assert by_hand == ["children", "bicycl", "weren't", "john", "fly", "citi", "their", "were"]


def test_a_marked_keyword_is_not_stemmed(es: Elasticsearch) -> None:
    chain = [{"type": "keyword_marker", "keywords": ["jumping"]}, "stemmer"]
    assert _tokens(es, tokenizer="standard", filter=chain, text="running and jumping") == ["run", "and", "jumping"]
    chain = [{"type": "keyword_marker", "keywords_pattern": "r.*"}, "stemmer"]
    assert _tokens(es, tokenizer="standard", filter=chain, text="running and jumping") == ["running", "and", "jump"]


def test_an_index_sets_stopwords_exclusions_normalizers_and_synonyms(es: Elasticsearch, store_name: str) -> None:
    es.indices.create(
        index=f"{store_name}-a",
        settings={
            "number_of_replicas": 0,
            "analysis": {
                "filter": {
                    "same": {"type": "synonym_graph", "synonyms": ["laptop, notebook computer", "tee => t-shirt"]},
                    "late": {"type": "synonym_graph", "synonyms": ["tv, television"], "updateable": True},
                    "forgiving": {"type": "synonym", "synonyms": ["the, foo", "universe, cosmos"], "lenient": True},
                },
                "analyzer": {
                    "own": {"type": "english", "stopwords": ["shoes"], "stem_exclusion": ["running"]},
                    "graph": {"tokenizer": "standard", "filter": ["lowercase", "porter_stem", "same"]},
                    "at_search": {"tokenizer": "standard", "filter": ["lowercase", "late"]},
                    "lenient": {"tokenizer": "standard", "filter": ["stop", "forgiving"]},
                },
                "normalizer": {"plain": {"type": "custom", "char_filter": [], "filter": ["lowercase", "asciifolding", "trim"]}},
            },
        },
        mappings={
            "properties": {
                "brand": {"type": "keyword", "normalizer": "plain"},
                "title": {"type": "text", "analyzer": "standard", "search_analyzer": "at_search"},
            }
        },
    )
    index = f"{store_name}-a"
    assert _tokens(es, index=index, analyzer="own", text="the running shoes") == ["the", "running"]
    # The rules are read through lowercase and porter_stem, and a several-word synonym is a path of its own.
    assert _tokens(es, index=index, analyzer="graph", text="Laptops") == ["notebook", "laptop", "comput"]
    assert _tokens(es, index=index, analyzer="graph", text="tee") == ["t", "shirt"]
    assert _tokens(es, index=index, analyzer="lenient", text="cosmos") == ["cosmos", "universe"]
    assert _tokens(es, index=index, normalizer="plain", text=" Café ÉLAN ") == ["cafe elan"]
    es.index(index=index, id="1", document={"brand": "Crème Ltd", "title": "a television"}, refresh=True)
    assert es.count(index=index, query={"term": {"brand": "CREME LTD"}})["count"] == 1
    assert es.count(index=index, query={"match": {"title": "tv"}})["count"] == 1


def test_a_shops_usual_analyzers_find_what_they_should(es: Elasticsearch, store_name: str) -> None:
    analysis = {
        "char_filter": {"and": {"type": "mapping", "mappings": ["& => and"]}},
        "filter": {
            "english_stop": {"type": "stop", "stopwords": "_english_"},
            "english_stemmer": {"type": "stemmer", "language": "english"},
            "brands": {"type": "keyword_marker", "keywords": ["runnings"]},
            "synonyms": {"type": "synonym_graph", "synonyms": ["sneaker, running shoe", "tee => shirt"]},
            "prefixes": {"type": "edge_ngram", "min_gram": 2, "max_gram": 10},
            "pairs": {"type": "shingle", "min_shingle_size": 2, "max_shingle_size": 2},
            "model_numbers": {"type": "word_delimiter_graph", "catenate_all": True},
            "german_parts": {"type": "dictionary_decompounder", "word_list": ["lauf", "schuh", "leder"]},
            "german_stemmer": {"type": "stemmer", "language": "light_german"},
        },
        "analyzer": {
            "content": {
                "tokenizer": "standard",
                "char_filter": ["html_strip", "and"],
                "filter": ["lowercase", "asciifolding", "english_stop", "brands", "english_stemmer"],
            },
            "content_search": {
                "tokenizer": "standard",
                "filter": ["lowercase", "asciifolding", "synonyms", "english_stop", "brands", "english_stemmer"],
            },
            "typed": {"tokenizer": "standard", "filter": ["lowercase", "asciifolding", "prefixes"]},
            "typed_search": {"tokenizer": "standard", "filter": ["lowercase", "asciifolding"]},
            "phrases": {"tokenizer": "standard", "filter": ["lowercase", "pairs"]},
            "codes": {"tokenizer": "whitespace", "filter": ["model_numbers", "flatten_graph", "lowercase"]},
            "compounds": {"tokenizer": "standard", "filter": ["lowercase", "german_parts", "german_stemmer"]},
            "own_german": {"type": "german", "stem_exclusion": ["schuhe"]},
        },
    }
    text_fields = {
        "content": {"type": "text", "analyzer": "content", "search_analyzer": "content_search"},
        "typed": {"type": "text", "analyzer": "typed", "search_analyzer": "typed_search"},
        "phrases": {"type": "text", "analyzer": "phrases"},
        "codes": {"type": "text", "analyzer": "codes"},
        "compounds": {"type": "text", "analyzer": "compounds"},
        "german": {"type": "text", "analyzer": "own_german"},
    }
    index = f"{store_name}-shop"
    es.indices.create(
        index=index,
        settings={"number_of_replicas": 0, "analysis": analysis},
        mappings={"properties": {"title": {"type": "text", "fields": text_fields}}},
    )
    assert _tokens(es, index=index, analyzer="phrases", text="red running shoe") == [
        *("red", "red running", "running", "running shoe", "shoe"),
    ]
    titles = {
        "shoe": "<b>Running</b> shoes for the caf\u00e9 & Runnings",
        "camera": "PowerShot SX-740 camera",
        "german": "Laufschuhe aus Leder",
    }
    for id_, title in titles.items():
        es.index(index=index, id=id_, document={"title": title})
    es.indices.refresh(index=index)
    questions = {
        "content": {"sneakers": [], "sneaker": ["shoe"], "cafe": ["shoe"], "run": ["shoe"], "b": [], "runnings": ["shoe"]},
        "typed": {"powers": ["camera"], "cafe": ["shoe"], "shot": []},
        "phrases": {"sx 740": ["camera"], "shoes running": ["shoe"]},
        "codes": {"SX740": ["camera"], "powershot": ["camera"], "shot": ["camera"]},
        "compounds": {"schuh": ["german"], "Lederschuh": ["german"], "camera": ["camera"]},
        "german": {"laufschuh": ["german"], "schuhe": []},
    }
    for field, found in questions.items():
        for text, ids in found.items():
            hits = es.search(index=index, query={"match": {f"title.{field}": text}})["hits"]["hits"]
            assert [hit["_id"] for hit in hits] == ids, (field, text)


@pytest.mark.parametrize(
    "chain",
    [
        [{"type": "stemmer", "language": "klingon"}],
        [{"type": "edge_ngram", "side": "left"}],
        [{"type": "lowercase", "language": "klingon"}],
        [{"type": "synonym_graph"}],
        [{"type": "edge_ngram"}, {"type": "synonym_graph", "synonyms": ["a, b"]}],
        [{"type": "ngram", "min_gram": 1, "max_gram": 9}],
        [{"type": "truncate", "length": 0}],
        [{"type": "keyword_marker"}],
        [{"type": "stemmer_override", "rules": ["a b"]}],
        [{"type": "nonesuch"}],
    ],
)
def test_wrong_settings_are_refused(es: Elasticsearch, store_name: str, chain: list[dict[str, Any]]) -> None:
    filters = {f"f{number}": one for number, one in enumerate(chain)}
    with pytest.raises(BadRequestError):
        es.indices.create(
            index=f"{store_name}-bad",
            settings={"analysis": {"filter": filters, "analyzer": {"a": {"tokenizer": "standard", "filter": list(filters)}}}},
        )
