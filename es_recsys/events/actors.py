"""Whose an event is: an actor is a user, or an anonymous session.

A actor is written "u:USER_ID" or "s:SESSION_ID". An event that names a user is the user's, whatever its session; one
that names a session alone is the session's for good, also when that visitor later signs in. So an event never changes
hands: `applied_through` stays exact, erasing a user is exact, and on a shared device what one person clicked does not
flow into the next one's profile. An answer that knows both ids may read both profiles.
"""

from __future__ import annotations

from es_recsys.errors import InputError
from es_recsys.keys import user_key

__all__ = ["actor_key", "actor_of", "session_of", "user_of"]

_USER = "u:"
_SESSION = "s:"


def actor_of(user_id: str | None = None, session_id: str | None = None) -> str:
    """Return the actor of an event with these ids; the user comes first. Raises InputError where there is neither."""
    if user_id is not None:
        return _USER + user_id
    if session_id is not None:
        return _SESSION + session_id
    raise InputError("A user_id or a session_id is needed.", "Give one of them.")


def user_of(actor: str) -> str | None:
    """Return the user_id of an actor, None for an anonymous session."""
    return actor[2:] if actor.startswith(_USER) else None


def session_of(actor: str) -> str | None:
    """Return the session_id of an actor that is an anonymous session, None for a user."""
    return actor[2:] if actor.startswith(_SESSION) else None


def actor_key(actor: str, secret: bytes) -> str:
    """Return what stands for an actor outside the event store: `user_key` of a user, "s-" and the same of a session."""
    key = user_key(actor[2:], secret)
    return key if actor.startswith(_USER) else f"s-{key}"
