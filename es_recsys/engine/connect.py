"""Clients of an Elasticsearch, set up as this package needs them, and what a failed call means."""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from es_recsys.errors import EngineError
from es_recsys.settings import Settings

if TYPE_CHECKING:
    from elasticsearch import AsyncElasticsearch, Elasticsearch

__all__ = [
    "MINIMUM_VERSION",
    "address_of",
    "authorization_headers",
    "check_server",
    "check_server_async",
    "connect",
    "connect_async",
    "translate_error",
]

MINIMUM_VERSION = (9, 2)
"""Oldest server: `index.mapping.exclude_source_vectors` and the names of the vector index types are those of 9.2."""

_MAX_RETRIES = 2
_CONNECTIONS = 32

FindUrl = Callable[[], str | None]
"""Returns the URL of a server that moved, None where it isn't known."""


def connect(settings: Settings, url: str | None = None, find_url: FindUrl | None = None) -> Elasticsearch:
    """Return a client of `url`, else of `settings.url`. Nothing is sent yet: `check_server` finds out whether it answers.

    find_url: called for a new URL where nothing answers at the one before.

    A request waits `settings.search.timeout_s` seconds at most; `options(request_timeout=...)` gives a long one more, and
    `within_budget` several all together no more. A lost
    connection, 502, 503 and 504 are tried twice more; 429 is not, since trying at once makes it worse: bulk writing backs
    off by item.
    """
    from elasticsearch import Elasticsearch

    from es_recsys.engine.transport import BudgetedNode, CheckedTransport

    make = partial(Elasticsearch, transport_class=CheckedTransport, node_class=BudgetedNode)
    client = make(**_client_options(settings, url))
    if find_url is not None:
        transport: Any = client.transport
        transport.find_node_pool = lambda: _node_pool(settings, find_url(), make)
    return client


def connect_async(settings: Settings, url: str | None = None, find_url: FindUrl | None = None) -> AsyncElasticsearch:
    """Return a client for asyncio, as `connect` does."""
    from elasticsearch import AsyncElasticsearch

    from es_recsys.engine.transport import BudgetedAsyncNode, CheckedAsyncTransport

    make = partial(AsyncElasticsearch, transport_class=CheckedAsyncTransport, node_class=BudgetedAsyncNode)
    client = make(**_client_options(settings, url))
    if find_url is not None:
        transport: Any = client.transport
        transport.find_node_pool = lambda: _node_pool(settings, find_url(), make)
    return client


def authorization_headers(settings: Settings) -> dict[str, str]:
    """Return the header with the credentials for Elasticsearch; nothing where none are set."""
    if settings.api_key is not None:
        return {"authorization": f"ApiKey {settings.api_key.get_secret_value()}"}
    pair = _user_and_password(settings, settings.url)
    if pair is None:
        return {}
    return {"authorization": f"Basic {base64.b64encode(':'.join(pair).encode()).decode()}"}


def _user_and_password(settings: Settings, address: str | None) -> tuple[str, str] | None:
    """Return the credentials that are set, else those that stand in an address."""
    if settings.username is not None or settings.password is not None:
        return settings.username or "elastic", settings.password.get_secret_value() if settings.password else ""
    parts = urlsplit(address or "")
    return None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))


def _without_credentials(address: str) -> str:
    """Return an address as a node may have it: those in it would go with each of its requests, whoever's it is."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _node_pool(settings: Settings, url: str | None, make_client: Callable[..., Any]) -> Any:
    return None if url is None else make_client(**_client_options(settings, url)).transport.node_pool


def _client_options(settings: Settings, url: str | None) -> dict[str, Any]:
    from es_recsys.engine.serializers import SERIALIZERS

    address = url or settings.url
    if not address:
        raise EngineError("No Elasticsearch is named.", "Give its URL with --url or ES_RECSYS_URL, or use the embedded node.")
    _check_address(address)
    _check_tls(settings, address)
    options: dict[str, Any] = {
        "hosts": [_without_credentials(address)],
        "serializers": SERIALIZERS,
        "request_timeout": settings.search.timeout_s,
        "retry_on_timeout": False,
        "retry_on_status": (502, 503, 504),
        "max_retries": _MAX_RETRIES,
        "connections_per_node": _CONNECTIONS,
        "meta_header": False,
    }
    if settings.api_key is not None:
        options["api_key"] = settings.api_key.get_secret_value()
    elif (pair := _user_and_password(settings, address)) is not None:
        options["basic_auth"] = pair
    if settings.ca_certs is not None:
        options["ca_certs"] = str(settings.ca_certs)
    if settings.ca_fingerprint is not None:
        options["ssl_assert_fingerprint"] = settings.ca_fingerprint
    return options


def _check_address(address: str) -> None:
    # Here and not in the client, whose message shows the URL with the password in it.
    try:
        parts = urlsplit(address)
        valid = parts.scheme in {"http", "https"} and parts.hostname is not None and parts.port is not None
    except ValueError:
        valid = False
    if not valid:
        raise EngineError(
            "The URL of Elasticsearch lacks its scheme, host or port, or one of them is wrong.",
            "Write it like http://127.0.0.1:9200, or https://search.example.com:443.",
        )


def _check_tls(settings: Settings, address: str) -> None:
    if settings.ca_certs is None and settings.ca_fingerprint is None:
        return
    if not address.startswith("https:"):
        raise EngineError("A certificate is set to be verified, but the URL does not begin with https.", "Change one of the two.")
    if settings.ca_certs is not None:
        try:
            ssl.create_default_context(cafile=settings.ca_certs)
        except OSError as error:  # an SSLError is one too
            raise EngineError(
                f"The file of certificates {settings.ca_certs} can't be used ({error.strerror or type(error).__name__}).",
                "Set ES_RECSYS_CA_CERTS to a file of certificates in PEM form.",
            ) from error
    fingerprint = (settings.ca_fingerprint or "0" * 64).replace(":", "")
    if not re.fullmatch("[0-9a-fA-F]{64}", fingerprint):
        raise EngineError("ES_RECSYS_CA_FINGERPRINT is not a SHA-256: 64 hexadecimal digits.", "Set it anew.")


def check_server(client: Elasticsearch) -> str:
    """Return the server's version.

    Raises EngineError with the remedy where it can't be reached, refuses us, or is older than `MINIMUM_VERSION`.
    """
    from elasticsearch import ApiError, TransportError

    try:
        info = client.info()
    except (ApiError, TransportError) as error:
        raise translate_error(error, address_of(client)) from error
    return _check_version(info.body, address_of(client))


async def check_server_async(client: AsyncElasticsearch) -> str:
    """Return the server's version, as `check_server` does."""
    from elasticsearch import ApiError, TransportError

    try:
        info = await client.info()
    except (ApiError, TransportError) as error:
        raise translate_error(error, address_of(client)) from error
    return _check_version(info.body, address_of(client))


def address_of(client: Elasticsearch | AsyncElasticsearch) -> str:
    """Return the URL that the client calls, without a user name or password, fit to be shown."""
    from es_recsys.engine.responses import node_url

    return node_url(next(iter(client.transport.node_pool.all())).config)


def translate_error(error: Exception, address: str, *, source: bool = False) -> EngineError:
    """Return what a failed call to `address` means for the user. The client's own message is left out: it may quote headers.

    source: whether it is not the store's Elasticsearch but another that is read from (`Settings.of_source`).
    """
    from elasticsearch import (
        ApiError,
        AuthenticationException,
        AuthorizationException,
        ConnectionTimeout,
        SSLError,
        UnsupportedProductError,
    )

    prefix, option, default = ("ES_RECSYS_", "--url", "the embedded node")
    if source:
        prefix, option, default = ("ES_RECSYS_FROM_", "--from-url", "the store's own Elasticsearch")
    if isinstance(error, AuthenticationException):
        return EngineError(
            f"Elasticsearch at {address} does not accept the credentials (401).",
            f"Set {prefix}API_KEY, or {prefix}USERNAME and {prefix}PASSWORD.",
        )
    if isinstance(error, AuthorizationException):
        return EngineError(
            f"Elasticsearch at {address} knows the user, who may not do this (403).",
            "Give the user or the API key the privileges monitor on the cluster and all on the store's indices.",
        )
    if isinstance(error, SSLError):
        return EngineError(
            f"The certificate of {address} can't be verified.",
            f"Set {prefix}CA_CERTS to the file of the authority, or {prefix}CA_FINGERPRINT to the SHA-256 of its certificate.",
        )
    if isinstance(error, ConnectionTimeout):
        return EngineError(
            f"Elasticsearch at {address} did not answer in time.",
            "See whether it is overloaded, or raise ES_RECSYS_SEARCH__TIMEOUT_S.",
        )
    if isinstance(error, UnsupportedProductError):
        return EngineError(f"What answers at {address} is not Elasticsearch.", f"Give another URL with {option} or {prefix}URL.")
    if isinstance(error, ApiError):
        from es_recsys.engine.responses import describe_body

        # Of what a proxy wrote only the kind is shown: it may repeat the request with its headers.
        reason = error.error if isinstance(error.body, dict) else describe_body(error.meta.headers, error.body)
        return EngineError(f"Elasticsearch at {address} answered {error.meta.status} ({reason}).", "See its log, and try again.")
    return EngineError(
        f"Elasticsearch at {address} can't be reached.",
        f"Start it, or give another URL with {option} or {prefix}URL (https:// where it uses TLS); "
        f"without a URL {default} is used.",
    )


def _check_version(info: Any, address: str) -> str:
    number = str(info.get("version", {}).get("number", "")) if isinstance(info, dict) else ""
    try:
        parts = tuple(int(part) for part in number.split("-")[0].split(".")[:2])
    except ValueError:
        parts = ()
    minimum = ".".join(map(str, MINIMUM_VERSION))
    if len(parts) < 2:
        raise EngineError(f"What answers at {address} does not report its version.", f"Give the URL of Elasticsearch {minimum}.")
    if parts < MINIMUM_VERSION:
        raise EngineError(f"Elasticsearch at {address} is {number}; {minimum} is the oldest that works.", "Upgrade it.")
    return number
