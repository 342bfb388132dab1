"""The indices of a store in Elasticsearch: mappings and documents, bulk writes, versions behind aliases.

`catalog` loads and deletes items. `bulk` writes any stream of actions, `fetch` reads by id or scans. `versions` creates
and lists the versions of a store, `reindex` fills a new one while the live one is written to, `swap` makes it live.
`stored_metadata` reads what a version says of itself; `stored_profiles` and `user_index` are the profiles and users of a version.
"""
