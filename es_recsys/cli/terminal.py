"""Text of others on a terminal, with control characters written out."""

from __future__ import annotations

import re

__all__ = ["help_text", "printable", "printable_line"]

# C0 and C1 but for tab and line end, line and paragraph separators, marks that turn the order of writing, lone surrogates.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_TAG = re.compile(r"(?<!\\)\[(?=[a-zA-Z#/@])")


def printable(text: str) -> str:
    """Return the text with control characters written out: an escape becomes `\\x1b`. Line ends and tabs stay."""
    return _STEERING.sub(_written_out, text)


def printable_line(text: str) -> str:
    """Return the same in one line."""
    return printable(re.sub(r"[\r\n\t]+", " ", text))


def help_text(text: str | None) -> str | None:
    """Return a docstring for typer, which would take what stands in brackets for markup."""
    return None if text is None else _TAG.sub(r"\\[", text)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
