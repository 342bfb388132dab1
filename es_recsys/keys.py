"""User ids never leave the event store as they are: everywhere else a keyed hash stands for them."""

from __future__ import annotations

import hashlib
import hmac

__all__ = ["user_key"]


def user_key(user_id: str, secret: bytes) -> str:
    """HMAC-SHA256 of the id under the installation's secret, first 128 bits, 32 hex digits.

    Without the secret an id can't be confirmed by trying; the same secret must be used by all that share a store.
    """
    return hmac.new(secret, user_id.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]
