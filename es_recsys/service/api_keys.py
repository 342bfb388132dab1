"""The service's keys: made once, kept as hashes in a file of the owner's, and read again when the file changes."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from filelock import FileLock

from es_recsys.errors import InputError, SetupError
from es_recsys.private import make_folder, private_opener
from es_recsys.settings import Settings

__all__ = ["SCOPES", "ApiKey", "ApiKeys"]

SCOPES = ("public", "read", "write", "admin")
"""Each of read, write and admin may what those before it may. public is for browsers: it may search and send events."""

_PREFIX = "esr"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept. hash: SHA-256 of its secret, which has 256 random bits. created_at: epoch seconds."""

    key_id: str
    scope: str
    hash: str
    created_at: float
    name: str = ""


class ApiKeys:
    """The keys of one store's service, in a file in its home."""

    def __init__(self, settings: Settings) -> None:
        self.path = settings.store_home / "service_keys.json"
        self._read_at: tuple[int, int, int] | None = None
        self._keys: dict[str, ApiKey] = {}

    def all(self) -> list[ApiKey]:
        """Return the keys, oldest first. Raises SetupError where the file can't be read."""
        self._refresh()
        return list(self._keys.values())

    def create(self, scope: str, name: str = "") -> tuple[ApiKey, str]:
        """Make a key; return it and its text, which is kept nowhere. Raises InputError for an unknown scope."""
        if scope not in SCOPES:
            raise InputError(f"{scope!r} is no scope.", f"There are {', '.join(SCOPES)}.")
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        key = ApiKey(key_id, scope, _hash(secret), time.time(), name)
        with self._changing() as keys:
            keys[key_id] = key
        return key, f"{_PREFIX}_{key_id}_{secret}"

    def revoke(self, key_id: str) -> None:
        """Remove a key. Raises InputError where there is none of the id."""
        with self._changing() as keys:
            if keys.pop(key_id, None) is None:
                raise InputError("There is no key of that id.", "See which there are: es-recsys keys list")

    def find(self, text: str) -> ApiKey | None:
        """Return the key that a text is, None where it is none."""
        self._refresh()
        prefix, _, rest = text.partition("_")
        key_id, _, secret = rest.partition("_")
        key = self._keys.get(key_id)
        expected = key.hash if key is not None else _hash("")
        matches = hmac.compare_digest(_hash(secret), expected)
        return key if key is not None and matches and prefix == _PREFIX else None

    @contextmanager
    def _changing(self) -> Iterator[dict[str, ApiKey]]:
        make_folder(self.path.parent)
        with FileLock(self.path.with_suffix(".lock")):
            self._refresh()
            keys = dict(self._keys)
            yield keys
            draft = self.path.with_suffix(".draft")
            with open(draft, "wb", opener=private_opener) as file:
                file.write(orjson.dumps([asdict(key) for key in keys.values()], option=orjson.OPT_INDENT_2))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        self._refresh()

    def _refresh(self) -> None:
        stamp = _stamp(self.path)
        if stamp == self._read_at:
            return
        try:
            found = orjson.loads(self.path.read_bytes()) if stamp is not None else []
            self._keys = {each["key_id"]: ApiKey(**each) for each in found}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise SetupError(
                f"The file of keys {self.path} can't be read ({type(error).__name__}).", "Mend it or remove it."
            ) from None
        self._read_at = stamp


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
