"""The event store (SQL, the truth about what users did), cleaning, sessions and profiles.

`store.EventStore` appends and reads events; `cleaning` quarantines those that should not count (`quarantine_rules`,
`quarantine_reasons`, `bot_rules`); `interactions` gives clean events as arrays; `profiles` folds them into profiles
(`profile_state`, `decayed_sums`), which `profile_documents` writes and reads. Nothing is imported here: `profiles` and `records`
need numpy alone, `store` loads SQLAlchemy, `cleaning` loads polars.
"""

from __future__ import annotations

__all__: list[str] = []
