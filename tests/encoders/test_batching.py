from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.encoders.base import PartialEncodingError, encode_query, l2_normalize, validate_vectors
from es_recsys.encoders.batching import encode_all, encode_items
from es_recsys.encoders.vector_cache import VectorCache
from es_recsys.errors import EncodingError, InputError
from es_recsys.types import Item


class Letters:
    """Vectors from digests of contents; remembers what it was asked."""

    name, content, field, dims, fingerprint, batch_size = "letters", "text", "text_vector", 6, "ab" * 16, 4
    accepts = frozenset({"text"})

    def __init__(self, broken: frozenset[str] = frozenset()) -> None:
        self.asked: list[list[str]] = []
        self.broken = broken

    def encode(self, batch: Sequence[str | Path | bytes]) -> np.ndarray:
        data = [one.read_bytes() if isinstance(one, Path) else one.encode() if isinstance(one, str) else one for one in batch]
        self.asked.append([one.decode() for one in data])
        raw = [np.frombuffer(hashlib.sha256(one).digest()[: self.dims], np.uint8).astype(float) - 100 for one in data]
        vectors = l2_normalize(np.array(raw).reshape(-1, self.dims))
        errors = {row: "it is broken" for row, one in enumerate(data) if one.decode() in self.broken}
        if errors:
            vectors[list(errors)] = np.nan
            raise PartialEncodingError(errors, vectors)
        return vectors


def one(text: str) -> np.ndarray:
    vector: np.ndarray = Letters().encode([text])[0]
    return vector


@given(st.lists(st.one_of(st.none(), st.text(st.characters(codec="ascii"), max_size=5)), max_size=80))
def test_each_row_is_what_it_is_alone(contents: list[str | None]) -> None:
    encoder = Letters()
    encoded = encode_all(encoder, contents)
    assert len(encoded.vectors) == len(contents)
    for content, vector in zip(contents, encoded.vectors, strict=True):
        assert (vector is None) == (content is None)
        if content is not None and vector is not None:
            np.testing.assert_array_equal(vector, one(content))
    asked = [text for batch in encoder.asked for text in batch]
    assert sorted(asked) == sorted({content for content in contents if content is not None})
    assert [len(text) for text in asked] == sorted((len(text) for text in asked), reverse=True)
    assert encoded.computed == len(asked)


def test_a_second_run_encodes_nothing(tmp_path: Path) -> None:
    texts = [f"text {number % 70}" for number in range(100)]
    first = encode_all(Letters(), texts, VectorCache(tmp_path))
    encoder = Letters()
    second = encode_all(encoder, [*texts, None], VectorCache(tmp_path))
    assert first.computed == 70
    assert encoder.asked == [] and second.computed == 0
    for left, right in zip(first.vectors, second.vectors, strict=False):
        assert left is not None and right is not None
        np.testing.assert_array_equal(left, right)


def test_a_file_and_its_bytes_are_one_content_and_a_changed_file_is_another(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    cache = VectorCache(tmp_path)
    assert encode_all(Letters(), [file, b"abc"], cache).computed == 1
    assert encode_all(Letters(), [file, b"abc"], cache).computed == 0
    file.write_bytes(b"abd")
    changed = encode_all(Letters(), [file], cache)
    assert changed.computed == 1 and changed.vectors[0] is not None
    np.testing.assert_array_equal(changed.vectors[0], one("abd"))


def test_a_text_is_not_a_file_with_the_same_bytes(tmp_path: Path) -> None:
    assert encode_all(Letters(), ["abc", b"abc"], VectorCache(tmp_path)).computed == 2


def test_broken_content_is_an_error_of_its_rows_alone(tmp_path: Path) -> None:
    texts = ["a", "bad", "b", "bad", "c", "worse"]
    cache = VectorCache(tmp_path)
    encoded = encode_all(Letters(frozenset({"bad", "worse"})), [*texts, tmp_path / "absent"], cache)
    assert set(encoded.errors) == {1, 3, 5, 6}
    assert encoded.errors[1] == "it is broken" and "can't be read" in encoded.errors[6]
    assert [vector is None for vector in encoded.vectors] == [False, True, False, True, False, True, True]
    assert set(encode_all(Letters(), texts, cache).errors) == set()  # an error is not cached


@pytest.mark.parametrize("spoil", [np.nan, np.inf, 0.0, 1e30])
def test_rows_that_are_no_unit_vector_are_refused(tmp_path: Path, spoil: float) -> None:
    class Spoilt(Letters):
        def encode(self, batch: Sequence[str | Path | bytes]) -> np.ndarray:
            vectors = super().encode(batch)
            vectors[self.asked[-1].index("b")] = spoil
            return vectors

    encoded = encode_all(Spoilt(), ["a", "b", "c"], VectorCache(tmp_path))
    assert set(encoded.errors) == {1} and encoded.vectors[1] is None and encoded.vectors[2] is not None
    assert encode_all(Letters(), ["b"], VectorCache(tmp_path)).computed == 1


@pytest.mark.parametrize("vectors", [np.zeros((2, 6), np.float32), np.zeros((3, 5), np.float32), np.zeros((3, 6), np.float64)])
def test_a_wrong_shape_or_type_stops_the_run(vectors: np.ndarray) -> None:
    with pytest.raises(EncodingError, match=r"\(3, 6\) float32"):
        validate_vectors(vectors, 3, 6, "letters")


def test_items_whose_content_is_refused_do_not_stop_the_others(tmp_path: Path, picture: Callable[..., bytes]) -> None:
    class Pictures(Letters):
        content = "image"

        def encode(self, batch: Sequence[str | Path | bytes]) -> np.ndarray:
            return Letters().encode([str(len(Path(str(one)).read_bytes())) for one in batch])

    (tmp_path / "a.png").write_bytes(picture())
    names = ["a.png", None, "../../etc/passwd", "absent.png"]
    encoded = encode_items(Pictures(), [Item(item_id=str(n), image=name) for n, name in enumerate(names)], tmp_path)
    assert [vector is not None for vector in encoded.vectors] == [True, False, False, False]
    assert set(encoded.errors) == {2, 3}


def test_a_query_of_a_kind_that_the_encoder_does_not_take_is_refused() -> None:
    np.testing.assert_array_equal(encode_query(Letters(), "abc"), one("abc"))
    with pytest.raises(InputError, match="kind file"):
        encode_query(Letters(), b"abc")
