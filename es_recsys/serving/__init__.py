"""Serve answers and record events.

A flow is a generator of I/O operations (`operations`); a driver runs it in a thread or an event loop (`drivers`), or many side
by side with their requests joined (`joined_flows`). A `Workspace` is one store opened: it holds the drivers, the
`ServingSnapshot` of the live version (kept current by `snapshot_cache`), the event store and the answer log.

- Answers: `answering` is the flow from a `Query` to an `Answer`; `batch_answers` does many.
- Events: `recording` stores events and folds them into profiles; `user_profiles` reads profiles.
- For jobs: `refresh` keeps cleaning, popularity and profiles up to date, `profile_folding` folds profiles in bulk,
  `product_groups` maps variants to products, `stores` drops a store.
"""
