"""Bodies that create the indices of a store: the JSON files in `mappings/`, the analyzers of a language, the vector fields."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from es_recsys.errors import SetupError
from es_recsys.index.analysis import analysis, mixed_analysis
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.languages import analyzer, mixed_analyzers
from es_recsys.vector_fields import AS_KEYWORD, AS_LONG, VECTOR_FIELDS, VectorField, index_options

__all__ = [
    "BY_LANGUAGE",
    "filterable_fields",
    "items_body",
    "load",
    "profiles_body",
    "vector_mapping",
    "with_any_type",
    "without_missing_targets",
]

_PACKAGE = Path(__file__).resolve().parent.parent
_FOLDERS = (_PACKAGE / "mappings", _PACKAGE.parent / "mappings")

BY_LANGUAGE = "by_language"
"""Object of the fields in which an item has its texts by its language, where a store mixes them: `by_language.title.german`."""

_LANGUAGE_FIELDS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("title", "content", {}),
    ("all_text", "content", {"similarity": "joined"}),
    ("ends", "ends", {}),
    ("heads", "ends", {"analyzer": "ends_search_{name}", "search_analyzer": "ends_{name}"}),
)
"""Part of BY_LANGUAGE, its analyser without the language, and what else its fields have."""

_FILTERABLE = frozenset({"keyword", "boolean", "date", "date_nanos", "double", "float", "long", "integer", "short", "byte"})


def load(name: str) -> dict[str, Any]:
    """Return `{"settings", "mappings"}` of "items", "profiles" or "users", as the file has them.

    The files lie inside the installed package, or beside it in a checkout. Raises SetupError where they do not.
    """
    for folder in _FOLDERS:
        path = folder / f"{name}.json"
        if path.is_file():
            body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return body
    raise SetupError(
        f"The mapping {name}.json is neither in {_FOLDERS[0]} nor in {_FOLDERS[1]}.",
        "Install the package again: pip install --force-reinstall es-recsys",
    )


def vector_mapping(
    name: str, metadata: VectorMetadata, count: int, options: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the `dense_vector` mapping of a field on about `count` items.

    options: field -> `index_options` that are used in place of those that vector_fields.py chooses.
    """
    row = VECTOR_FIELDS.get(name, VectorField(name, "model", metadata.model, metadata.similarity))
    chosen = (options or {}).get(name)
    return {
        "type": "dense_vector",
        "dims": metadata.dims,
        "index": True,
        "similarity": metadata.similarity,
        "index_options": dict(chosen) if chosen is not None else index_options(row, metadata.dims, count),
    }


def items_body(
    metadata: IndexMetadata, count: int, options: Mapping[str, Mapping[str, Any]] | None = None, *, thai_words: bool = True
) -> dict[str, Any]:
    """Return the body that creates the items index of a version for about `count` items. thai_words: as in `analysis`."""
    body = load("items")
    mapping = body["mappings"]
    for name, vector in metadata.vectors.items():
        mapping["properties"][name] = vector_mapping(name, vector, count, options)
    if metadata.mixes_languages:
        chains = mixed_analysis(mixed_analyzers(metadata.language), thai_words=thai_words)
        mapping["properties"][BY_LANGUAGE] = {"type": "object", "dynamic": True}
        mapping["dynamic_templates"] = [*_language_templates(), *mapping["dynamic_templates"]]
    else:
        chains = analysis(analyzer(metadata.language), thai_words=thai_words)
    settings = {**body["settings"], "analysis": chains}
    if "ends" not in settings["analysis"]["analyzer"]:
        for part in ("ends", "heads"):
            del mapping["properties"]["names"]["fields"][part]
    return {"settings": settings, "mappings": {**mapping, "_meta": metadata.to_dict()}}


def _language_templates() -> Iterator[dict[str, Any]]:
    """Yield the templates of fields whose last name is that of a language; each comes with the first item in it."""
    for part, chain, more in _LANGUAGE_FIELDS:
        mapping = {"type": "text", "analyzer": f"{chain}_{{name}}", "search_analyzer": f"{chain}_search_{{name}}", **more}
        yield {f"{part}_by_language": {"path_match": f"{BY_LANGUAGE}.{part}.*", "mapping": mapping}}


def profiles_body(metadata: IndexMetadata) -> dict[str, Any]:
    """Return the body that creates the profiles index of a version."""
    body = load("profiles")
    return {"settings": body["settings"], "mappings": {**body["mappings"], "_meta": metadata.to_dict()}}


def with_any_type(attribute: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping of an attribute, as an earlier release may have made it, so that it takes values of any type."""
    for template in load("items")["mappings"]["dynamic_templates"]:
        for body in template.values():
            new = body["mapping"]
            if new["type"] == attribute.get("type") and new.get("ignore_malformed"):
                forms = {name: new["fields"][name] for name in (AS_KEYWORD, AS_LONG) if name in new["fields"]}
                return {**attribute, "ignore_malformed": True, "fields": {**attribute.get("fields", {}), **forms}}
    return dict(attribute)


def without_missing_targets(node: Any, there: Collection[str]) -> Any:
    """Return a part of a mapping with `copy_to` naming only fields that are `there`: an index refuses to copy to others."""
    if isinstance(node, list):
        return [without_missing_targets(each, there) for each in node]
    if not isinstance(node, dict):
        return node
    result = {name: without_missing_targets(value, there) for name, value in node.items() if name != "copy_to"}
    targets = node.get("copy_to", [])
    if left := [name for name in ([targets] if isinstance(targets, str) else targets) if name in there]:
        result["copy_to"] = left
    return result


def filterable_fields(mapping: Mapping[str, Any]) -> dict[str, str]:
    """Return path -> Elasticsearch type of each field of an items mapping that can be filtered by.

    The other forms of an attribute (vector_fields.py) are among them: "attributes.size" and "attributes.size._keyword"; so is
    a text as a whole: "title.keyword".
    """
    return dict(_walk(mapping.get("properties", {}), ""))


def _walk(properties: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, body in properties.items():
        if "properties" in body:
            yield from _walk(body["properties"], f"{prefix}{name}.")
        elif body.get("type") in _FILTERABLE and body.get("index", True) and body.get("doc_values", True):
            yield f"{prefix}{name}", body["type"]
            for form in (AS_KEYWORD, AS_LONG):
                if form in body.get("fields", {}):
                    yield f"{prefix}{name}.{form}", body["fields"][form]["type"]
        elif "keyword" in body.get("fields", {}):  # a text, filtered by as a whole
            yield f"{prefix}{name}.keyword", "keyword"
