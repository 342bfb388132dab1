"""Reads a body in query DSL that somebody sent: its form, what in it is refused, and what it says about the person."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from es_recsys.service.errors import ServiceError

__all__ = [
    "PARAMETERS",
    "BodyRules",
    "Extension",
    "UbiExtension",
    "check_body",
    "media_bytes",
    "parse_json",
    "take_extensions",
    "whole",
]

_KEY_WORDS = """_source aggregations aggs collapse docvalue_fields explain ext fields from highlight indices_boost knn min_score
    pit post_filter profile query rank rescore retriever runtime_mappings script_fields search_after seq_no_primary_term size
    slice sort stats stored_fields sub_searches suggest terminate_after timeout track_scores track_total_hits version"""
_KEYS = frozenset(_KEY_WORDS.split())

_PARAMETER_WORDS = """_source _source_excludes _source_includes allow_no_indices allow_partial_search_results analyze_wildcard
    analyzer batched_reduce_size ccs_minimize_roundtrips default_operator df docvalue_fields error_trace expand_wildcards explain
    filter_path from human ignore_throttled ignore_unavailable include_named_queries_score lenient max_concurrent_searches
    max_concurrent_shard_requests pre_filter_shard_size preference pretty q request_cache rest_total_hits_as_int routing
    search_type seq_no_primary_term size sort stats stored_fields terminate_after timeout track_scores track_total_hits typed_keys
    version"""
PARAMETERS = frozenset(_PARAMETER_WORDS.split())
"""Parameters of the URL that are passed on; none of them names an index, a script or a body. One that is a body is `source`."""

_SCRIPT_WORDS = """script script_fields script_score _script scripted_metric bucket_script bucket_selector moving_fn
    minimum_should_match_script runtime_mappings"""
_SCRIPTS = frozenset(_SCRIPT_WORDS.split())
_SIZES = frozenset({"size", "shard_size"})
_LARGEST_SIZE = 10_000
_MOST_NESTED = 60


@dataclass(frozen=True, slots=True)
class BodyRules:
    """What bodies may hold.

    indices: those that are answered for, which may be named inside of a body, too, as by a terms lookup. most: hits (from +
    size), and the largest of any size.
    """

    indices: Collection[str]
    allow_scripts: bool = False
    most: int = 1_000

    def check_indices(self, names: str) -> None:
        """Raise ServiceError where an index, or one of several with commas between, isn't answered for."""
        if not set(names.split(",")) <= set(self.indices):
            raise ServiceError(
                404,
                "index_not_found_exception",
                "The store has not adopted this index. Adopt it: es-recsys items sync --from-index NAME",
            )


@dataclass(frozen=True, slots=True)
class Extension:
    """What `ext.es_recsys` says: who asks, and how personal the answer is to be.

    words: that the query stands for, for the log of answers. image, audio: a picture and a sound in base64, to find what is near.
    """

    user_id: str | None = None
    user_token: str | None = None
    session_id: str | None = None
    personalization: Any = None
    diversity: Any = None
    popularity: Any = None
    calibration: Any = None
    seen: Any = None
    exclude_ids: Any = ()
    explain: Any = False
    words: Any = None
    image: Any = None
    audio: Any = None

    @property
    def has_media(self) -> bool:
        return self.image is not None or self.audio is not None


@dataclass(frozen=True, slots=True)
class UbiExtension:
    """What `ext.ubi` says of a query, as UBI 1.3 has it."""

    query_id: str | None = None
    user_query: str | None = None
    client_id: str | None = None


_UBI_TEXTS = ("query_id", "user_query", "client_id")
_UBI_UNUSED = ("application", "object_id_field", "query_attributes")
_LONGEST_TEXT = 4_096


def parse_json(raw: bytes) -> dict[str, Any]:
    """Return the object of a body, {} for an empty one. Raises ServiceError."""
    if not raw.strip():
        return {}
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ServiceError(
            400, "parsing_exception", f"The body is no JSON (line {error.lineno}, column {error.colno})."
        ) from None
    if not isinstance(found, dict):
        raise ServiceError(400, "parsing_exception", "The body is no JSON object.")
    return found


def check_body(body: Mapping[str, Any], rules: BodyRules) -> None:
    """Raise ServiceError for what the service doesn't pass on."""
    for name in body:
        if name not in _KEYS:
            raise _refused("An unknown key stands in the body.", f"Keys that are passed on: {', '.join(sorted(_KEYS))}.")
    if "pit" in body:
        raise _refused("pit names no index, so it can't be seen whether it is an adopted one.", "Leave it out.")
    first, count = whole(body, "from", 0), whole(body, "size", 10)
    if first + count > rules.most:
        raise _refused(f"from + size is {first + count:,}, and {rules.most:,} is the most.", "Narrow the query, or ask for less.")
    for name, value in body.items():
        for inner in _objects({name: value}):
            _check_object(inner, rules)


def whole(body: Mapping[str, Any], name: str, default: int) -> int:
    """Return a whole number of a body that may stand in it as a text. Raises ServiceError."""
    value = body.get(name, default)
    try:
        number = -1 if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()) else int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise ServiceError(400, "illegal_argument_exception", f"[{name}] must be a whole number of 0 or more.")
    return number


def _check_object(found: Mapping[str, Any], rules: BodyRules) -> None:
    if "wrapper" in found:
        raise _refused("A wrapper query hides what it holds.", "Write the query itself.")
    if "collate" in found:
        raise _refused("The template of collate hides the query that it makes.", "Suggest without it.")
    if not rules.allow_scripts and (scripts := _SCRIPTS & found.keys()):
        raise _refused(
            f"{min(scripts)} stands in the body, and scripts are refused.",
            "Allow them with ES_RECSYS_SERVICE__ALLOW_SCRIPTS=true.",
        )
    for name in _named_indices(found):
        if not isinstance(name, Mapping) and str(name) not in rules.indices:  # an object is no name, but a clause or its like
            raise _refused("An index that isn't adopted is named in the body.", "Look up documents of adopted indices only.")
    largest = max(rules.most, _LARGEST_SIZE)
    for name in _SIZES & found.keys():
        if _is_above(found[name], largest):
            raise _refused(f"{name} in the body is too large.", f"{largest:,} is the most.")


def _is_above(value: Any, largest: int) -> bool:
    """Return whether a value is a larger number, also as a text, which Elasticsearch takes for one."""
    try:
        return float(value) > largest
    except (TypeError, ValueError):
        return False


def _named_indices(found: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the indices whose documents an object looks up: those of terms, shapes, percolate, more_like_this, runtime fields."""
    if "index" in found and "id" in found:
        yield found["index"]
    if "_index" in found and ("_id" in found or "doc" in found):
        yield found["_index"]
    if "target_index" in found:
        yield found["target_index"]
    shape = found.get("indexed_shape")
    if isinstance(shape, Mapping):
        yield shape.get("index", "shapes")


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield all objects in a value. Raises ServiceError for one that is nested too deeply."""
    level = [value]
    for _ in range(_MOST_NESTED):
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                yield each
                below.extend(each.values())
            elif isinstance(each, list):
                below.extend(each)
        level = [each for each in below if isinstance(each, dict | list)]
        if not level:
            return
    raise _refused(f"The body is nested more than {_MOST_NESTED} levels deep.", "Write it flatter.")


def take_extensions(body: dict[str, Any]) -> tuple[dict[str, Any], Extension | None, UbiExtension | None]:
    """Return the body without what is meant for us, and that, read. Raises ServiceError."""
    ext = body.get("ext")
    if not isinstance(ext, dict) or not ({"es_recsys", "ubi"} & ext.keys()):
        return body, None, None
    left = {name: value for name, value in ext.items() if name not in ("es_recsys", "ubi")}
    rest = {name: value for name, value in body.items() if name != "ext"}
    if left:
        rest["ext"] = left
    ours = _read(ext["es_recsys"], "ext.es_recsys", Extension) if "es_recsys" in ext else None
    ubi = _read(ext["ubi"], "ext.ubi", UbiExtension, _UBI_UNUSED) if "ubi" in ext else None
    if ubi is not None:
        for name in _UBI_TEXTS:
            value = getattr(ubi, name)
            if value is not None and (not isinstance(value, str) or len(value) > _LONGEST_TEXT):
                raise ServiceError(400, "illegal_argument_exception", f"[ext.ubi.{name}] must be a text.")
    return rest, ours, ubi


def media_bytes(name: str, value: Any) -> bytes | None:
    """Return the bytes of a picture or a sound that is sent in base64, also in a data URL. Raises ServiceError."""
    if value is None:
        return None
    if isinstance(value, str):
        with suppress(ValueError):
            if found := base64.b64decode(value.rpartition(",")[2] if value.startswith("data:") else value, validate=True):
                return found
    raise ServiceError(400, "illegal_argument_exception", f"[ext.es_recsys.{name}] must be the bytes of a file in base64.")


def _read(values: Any, name: str, kind: type[Any], unused: tuple[str, ...] = ()) -> Any:
    if not isinstance(values, dict):
        raise ServiceError(400, "parsing_exception", f"[{name}] must be an object.")
    known = (*kind.__dataclass_fields__, *unused)
    if values.keys() - set(known):
        raise ServiceError(
            400, "illegal_argument_exception", f"[{name}] has an unknown key. The known ones are: {', '.join(known)}."
        )
    return kind(**{key: value for key, value in values.items() if key not in unused})


def _refused(what: str, remedy: str) -> ServiceError:
    return ServiceError(400, "illegal_argument_exception", f"{what} {remedy}")
