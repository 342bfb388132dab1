"""Checks of the store in service: its vectors, the artefacts of its models, and what stopped runs left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from es_recsys.counting import counted
from es_recsys.doctor.check import Check, run_check
from es_recsys.doctor.encoder_fingerprints import audio_fingerprint, image_fingerprint, text_fingerprint
from es_recsys.engine.connect import address_of, translate_error
from es_recsys.errors import FingerprintMismatch, RecsysError, StoreNotFound
from es_recsys.settings import EncoderSettings, Settings
from es_recsys.vector_fields import VECTOR_FIELDS, is_encoder_field

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

    from es_recsys.index_metadata import IndexMetadata

__all__ = ["check_artefacts", "check_orphaned_models", "check_store", "check_unfinished", "check_vectors"]


def check_store(client: Elasticsearch, settings: Settings) -> Iterator[Check]:
    """Check the store's live version; that there is none yet is no fault."""
    from elasticsearch import ApiError, TransportError

    from es_recsys.index.stored_metadata import read_metadata

    try:
        metadata = read_metadata(client, settings.index)
    except StoreNotFound as error:
        yield Check("store", True, f"{error.what} {error.remedy}")
        yield from check_unfinished(client, settings)
        return
    except RecsysError as error:
        yield Check("store", False, error.what, error.remedy)
        return
    except (ApiError, TransportError) as error:
        translated = translate_error(error, address_of(client))
        yield Check("store", False, translated.what, translated.remedy)
        return
    yield Check("store", True, f"{settings.index}: version {metadata.version} is live ({metadata.index}).")
    yield from check_vectors(metadata, settings)
    yield from check_artefacts(metadata, settings)
    yield from check_unfinished(client, settings)
    yield from check_orphaned_models(client, settings)


def check_unfinished(client: Elasticsearch, settings: Settings) -> Iterator[Check]:
    """Report versions and models that a run left behind which was stopped."""
    from es_recsys.index.unfinished_versions import abandoned_versions, draft_folders, is_writer_lock_free

    free = is_writer_lock_free(settings)
    for version in abandoned_versions(client, settings, time.time(), free=free):
        what = "lacks an index" if version.incomplete else "was never taken into service"
        yield Check(
            "versions",
            False,
            f"Version {version.version} of {settings.index} {what}: the run that made it was stopped.",
            "The next es-recsys items load or es-recsys train removes it.",
        )
    for folder in draft_folders(settings) if free else ():
        yield Check(
            "models", False, f"{folder} was never finished.", "The next es-recsys items load or es-recsys train removes it."
        )


def check_orphaned_models(client: Elasticsearch, settings: Settings) -> Iterator[Check]:
    """Report models whose version the store lacks. No run removes them, since a store in another Elasticsearch may have it."""
    from es_recsys.index.unfinished_versions import is_writer_lock_free, orphaned_model_folders

    for folder in orphaned_model_folders(client, settings) if is_writer_lock_free(settings) else ():
        remedy = "Remove the folder, unless a store of that name in another Elasticsearch has the version."
        yield Check("models", False, f"{folder} belongs to no version of {settings.index} here.", remedy)


def check_vectors(metadata: IndexMetadata, settings: Settings) -> Iterator[Check]:
    """Check that the encoders that are set made the store's vectors. One that is left at its default is the store's own."""
    settings = _with_stored_defaults(metadata, settings)
    encoders = (
        ("text_vector", settings.encoders.text, text_fingerprint),
        ("image_vector", settings.encoders.image, image_fingerprint),
        ("audio_vector", settings.encoders.audio, audio_fingerprint),
    )
    for field, name, find_fingerprint in encoders:
        describe = partial(_describe_vector, metadata, field, name, partial(find_fingerprint, settings))
        yield run_check(f"vectors: {field}", describe)


def _with_stored_defaults(metadata: IndexMetadata, settings: Settings) -> Settings:
    default, chosen, update = EncoderSettings(), settings.encoders, {}
    for name, made in metadata.vectors.items():
        content = VECTOR_FIELDS[name].content if is_encoder_field(name) else None
        if content is not None and getattr(chosen, content) == getattr(default, content):
            update[content] = made.model
    return settings.model_copy(update={"encoders": chosen.model_copy(update=update)})


def _describe_vector(metadata: IndexMetadata, field: str, name: str, find_fingerprint: Callable[[], str | None]) -> str:
    from es_recsys.index.stored_metadata import check_vectors

    made = metadata.vectors.get(field)
    if made is None:
        when = "with sounds are loaded" if VECTOR_FIELDS[field].on_demand else "are loaded into a new version"
        loaded = "" if name == "none" else f"; {name} fills it when items {when}"
        return f"The store has none{loaded}."
    if name == "none":
        return f"Made by {made.model}; not used, since no encoder is set for it."
    fingerprint = find_fingerprint()
    if fingerprint is not None:
        check_vectors(metadata, {field: replace(made, fingerprint=fingerprint, model=name)})
        return f"Made by {made.model}, which is set ({made.dims} dimensions, {fingerprint[:12]})."
    if made.model != name:
        raise FingerprintMismatch(
            f"{field} of {metadata.index} was made by {made.model}, and {name} is set now.",
            f"Set the encoder back to {made.model}, or load the items into a new store.",
        )
    return f"Made by {made.model}, which is set; its weights are compared at the first use."


def check_artefacts(metadata: IndexMetadata, settings: Settings) -> Iterator[Check]:
    """Check that the models that the version is served with can be loaded."""
    from es_recsys.index.version_folders import models_folder
    from es_recsys.models.segments import SEGMENTS
    from es_recsys.serving.snapshot_cache import popularity_folder, segments_folder

    folder = models_folder(settings, metadata.version)
    for name in metadata.models:
        if name != SEGMENTS:  # listed by versions that were trained when segments recommended
            yield run_check(f"model: {name}", partial(_describe_model, folder, name))
    segments = segments_folder(settings, metadata.version)
    if segments.exists():
        yield run_check(SEGMENTS, partial(_describe_segments, segments))
    popularity = popularity_folder(settings)
    if popularity.exists():
        yield run_check("popularity", partial(_describe_popularity, popularity))
    yield from _check_tuned_settings(settings.store_home / "tuned")


def _check_tuned_settings(folder: Path) -> Iterator[Check]:
    """Report settings that were tuned for a model that is gone."""
    from es_recsys.models.removed import REMOVED

    for path in sorted(folder.glob("*.json")):
        if path.stem in REMOVED:
            remedy = f"Remove the file; tune {REMOVED[path.stem]} instead."
            yield Check("tuned settings", False, f"There is no model {path.stem!r} any more, for which {path} is.", remedy)


def _describe_model(folder: Path, name: str) -> str:
    from es_recsys.models import load_models

    return f"{counted(len(load_models(folder, (name,))[name].item_ids), 'item', 'items')}, in {folder / name}."


def _describe_segments(folder: Path) -> str:
    from es_recsys.models.segments import Segments

    return f"{counted(len(Segments.load(folder).profiles), 'segment', 'segments')}, in {folder}."


def _describe_popularity(folder: Path) -> str:
    from es_recsys.models import Popularity

    return f"{counted(len(Popularity.load(folder).item_ids), 'item', 'items')}, in {folder}."
