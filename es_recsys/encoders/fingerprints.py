"""Fingerprints of models, and digests of files that are kept while a file does not change."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["DigestCache", "fingerprint", "write_atomic"]


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def fingerprint(parts: Iterable[tuple[str, Any]]) -> str:
    """Return 32 hex digits over named parts; the order of the parts and of the keys in them doesn't matter."""
    text = json.dumps(dict(parts), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class DigestCache:
    """Digests that are costly to compute, kept in `folder` for as long as the files they come from don't change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "digests"

    def sha256(self, path: Path) -> str:
        """Return the SHA-256 of a file, 64 hex digits. Raises OSError."""

        def compute() -> str:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

        return self.get_or_compute("sha256", [path], compute)

    def get_or_compute(self, kind: str, paths: Sequence[Path], compute: Callable[[], str]) -> str:
        """Return `compute()`, or what it returned when these files had the same size, inode and time of change.

        Raises OSError.
        """
        state = [[str(path.resolve()), *_file_state(path)] for path in paths]
        names = json.dumps([kind, [one[0] for one in state]])
        note = self._folder / f"{hashlib.sha256(names.encode()).hexdigest()[:32]}.json"
        try:
            kept = json.loads(note.read_bytes())
            if kept["state"] == state:
                return str(kept["value"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        value = compute()
        # Without a writable cache it is computed each time.
        with suppress(OSError):
            write_atomic(note, json.dumps({"state": state, "value": value}).encode())
        return value


def _file_state(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]
