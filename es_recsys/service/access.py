"""Who calls, and what they may do."""

from __future__ import annotations

import hashlib
import hmac
import time
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request

from es_recsys.service.api_keys import SCOPES, ApiKeys
from es_recsys.service.errors import ServiceError
from es_recsys.settings import ServiceSettings

__all__ = ["Access", "Caller", "is_loopback", "user_token"]

KEY_HEADER = "x-api-key"


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine and no other can reach it."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def user_token(secret: str, user_id: str, expires: int) -> str:
    """Return the token by which a public key may act for a user: "EXPIRES.HEX", an HMAC-SHA256 of "USER_ID\\nEXPIRES".

    expires: epoch seconds.
    """
    signed = f"{user_id}\n{expires}".encode()
    return f"{expires}.{hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a key, or whoever calls a service without keys, who may do everything.

    key_id: "" without a key. token_secret: what tokens of users are signed with, None where none are taken.
    """

    key_id: str = ""
    scope: str = "admin"
    token_secret: str | None = None

    @property
    def is_public(self) -> bool:
        return self.scope == "public"

    def check(self, scope: str) -> None:
        """Raise ServiceError where this key may not do what a key of this scope may."""
        if SCOPES.index(self.scope) < SCOPES.index(scope):
            raise ServiceError(403, "security_exception", f"This needs a key of the scope {scope} (es-recsys keys create).")

    def check_person(self, user_id: object, token: object, *, explain: bool = False) -> None:
        """Raise ServiceError where a public key asks for what is somebody's history, or for a user without the shop's word."""
        if not self.is_public:
            return
        if explain:
            raise ServiceError(403, "security_exception", "A public key gets no reasons: they are somebody's history.")
        if user_id is None:
            return
        if self.token_secret is None or not isinstance(token, str) or not self._is_signed(str(user_id), token):
            raise ServiceError(
                403,
                "security_exception",
                "A public key takes a session_id, or a user_id with a user_token that the shop has signed and isn't expired.",
            )

    def _is_signed(self, user_id: str, token: str) -> bool:
        expires = token.partition(".")[0]
        if not expires.isascii() or not expires.isdigit() or len(expires) > 12 or int(expires) < time.time():
            return False
        return hmac.compare_digest(user_token(self.token_secret or "", user_id, int(expires)).encode(), token.encode())


class Access:
    """Lets callers in by their key; without keys those on this machine that no foreign web page sent."""

    def __init__(self, keys: ApiKeys, settings: ServiceSettings) -> None:
        self._keys, self._settings = keys, settings
        # A service that began with keys asks for one also when all are revoked.
        self.has_keys = bool(keys.all())
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        most = settings.requests_per_minute
        self._limit = parse(f"{most}/minute") if most else None

    def caller(self, request: Request) -> Caller:
        """Return who calls. Raises ServiceError where a caller isn't let in, or calls too often."""
        if not self.has_keys and not self._keys.all():
            self._check_local(request)
            return Caller()
        self.has_keys = True
        key = self._keys.find(request.headers.get(KEY_HEADER, ""))
        if key is None:
            raise ServiceError(
                401, "security_exception", "X-API-Key is missing or no key of this service.", {"www-authenticate": "ApiKey"}
            )
        if self._limit is not None and not self._limiter.hit(self._limit, key.key_id):
            raise ServiceError(429, "rate_limit_exception", "This key has called too often in a minute.", {"retry-after": "60"})
        secret = self._settings.user_token_secret
        return Caller(key.key_id, key.scope, None if secret is None else secret.get_secret_value())

    def _check_local(self, request: Request) -> None:
        """Raise ServiceError where a web page that somebody visits here may have sent the request."""
        if not is_loopback(_host(request.headers.get("host", ""))):
            raise ServiceError(403, "security_exception", "Without keys only localhost is answered: es-recsys keys create")
        origin = request.headers.get("origin")
        # A page's pictures and scripts come without an origin, and browsers say that they are another site's.
        is_foreign = origin is None and request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        allowed = (None, str(request.base_url).rstrip("/"), *self._settings.allowed_origins)
        if is_foreign or origin not in allowed:
            raise ServiceError(403, "security_exception", "This origin may not call: ES_RECSYS_SERVICE__ALLOWED_ORIGINS.")


def _host(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""
