"""Keyed hashes that stand for user ids: the ids never leave the event store as they are."""

from __future__ import annotations

import hashlib
import hmac

from es_recsys.errors import KeyMismatch

__all__ = ["confirm_key", "key_check", "user_key"]

_CHECKED = b"\xff es_recsys key check"  # no id in UTF-8 begins so


def user_key(user_id: str, secret: bytes) -> str:
    """Return HMAC-SHA256 of the id under the installation's secret, first 128 bits, 32 hex digits.

    Without the secret an id can't be confirmed by trying; the same secret must be used by all that share a store.
    """
    return hmac.new(secret, user_id.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]


def key_check(secret: bytes) -> str:
    """Return a proof of the secret: it is stored with the store, tells another secret, and reveals neither secret nor keys."""
    return hmac.new(secret, _CHECKED, hashlib.sha256).hexdigest()[:32]


def confirm_key(secret: bytes, check: str | None) -> None:
    """Raise KeyMismatch where the store says, by its check, that its users are kept under another secret."""
    if check and not hmac.compare_digest(key_check(secret), check):
        raise KeyMismatch(
            "The users of this store are kept under another secret than the one that is set here.",
            "Set ES_RECSYS_USER_SECRET, or the file user.key in ES_RECSYS_HOME, to the secret that the store was made with; "
            "where that is lost: es-recsys profiles build --new-key",
        )
