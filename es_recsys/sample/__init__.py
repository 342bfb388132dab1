"""A store made by code: products, pictures, and shoppers with hidden tastes who search, look and buy. Seeded.

`sample_store` makes it in memory and writes it as files that the command line loads; `picture` draws a product, `sound`
plays it. The demo, the simulator, scripts and tests use it; nothing of the product imports it.
"""

from es_recsys.sample.pictures import picture
from es_recsys.sample.sounds import sound
from es_recsys.sample.store import SampleStore, sample_store
from es_recsys.sample.tastes import Shopper

__all__ = ["SampleStore", "Shopper", "picture", "sample_store", "sound"]
