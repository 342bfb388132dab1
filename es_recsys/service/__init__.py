"""Serve a store over HTTP: Elasticsearch's own protocol, and a few paths of our own. Needs the extra `service`.

`app` puts the service together and `server` runs it. A search of an adopted index goes through `elastic_protocol`: `search_body`
and `search_request` read and check it, and the flows of the Python client answer it. `rest_api` has our own paths. `access`
says who may do what, `api_keys` keeps the keys.
"""
