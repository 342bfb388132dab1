"""A search by a body goes out as its caller's; all else is the store's own."""

from __future__ import annotations

from typing import Any

from es_recsys.serving.body_search import on_behalf
from es_recsys.serving.operations import Flow, Get, GetAndSearch, MultiSearch, Operation, Search

HEADERS = {"authorization": "ApiKey of-the-caller"}
PARAMETERS = {"routing": "r", "terminate_after": "5", "q": "shoes"}


def test_the_callers_credentials_go_with_their_searches_alone() -> None:
    read, body = Get("profiles", "u"), {"size": 1}
    own: list[Operation] = [read, MultiSearch("items", (body,)), GetAndSearch(read, MultiSearch("items", (body,)))]

    def flow() -> Flow[str]:
        yield from (*own, Search("products", body), GetAndSearch(read, Search("products", body)), last)
        return "done"

    last = Search("products", body, documents=True)
    running, sent, end = on_behalf(flow(), HEADERS, PARAMETERS), list[Operation](), ""
    try:
        while True:
            sent.append(running.send(None))
    except StopIteration as stopped:
        end = stopped.value
    theirs: dict[str, Any] = {"headers": HEADERS, "parameters": PARAMETERS}
    assert end == "done" and sent == [
        *own,
        Search("products", body, **theirs),
        GetAndSearch(read, Search("products", body, **theirs)),
        # What finds hits is nothing to reading their documents.
        Search("products", body, documents=True, headers=HEADERS, parameters={"routing": "r"}),
    ]
