"""A store made by code: products, pictures, and shoppers with hidden tastes who search, look and buy. Seeded."""

from es_recsys.sample.pictures import picture
from es_recsys.sample.store import SampleStore, sample_store
from es_recsys.sample.tastes import Shopper

__all__ = ["SampleStore", "Shopper", "picture", "sample_store"]
