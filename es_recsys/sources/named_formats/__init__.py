"""Well-known data sets and exports by their names: rows that say how their files are read by the reader that all files have.

A format is a row of datasets.py or exports.py; where the shape of a file needs it, a function makes other rows of its rows.
`resolve_format` finds the form of a file and puts it into the options. Exports of products of Shopify and WooCommerce, and
documents of UBI, are known without being named, too (shop_variants.py, ubi.py).
"""

from __future__ import annotations

from es_recsys.sources.named_formats.form import Form, NamedFormat
from es_recsys.sources.named_formats.resolve import FORMATS, resolve_format

__all__ = ["FORMATS", "Form", "NamedFormat", "resolve_format"]
