"""Digests that name a model: of files, remembered while a file does not change, and of settings."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["Digests", "fingerprint", "write_atomic"]


def write_atomic(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def fingerprint(parts: Iterable[tuple[str, Any]]) -> str:
    """32 hex digits over named parts; the order of the parts and of the keys in them doesn't matter."""
    text = json.dumps(dict(parts), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Digests:
    """SHA-256 of files. Weights weigh up to gigabytes, so a digest is kept in `folder` with size, inode and time of change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "digests"

    def of(self, path: Path) -> str:
        """SHA-256 of a file, 64 hex digits. Raises OSError."""
        stat = path.stat()
        state = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        note = self._folder / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]}.json"
        try:
            kept = json.loads(note.read_bytes())
            if kept["state"] == state:
                return str(kept["sha256"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        try:
            write_atomic(note, json.dumps({"state": state, "sha256": digest}).encode())
        except OSError:
            pass  # Without a writable cache it is computed each time.
        return digest
