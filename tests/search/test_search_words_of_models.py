from __future__ import annotations

import numpy as np
import pytest

from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.search.context import Context
from es_recsys.search.gather import scaled
from es_recsys.search.legs import LEGS, active, ask
from es_recsys.vector_fields import VECTOR_FIELDS

X = np.array([0.6, 0.8], np.float32)


def context(metadata: IndexMetadata) -> Context:
    return Context(metadata=metadata, now=0.0, text="shoe", vectors={"lsa_vector": X})


def test_words_are_asked_for_in_a_field_whose_model_reads_them(metadata: IndexMetadata) -> None:
    body = ask(LEGS["lsa_vector"], context(metadata))
    assert body is not None
    assert body["knn"]["field"] == "lsa_vector" and body["knn"]["query_vector"] == pytest.approx([0.6, 0.8])
    assert LEGS["lsa_vector"].answers and "lsa_vector" in {leg.name for leg in active(context(metadata))}


def test_there_is_such_a_leg_for_no_other_model() -> None:
    silent = {row.name for row in VECTOR_FIELDS.values() if row.source == "model" and not row.words}
    assert "als_vector" in silent and not silent & set(LEGS)


@pytest.mark.parametrize(("score", "cosine"), [(1.5, 0.5), (2.0, 1.0), (2.0000002, 1.0), (1.0, 0.0), (0.5, 0.0), (0.0, 0.0)])
def test_the_inner_product_of_unit_vectors_is_their_cosine(score: float, cosine: float) -> None:
    assert scaled("dot", np.array([score]), 1.0) == pytest.approx([cosine])


@pytest.fixture
def metadata() -> IndexMetadata:
    return IndexMetadata("shop", 1, "english", vectors={"lsa_vector": VectorMetadata(2, "f", "lsa", "max_inner_product")})
