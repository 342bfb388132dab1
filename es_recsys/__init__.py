"""Personalised search and recommendations for any catalogue, on Elasticsearch."""
