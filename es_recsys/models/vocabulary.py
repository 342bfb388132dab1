"""Words of texts in any script, and a vocabulary of them that weighs the rare ones more."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.item_ids import ItemIds

__all__ = ["Vocabulary", "tokens"]

# Han, kana, Thai, Lao, Myanmar and Khmer are written without spaces between words.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)


def tokens(text: str) -> list[str]:
    """Return the words of a text, in order: letters, digits and their marks, case folded, compatible forms (NFKC) made one.

    Where a script has no spaces, each two neighbouring characters are a word, and one that stands alone. A single letter
    is no word; a single digit is.
    """
    words: list[str] = []
    for word in _pattern().findall(unicodedata.normalize("NFKC", text).casefold()):
        if not word.isascii() and _unspaced().search(word):
            words += _pairs(word)
        elif len(word) > 1 or word.isdigit():
            words.append(word)
    return words


class Vocabulary:
    """m words, each with its inverse document frequency ln((1 + n) / (1 + df)) + 1, in flat arrays that can be mapped.

    A text is a vector of tf-idf weights (1 + ln tf) * idf (sublinear; Manning, Raghavan and Schütze 2008, chapter 6) of
    length 1.
    """

    def __init__(self, words: ItemIds, idf: NDArray[np.float64]) -> None:
        self.words, self.idf = words, idf

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]], min_df: int = 2, max_df: float = 0.5, size: int = 100_000) -> Vocabulary:
        """Return the words of tokenized texts that occur in at least `min_df` of them and at most the share `max_df`.

        Of more than `size` words those in most texts stay.
        """
        counts: Counter[str] = Counter()
        for words in texts:
            counts.update(set(words))
        limit = max(max_df * len(texts), min_df)
        kept = [(word, count) for word, count in counts.items() if min_df <= count <= limit]
        kept = sorted(sorted(kept, key=lambda pair: (-pair[1], pair[0]))[:size])
        df = np.array([count for _, count in kept], np.float64)
        return cls(ItemIds.of(word for word, _ in kept), np.log((1.0 + len(texts)) / (1.0 + df)) + 1.0)

    def __len__(self) -> int:
        return len(self.idf)

    def rows(self, texts: Iterable[Sequence[str]]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return (starts, word_idx, weights) of a sparse matrix (n, m).

        A row is a tokenized text, by word_idx, of length 1 or empty.
        """
        known = _Places(self.words)
        parts = [self._row(words, known) for words in texts]
        starts = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(word_idx) for word_idx, _ in parts], out=starts[1:])
        if not parts:
            return starts, np.zeros(0, np.int64), np.zeros(0)
        return starts, np.concatenate([p for p, _ in parts]), np.concatenate([w for _, w in parts])

    def row(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return (word_idx, weights) of one text."""
        words = tokens(text)
        return self._row(words, dict(zip(words, self.words.find(words).tolist(), strict=True)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads back."""
        words = {name.replace("ids_", "words_"): array for name, array in self.words.arrays().items()}
        return {**words, "words_idf": self.idf}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Vocabulary:
        names = ("blob", "offsets", "hashes", "places")
        return cls(ItemIds.from_arrays({f"ids_{name}": arrays[f"words_{name}"] for name in names}), arrays["words_idf"])

    def _row(self, words: Sequence[str], known: Mapping[str, int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        found = Counter(known[word] for word in words)
        found.pop(-1, None)
        word_idx = np.array(sorted(found), np.int64)
        counts = np.array([found[index] for index in word_idx.tolist()], np.float64)
        weights = (1.0 + np.log(counts)) * self.idf[word_idx]
        return word_idx, weights / (np.linalg.norm(weights) or 1.0)


class _Places(dict[str, int]):
    """Place of each word, as the vocabulary is asked for it."""

    def __init__(self, words: ItemIds) -> None:
        super().__init__(zip(words, range(len(words)), strict=True))

    def __missing__(self, word: str) -> int:
        return -1


@cache
def _pattern() -> re.Pattern[str]:
    # \w leaves out the vowel signs and other marks with which Indic and Arabic words are written.
    return re.compile(f"[^\\W_](?:[^\\W_]|[{''.join(_marks())}])*")


@cache
def _unspaced() -> re.Pattern[str]:
    return re.compile(f"[{_UNSPACED}]+")


def _marks() -> Iterator[str]:
    """Yield ranges of combining marks, as parts of a character class of a regular expression."""
    codes = [code for code in range(0x300, 0x10000) if unicodedata.category(chr(code))[0] == "M"]
    codes.append(0x1_FFFF)  # closes the last range
    first = codes[0]
    for before, code in pairwise(codes):
        if code != before + 1:
            yield chr(first) if first == before else f"{chr(first)}-{chr(before)}"
            first = code


def _pairs(word: str) -> Iterator[str]:
    """Yield the words of a run of letters with unspaced script in it: such runs in pairs, and what is between as words."""
    end = 0
    for run in _unspaced().finditer(word):
        if run.start() - end > 1:
            yield word[end : run.start()]
        characters = run.group()
        yield from (characters[at : at + 2] for at in range(max(len(characters) - 1, 1)))
        end = run.end()
    if len(word) - end > 1:
        yield word[end:]
