"""Reranking: learned ranking, popularity, diversity, calibration, interests, exploration, in this order (see `pipeline`)."""
