"""Values as Python and numpy print them: `['Drama', 'Comedy']`, `{'asin': '0001', 'price': nan}`, `['Drama' 'Comedy']`."""

from __future__ import annotations

import ast
import math
import re
import warnings
from typing import Any

import orjson

__all__ = ["parse_json_or_python", "parse_python_literal"]

_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_STRINGS_ONLY = re.compile(r"\[(?:\s*(?:" + _STRING.pattern + r"))+\s*\]", re.DOTALL)
_NAMES = {"nan": math.nan, "NaN": math.nan, "inf": math.inf, "null": None, "true": True, "false": False}
_PARSE_ERRORS = (ValueError, SyntaxError, TypeError, RecursionError, MemoryError)


def parse_python_literal(text: str) -> Any:
    """Parse a Python literal, tuples and sets as lists, nan and inf as they are printed. Raises ValueError.

    Texts in brackets with nothing between them are an array that numpy printed; Python would join them into one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if _STRINGS_ONLY.fullmatch(text):
                return [ast.literal_eval(part) for part in _STRING.findall(text)]
            tree = ast.parse(text.strip(), mode="eval")
            return _plain(ast.literal_eval(_Named().visit(tree)))
    except _PARSE_ERRORS:
        raise ValueError("is no Python literal") from None


def parse_json_or_python(text: str) -> Any:
    """Parse JSON, or else a Python literal. Raises ValueError."""
    try:
        return orjson.loads(text)
    except ValueError:
        return parse_python_literal(text)


class _Named(ast.NodeTransformer):
    """Names that stand for a value in what programs print."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.copy_location(ast.Constant(_NAMES[node.id]), node) if node.id in _NAMES else node


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes | complex) or value is ...:
        raise ValueError("is no value of a catalogue")
    return value
