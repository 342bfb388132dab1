from __future__ import annotations

import numpy as np
import pytest
from search_inputs import Inputs, inputs

from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.search.retrievers import RETRIEVERS, active_retrievers
from es_recsys.search.scales import scaled_scores
from es_recsys.vector_fields import VECTOR_FIELDS

X = np.array([0.6, 0.8], np.float32)


def search(metadata: IndexMetadata) -> Inputs:
    return inputs(metadata=metadata, now=0.0, text="shoe", vectors={"lsa_vector": X})


def test_words_are_asked_for_in_a_field_whose_model_reads_them(metadata: IndexMetadata) -> None:
    query = RETRIEVERS["lsa_vector"].build_query(*search(metadata))
    assert query is not None
    assert query["knn"]["field"] == "lsa_vector" and query["knn"]["query_vector"] == pytest.approx([0.6, 0.8])
    assert RETRIEVERS["lsa_vector"].matches_query
    assert "lsa_vector" in {retriever.name for retriever in active_retrievers(*search(metadata))}


def test_no_other_model_has_such_a_retriever() -> None:
    silent = {row.name for row in VECTOR_FIELDS.values() if row.source == "model" and not row.encodes_queries}
    assert "als_vector" in silent and not silent & set(RETRIEVERS)


@pytest.mark.parametrize(("score", "cosine"), [(1.5, 0.5), (2.0, 1.0), (2.0000002, 1.0), (1.0, 0.0), (0.5, 0.0), (0.0, 0.0)])
def test_the_inner_product_of_unit_vectors_is_their_cosine(score: float, cosine: float) -> None:
    assert scaled_scores("dot", np.array([score]), 1.0) == pytest.approx([cosine])


@pytest.fixture
def metadata() -> IndexMetadata:
    return IndexMetadata("shop", 1, "english", vectors={"lsa_vector": VectorMetadata(2, "f", "lsa", "max_inner_product")})
