"""Reranking: a learned ranking, diversity, interests, and exploration, in this order (see `pipeline`)."""
