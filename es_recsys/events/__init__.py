"""Raw events -> clean events -> sessions -> profiles; the SQL event store is the truth.

Nothing is imported here: `profiles` and `records` need numpy alone, `store` loads SQLAlchemy, `clean` loads polars.
"""

from __future__ import annotations

__all__: list[str] = []
