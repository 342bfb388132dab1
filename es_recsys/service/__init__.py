"""Serve a store over HTTP: Elasticsearch's own protocol, and a few paths of our own. Needs the extra `service`.

`app` puts the service together and `server` runs it. A search of an adopted index goes through `elastic_protocol`:
`search_body` reads and checks its body, `personal_search` has the hits ranked by the flows of the Python client. `rest_api` has
the paths of our own. `access` says who may do what, `api_keys` keeps the keys.
"""
