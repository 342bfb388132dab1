"""A profile's state as a JSON document and back, without loss: folding into what was read equals never having stored it.

The document has `user_key`, `applied_through`, `revision`, `updated_at`, and `state`, an object that no index need
look into. Vectors are base64 of little-endian float64: with float32, each update would leave a little rounding, and an
old profile would drift from its rebuilt self.

Keys of the stored state keep their first names, so that stored profiles stay readable: `terms` is `ProfileState.config`,
`known` is `seen`, `opinions` is `explicit_feedback`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import IndexStateError
from es_recsys.events.decayed_sums import DecayedSums
from es_recsys.events.profile_state import HistoryEntry, ProfileConfig, ProfileState, empty_state, reset_if_stale

__all__ = ["RESUME_FIELDS", "can_resume", "from_document", "resume", "to_document"]

_FORMAT = 1

RESUME_FIELDS = ("applied_through", "revision", "state.format", "state.terms")
"""The fields of a stored profile that `can_resume` reads."""


def to_document(state: ProfileState, updated_at: float | None = None) -> dict[str, Any]:
    """Return the state as JSON values. updated_at: epoch seconds, kept for people to read."""
    return {
        "user_key": state.user_key,
        "applied_through": state.applied_through,
        "revision": state.revision,
        "updated_at": updated_at,
        "state": {
            "format": _FORMAT,
            "terms": asdict(state.config),
            "reference": state.reference,
            "sums": [_sums_out(term, sums) for (term, _), sums in sorted(state.sums.items(), key=lambda pair: pair[0])],
            "history": _columns(state.history, 5),
            "known": {name: sorted(items) for name, items in sorted(state.seen.items())},
            "opinions": _columns_by_key(state.explicit_feedback, 3),
            **({"authors": _columns_by_key(state.authors, 3)} if state.authors else {}),
            "queries": _columns_by_key(state.queries, 2),
            "counts": dict(state.counts),
            "strength": state.strength,
        },
    }


def from_document(document: Mapping[str, Any]) -> ProfileState:
    """Read what `to_document` wrote. Raises IndexStateError where it is of another format, or broken."""
    try:
        inner = document["state"]
        if inner["format"] != _FORMAT:
            raise ValueError("another format")
        return ProfileState(
            user_key=document["user_key"],
            config=ProfileConfig(**inner["terms"]),
            revision=document["revision"],
            applied_through=document["applied_through"],
            reference=inner["reference"],
            sums={(it["term"], float(it["half_life"])): _sums_in(it) for it in inner["sums"]},
            history=tuple(HistoryEntry(*row) for row in zip(*inner["history"], strict=True)),
            seen={name: frozenset(items) for name, items in inner["known"].items()},
            explicit_feedback={item: (time, key, sign) for item, time, key, sign in zip(*inner["opinions"], strict=True)},
            authors={name: (time, key, sign) for name, time, key, sign in zip(*inner.get("authors", ()), strict=True)},
            queries={text: (time, key) for text, time, key in zip(*inner["queries"], strict=True)},
            counts=inner["counts"],
            strength=inner["strength"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise IndexStateError("A stored profile can't be read.", "Run: es-recsys profiles build") from error


def resume(document: Mapping[str, Any] | None, user_key: str, config: ProfileConfig, revision: int) -> ProfileState:
    """Return the stored state where events may be folded into it, else an empty one. document: None for no stored profile."""
    if document is None:
        return empty_state(user_key, config, revision)
    return reset_if_stale(from_document(document), config, revision)


def can_resume(document: Mapping[str, Any], config: ProfileConfig, revision: int) -> bool:
    """Return whether events may be folded into a stored profile; it may lack later rows. Reads RESUME_FIELDS only."""
    inner = document.get("state") or {}
    return (document.get("revision"), inner.get("format"), inner.get("terms")) == (revision, _FORMAT, asdict(config))


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[Sequence[Any]]:
    """Return rows as columns, which are shorter in JSON; `width` empty ones where there are no rows."""
    return list(zip(*rows, strict=True)) if rows else [[] for _ in range(width)]


def _columns_by_key(rows: Mapping[str, tuple[Any, ...]], width: int) -> list[Sequence[Any]]:
    """Return the keys in their order, and their rows as columns."""
    keys = sorted(rows)
    return [keys, *_columns([rows[key] for key in keys], width)]


def _sums_out(term: str, sums: DecayedSums) -> dict[str, Any]:
    return {
        "term": term,
        "half_life": sums.half_life,
        "net": sums.net,
        "mass": sums.mass,
        "price": list(sums.price),
        "affinities": {facet: dict(values) for facet, values in sums.affinities.items()},
        "vectors": {name: _text(vector) for name, vector in sums.vectors.items()},
    }


def _sums_in(it: Mapping[str, Any]) -> DecayedSums:
    weight, first, second = it["price"]
    return DecayedSums(
        float(it["half_life"]),
        it["net"],
        it["mass"],
        {name: _vector(text) for name, text in it["vectors"].items()},
        it["affinities"],
        (weight, first, second),
    )


def _text(vector: NDArray[np.float64]) -> str:
    return base64.b64encode(vector.astype("<f8").tobytes()).decode("ascii")


def _vector(text: str) -> NDArray[np.float64]:
    return np.frombuffer(base64.b64decode(text, validate=True), "<f8").astype(np.float64)
