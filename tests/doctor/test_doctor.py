from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from es_recsys.doctor import Check, diagnose, packages, store
from es_recsys.doctor.encoder_fingerprints import image_fingerprint, text_fingerprint
from es_recsys.doctor.machine import check_node_resources, check_python, check_writable
from es_recsys.engine import machine
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.settings import EncoderSettings, Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache", index="s")


def _by_name(checks: Any) -> dict[str, Check]:
    found = list(checks)
    assert len({check.name for check in found}) == len(found)
    for check in found:
        assert check.what
        assert check.ok or check.remedy, f"{check.name} names no way out"
    return {check.name: check for check in found}


def test_a_node_that_is_not_up_is_no_fault_and_nothing_is_left_behind(settings: Settings) -> None:
    found = _by_name(diagnose(settings))
    assert found["elasticsearch"].ok and "es-recsys engine start" in found["elasticsearch"].what
    assert {"python", "home", "cache", "java", "disk", "memory"} <= found.keys()
    assert not settings.home.exists()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense"])
def test_a_server_that_does_not_answer_is_a_fault_with_a_remedy(settings: Settings, url: str) -> None:
    found = _by_name(diagnose(settings.model_copy(update={"url": url})))
    assert not found["elasticsearch"].ok
    assert "java" not in found, "a server elsewhere brings its own"
    assert "store" not in found


def test_looking_imports_nothing_heavy() -> None:
    heavy = ("torch", "elasticsearch", "scipy", "polars")
    code = f"import sys, es_recsys.doctor; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_a_check_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Check("a", True, "b").ok = False  # type: ignore[misc]


def test_an_old_python_is_a_fault() -> None:
    assert check_python().ok
    assert not check_python((3, 10, 14)).ok


def test_too_little_memory_and_disk_are_faults(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: 100 * machine.MIB)
    monkeypatch.setattr(machine, "free_disk", lambda folder: 100 * machine.MIB)
    found = _by_name(check_node_resources(settings))
    assert not found["memory"].ok and not found["disk"].ok
    assert "memory" not in _by_name(check_node_resources(settings, running=True)), "a node that is up has it already"


def test_a_folder_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        check = check_writable("home", folder, "ES_RECSYS_HOME")
        assert not check.ok and str(folder) in check.what and "ES_RECSYS_HOME" in check.remedy
    assert check_writable("home", tmp_path / "new" / "er", "ES_RECSYS_HOME").ok
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_missing_package_is_named_with_the_extra_that_brings_it(settings: Settings) -> None:
    found = _by_name(packages.check_packages(settings, lambda module: module not in {"tokenizers", "timm", "jgo", "implicit"}))
    assert "tokenizers" in found["packages for text"].what and "[text]" in found["packages for text"].remedy
    assert "timm" in found["packages for images"].what and "[image]" in found["packages for images"].remedy
    assert not found["packages for the embedded node"].ok and "[embedded]" in found["packages for the embedded node"].remedy
    training = found["packages for training"]
    assert training.ok and "implicit" in training.what, "without it, als is left out"


def test_what_the_settings_do_not_call_for_is_not_missed(settings: Settings) -> None:
    chosen = settings.model_copy(update={"encoders": EncoderSettings(text="none", image="none"), "url": "http://127.0.0.1:1"})
    assert all(check.ok for check in packages.check_packages(chosen, lambda module: False))


def test_what_makes_a_models_form_is_not_missed_once_it_is_made(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "text_fingerprint", lambda settings: "fingerprint")

    def without_torch(module: str) -> bool:
        return module != "torch"

    assert not _by_name(packages.check_packages(settings, without_torch))["packages for text"].ok
    made = settings.cache / "onnx" / "fingerprint-1"
    made.mkdir(parents=True)
    (made / "manifest.json").write_text("{}")
    assert _by_name(packages.check_packages(settings, without_torch))["packages for text"].ok


@pytest.mark.parametrize(
    ("chosen", "missing", "named"),
    [
        ("aisfx", "aisfx", "pip install --no-deps aisfx"),
        ("aisfx", "onnxruntime", "[text]"),
        ("clap:local-dir:x", "transformers", "[text]"),
    ],
)
def test_what_an_audio_model_needs_is_named(settings: Settings, chosen: str, missing: str, named: str) -> None:
    given = settings.model_copy(update={"encoders": EncoderSettings(audio=chosen)})
    check = _by_name(packages.check_packages(given, lambda module: module != missing))["packages for sounds"]
    assert not check.ok and missing in check.what and named in check.remedy
    assert _by_name(packages.check_packages(given, lambda module: True))["packages for sounds"].ok


def test_every_module_is_one_that_the_extras_install() -> None:
    if not packages.is_installed("torch"):
        pytest.skip("the extras are not installed")
    modules = {
        *packages._TEXT_RUNTIME,
        *packages._TEXT_EXPORT,
        *packages._IMAGE_RUNTIME,
        *packages._IMAGE_EXPORT,
        *packages._CLIP,
        *packages._AUDIO_RUNTIME,
        *packages._AUDIO_EXPORT,
        *packages._CLAP,
        *packages._TRAIN,
        *packages._EMBEDDED,
        *packages._TEXT_WEIGHTS,
    }
    assert [module for module in sorted(modules) if not packages.is_installed(module)] == []


META = IndexMetadata("s", 3, vectors={"text_vector": VectorMetadata(384, "f" * 64, "all-MiniLM-L6-v2")})


@pytest.fixture
def fingerprints(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """What the encoders' fingerprints are."""
    given: dict[str, str | None] = {"text": "f" * 64, "image": "a" * 64}
    monkeypatch.setattr(store, "text_fingerprint", lambda settings: given["text"])
    monkeypatch.setattr(store, "image_fingerprint", lambda settings: given["image"])
    return given


def test_vectors_of_the_encoder_that_is_set_are_right(settings: Settings, fingerprints: dict[str, str | None]) -> None:
    found = _by_name(store.check_vectors(META, settings))
    assert found["vectors: text_vector"].ok
    assert found["vectors: image_vector"].ok and "has none" in found["vectors: image_vector"].what


def test_vectors_of_other_weights_are_a_fault_under_the_same_name_too(
    settings: Settings, fingerprints: dict[str, str | None]
) -> None:
    fingerprints["text"] = "0" * 64
    check = _by_name(store.check_vectors(META, settings))["vectors: text_vector"]
    assert not check.ok and "all-MiniLM-L6-v2" in check.remedy


@pytest.mark.parametrize(
    ("chosen", "ok"),
    [("another", True), ("minilm-int8", False), (EncoderSettings().text, True)],
    ids=["the store's", "not the store's", "left at its default"],
)
def test_names_are_compared_where_weights_cannot_be(
    settings: Settings, fingerprints: dict[str, str | None], chosen: str, ok: bool
) -> None:
    """What is left at its default is the encoder that the store has, as in answers and loads."""
    fingerprints["text"] = None
    metadata = replace(META, vectors={"text_vector": VectorMetadata(384, "f" * 64, "another")})
    given = settings.model_copy(update={"encoders": EncoderSettings(text=chosen)})
    assert _by_name(store.check_vectors(metadata, given))["vectors: text_vector"].ok is ok


def test_an_encoder_that_is_switched_off_is_no_fault(settings: Settings, fingerprints: dict[str, str | None]) -> None:
    off = settings.model_copy(update={"encoders": EncoderSettings(text="none")})
    fingerprints["text"] = None
    assert _by_name(store.check_vectors(META, off))["vectors: text_vector"].ok


def test_the_models_artefacts_are_looked_for(settings: Settings) -> None:
    from es_recsys.dataset import Interactions
    from es_recsys.models import Popularity

    metadata = replace(META, models=("popularity",))
    absent = _by_name(store.check_artefacts(metadata, settings))["model: popularity"]
    assert not absent.ok and "000003" in absent.what
    once = np.ones(1)
    data = Interactions(
        np.array(["u"]), np.array(["i"]), np.zeros(1, np.int32), np.zeros(1, np.int32), once.astype(np.float32), once
    )
    Popularity().fit(data, np.random.default_rng(7)).save(settings.store_home / "models" / "000003" / "popularity")
    assert _by_name(store.check_artefacts(metadata, settings))["model: popularity"].ok
    for array in (settings.store_home / "models" / "000003" / "popularity").glob("*.npy"):
        array.write_bytes(array.read_bytes()[:-1])
    assert not _by_name(store.check_artefacts(metadata, settings))["model: popularity"].ok


def test_the_fingerprints_are_those_that_the_encoders_tell(settings: Settings) -> None:
    if not packages.is_installed("torch"):
        pytest.skip("the extras are not installed")
    from es_recsys.encoders import efficientnet, text_model_files
    from es_recsys.encoders.fingerprints import DigestCache
    from es_recsys.encoders.model_files import find_text_model

    digests = DigestCache(settings.cache)
    assert text_fingerprint(settings) == text_model_files.text_fingerprint(
        find_text_model(settings.encoders.text, digests), digests
    )
    assert image_fingerprint(settings) == efficientnet.image_fingerprint(efficientnet.weights(digests), digests)
    unknown = settings.model_copy(update={"encoders": EncoderSettings(text="somebody/some-model", image="open_clip:a/b")})
    assert text_fingerprint(unknown) is None and image_fingerprint(unknown) is None
