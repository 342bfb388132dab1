"""Whether the store in service fits the settings: its vectors, and the artefacts of its models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from es_recsys.engine import making, marks
from es_recsys.engine.checks import Check, attempt
from es_recsys.engine.connect import address_of, translated
from es_recsys.errors import FingerprintMismatch, RecsysError, StoreNotFound
from es_recsys.settings import Settings

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from es_recsys.index_metadata import IndexMetadata

__all__ = ["artefacts", "leftovers", "store", "strays", "vectors"]


def store(client: Elasticsearch, settings: Settings) -> Iterator[Check]:
    """Checks of the store's live version; that there is none yet is no fault."""
    from elasticsearch import ApiError, TransportError

    from es_recsys.index.stored_metadata import read_metadata

    try:
        metadata = read_metadata(client, settings.index)
    except StoreNotFound as error:
        yield Check("store", True, f"{error.what} {error.remedy}")
        yield from leftovers(client, settings)
        return
    except RecsysError as error:
        yield Check("store", False, error.what, error.remedy)
        return
    except (ApiError, TransportError) as error:
        told = translated(error, address_of(client))
        yield Check("store", False, told.what, told.remedy)
        return
    yield Check("store", True, f"{settings.index}: version {metadata.version} is live ({metadata.index}).")
    yield from vectors(metadata, settings)
    yield from artefacts(metadata, settings)
    yield from leftovers(client, settings)
    yield from strays(client, settings)


def leftovers(client: Elasticsearch, settings: Settings) -> Iterator[Check]:
    """Versions and models that a run left behind which was stopped."""
    free = making.is_free(settings)
    for one in making.abandoned(client, settings, time.time(), free=free):
        what = "lacks an index" if one.half else "was never taken into service"
        yield Check(
            "versions",
            False,
            f"Version {one.version} of {settings.index} {what}: the run that made it was stopped.",
            "The next es-recsys items load or es-recsys train removes it.",
        )
    for folder in making.drafts(settings) if free else ():
        yield Check(
            "models", False, f"{folder} was never finished.", "The next es-recsys items load or es-recsys train removes it."
        )


def strays(client: Elasticsearch, settings: Settings) -> Iterator[Check]:
    """Models whose version the store doesn't have; nobody removes them by himself, since another Elasticsearch may."""
    for folder in making.stale_folders(client, settings) if making.is_free(settings) else ():
        remedy = "Remove the folder, unless a store of that name in another Elasticsearch has the version."
        yield Check("models", False, f"{folder} belongs to no version of {settings.index} here.", remedy)


def vectors(metadata: IndexMetadata, settings: Settings) -> Iterator[Check]:
    """Whether the encoders that are set are those that made the store's vectors."""
    sides = (
        ("text_vector", settings.encoders.text, lambda: marks.text(settings)),
        ("image_vector", settings.encoders.image, lambda: marks.image(settings)),
    )
    for field, name, mark in sides:
        yield attempt(f"vectors: {field}", lambda f=field, n=name, m=mark: _vector(metadata, f, n, m))  # type: ignore[misc]


def _vector(metadata: IndexMetadata, field: str, name: str, mark: Callable[[], str | None]) -> str:
    from es_recsys.index.stored_metadata import check_vectors

    made = metadata.vectors.get(field)
    if made is None:
        loaded = "" if name == "none" else f"; {name} fills it when items are loaded into a new version"
        return f"The store has none{loaded}."
    if name == "none":
        return f"Made by {made.model}; not used, since no encoder is set for it."
    found = mark()
    if found is not None:
        check_vectors(metadata, {field: replace(made, fingerprint=found, model=name)})
        return f"Made by {made.model}, which is set ({made.dims} dimensions, {found[:12]})."
    if made.model != name:
        raise FingerprintMismatch(
            f"{field} of {metadata.index} was made by {made.model}, and {name} is set now.",
            f"Set the encoder back to {made.model}, or load the items into a new store.",
        )
    return f"Made by {made.model}, which is set; its weights are compared at the first use."


def artefacts(metadata: IndexMetadata, settings: Settings) -> Iterator[Check]:
    """Whether the models that the version is served with lie where they are looked for, whole."""
    folder = settings.store_home / "models" / f"{metadata.version:06d}"

    def ask(name: str) -> str:
        from es_recsys.models import load_models

        return f"{len(load_models(folder, (name,))[name].item_ids):,} items, in {folder / name}."

    for name in metadata.models:
        yield attempt(f"model: {name}", lambda name=name: ask(name))  # type: ignore[misc]
    popular = settings.store_home / "popularity"
    if popular.exists():
        yield attempt("popularity", lambda: _popularity(popular))


def _popularity(folder: Path) -> str:
    from es_recsys.models import Popularity

    return f"{len(Popularity.load(folder).item_ids):,} items, in {folder}."
