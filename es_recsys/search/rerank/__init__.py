"""Reranking: learned ranking, popularity, diversity, interests, calibration, exploration, in this order (see `pipeline`)."""
