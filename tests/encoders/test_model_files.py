from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from es_recsys.encoders import efficientnet, model_files
from es_recsys.encoders.clip_loading import ClipSource, load_clip
from es_recsys.encoders.factory import encoders, image_encoder
from es_recsys.encoders.fingerprints import DigestCache, fingerprint
from es_recsys.encoders.model_files import find_text_model, verify_checksum
from es_recsys.encoders.text_model_files import model_languages, text_fingerprint
from es_recsys.errors import EncodingError, InputError, MissingExtra, ModelError
from es_recsys.settings import Settings


def model(folder: Path, weights: bytes = b"weights", **config: object) -> Path:
    """The files of a sentence-transformers model, as far as they are looked at without torch."""
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 16, **config}))
    steps = [{"path": "", "type": "a.b.Transformer"}, {"path": "1_Pooling", "type": "a.c.Pooling"}]
    (folder / "modules.json").write_text(json.dumps(steps))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 20}))
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"a": 1}}, "truncation": {"max_length": 5}}))
    return folder


def mark(folder: Path, cache: Path) -> str:
    return text_fingerprint(folder, DigestCache(cache))


def test_copies_of_one_model_have_one_fingerprint(tmp_path: Path) -> None:
    first = model(tmp_path / "a")
    second = model(tmp_path / "b", _name_or_path="elsewhere", transformers_version="5.0")
    (second / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"a": 1}}, "padding": None}))
    (second / "README.md").write_text("another card")
    assert mark(first, tmp_path) == mark(second, tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", "other weights"),
        ("config.json", '{"model_type": "bert", "hidden_size": 16, "hidden_act": "relu"}'),
        ("1_Pooling/config.json", '{"pooling_mode_cls_token": true}'),
        ("sentence_bert_config.json", '{"max_seq_length": 21}'),
        ("tokenizer.json", '{"model": {"vocab": {"a": 2}}}'),
        ("modules.json", '[{"path": "", "type": "a.b.Transformer"}]'),
        ("config_sentence_transformers.json", '{"prompts": {"query": "q: "}}'),
    ],
)
def test_whatever_changes_vectors_changes_the_fingerprint(tmp_path: Path, name: str, content: str) -> None:
    folder = model(tmp_path / "a")
    before = mark(folder, tmp_path)
    (folder / name).write_text(content)
    assert mark(folder, tmp_path) != before
    assert mark(folder, tmp_path) != text_fingerprint(folder, DigestCache(tmp_path), precision="int8")


def test_a_digest_is_kept_until_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    digests = DigestCache(tmp_path / "cache")
    assert digests.get_or_compute("kind", [file], lambda: "first") == "first"
    assert DigestCache(tmp_path / "cache").get_or_compute("kind", [file], lambda: "second") == "first"
    assert digests.get_or_compute("other", [file], lambda: "third") == "third"
    file.write_bytes(b"other")
    assert digests.get_or_compute("kind", [file], lambda: "fourth") == "fourth"
    for note in (tmp_path / "cache" / "digests").iterdir():
        note.write_bytes(b"{")
    assert digests.get_or_compute("kind", [file], lambda: "fifth") == "fifth"


def test_a_digest_is_had_without_a_writable_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "cache").write_text("a file where the folder should be")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # SHA-256 of "abc", FIPS 180-2
    assert DigestCache(tmp_path / "cache").sha256(tmp_path / "file") == expected


def test_a_fingerprint_does_not_hang_on_order() -> None:
    assert fingerprint([("a", 1), ("b", {"x": 1, "y": 2})]) == fingerprint([("b", {"y": 2, "x": 1}), ("a", 1)])
    assert fingerprint([("a", 1)]) != fingerprint([("a", 2)])


def test_other_weights_in_a_pinned_place_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model(tmp_path / "model")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"others")
    monkeypatch.setattr(model_files, "package_folder", lambda _: tmp_path)
    monkeypatch.setattr(efficientnet, "package_folder", lambda _: tmp_path)
    with pytest.raises(EncodingError, match="digest"):
        find_text_model("sentence-transformers/all-MiniLM-L6-v2", DigestCache(tmp_path / "cache"))
    with pytest.raises(EncodingError, match="digest"):
        efficientnet.weights(DigestCache(tmp_path / "cache"))
    with pytest.raises(EncodingError, match="can't be read"):
        verify_checksum(tmp_path / "absent", "00", DigestCache(tmp_path))


def test_a_folder_wins_over_a_name_and_the_hub_s_cache_over_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    digests = DigestCache(tmp_path)
    assert find_text_model(str(model(tmp_path / "mine")), digests) == tmp_path / "mine"
    for full, asked in (("sentence-transformers/some-model", "some-model"), ("who/other", "who/other")):
        place = tmp_path / "hub" / f"models--{full.replace('/', '--')}"
        snapshot = model(place / "snapshots" / "abc")
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text("abc\n")
        assert find_text_model(asked, digests) == snapshot
        shutil.rmtree(snapshot)
        with pytest.raises(ModelError, match="HF_HUB_OFFLINE") as caught:
            find_text_model(asked, digests)
        assert "ES_RECSYS_ENCODERS__TEXT" in caught.value.remedy


class _Silent:
    """A hub that doesn't answer, and is asked once."""

    asked = 0

    def model_info(self, *_: object, timeout: float) -> None:
        assert timeout <= 10
        type(self).asked += 1
        raise ConnectionError("no route")


@pytest.fixture
def silent_hub() -> type[_Silent]:
    return type("Silent", (_Silent,), {})


def test_without_a_network_a_name_fails_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent_hub: type[_Silent]
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the download would try again for minutes")

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(HfApi=silent_hub, snapshot_download=never))
    with pytest.raises(ModelError, match="ConnectionError"):
        find_text_model("some-model", DigestCache(tmp_path))
    assert silent_hub.asked == 1


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "package_folder", lambda _: None)
    with pytest.raises(MissingExtra, match=r"es-recsys\[image\]"):
        efficientnet.weights(DigestCache(tmp_path))


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("---\nlanguage: en\nlicense: x\n---\ntext", {"en"}),
        ("---\nlanguage:\n- de\n- fr\nlicense: x\n---\n", {"de", "fr"}),
        ("---\nlanguage: [en, zh]\n---\n", {"en", "zh"}),
        ("---\nlicense: x\n---\nlanguage: en", set()),
        ("no front matter", set()),
    ],
)
def test_the_card_says_the_languages(tmp_path: Path, card: str, expected: set[str]) -> None:
    (tmp_path / "README.md").write_text(card)
    assert model_languages(tmp_path) == expected
    assert model_languages(tmp_path / "absent") == frozenset()


@pytest.mark.parametrize("name", ["resnet", "open_clip:ViT-B-32", "open_clip:", "open_clip:/x", "open_clip:local-dir:"])
def test_an_image_model_s_name_must_say_where_its_weights_are(encoder_settings: Callable[..., Settings], name: str) -> None:
    with pytest.raises(InputError) as caught:
        image_encoder(encoder_settings(image=name))
    assert "open_clip:MODEL/PRETRAINED" in caught.value.remedy


def test_both_can_be_left_out(encoder_settings: Callable[..., Settings]) -> None:
    assert encoders(encoder_settings(text="none", image="none", audio="none")) == ()


def test_names_of_open_clip_models_are_read() -> None:
    def parts(name: str) -> tuple[str, str | None]:
        source = ClipSource.parse(name)
        return source.model, source.weights

    assert parts("open_clip:ViT-B-32/laion2b_s34b_b79k") == ("ViT-B-32", "laion2b_s34b_b79k")
    assert parts("open_clip:ViT-B-32@/a/b/c.pt") == ("ViT-B-32", "/a/b/c.pt")
    assert parts("open_clip:local-dir:/a/b") == ("local-dir:/a/b", None)
    assert parts("open_clip:hf-hub:who/what") == ("hf-hub:who/what", None)


TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


def test_a_folder_without_weights_is_refused_not_random(tmp_path: Path) -> None:
    pytest.importorskip("open_clip", reason="the package open-clip-torch is not installed")
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": {}}))
    with pytest.raises(ModelError, match="can't be loaded"):
        load_clip(ClipSource.parse(f"open_clip:local-dir:{tmp_path}"))


def test_a_pickled_checkpoint_runs_no_code(tmp_path: Path) -> None:
    open_clip = pytest.importorskip("open_clip", reason="the package open-clip-torch is not installed")
    import torch

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    (tmp_path / "evil-clip.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(tmp_path / "evil-clip.json")
    state = open_clip.create_model("evil-clip").state_dict()
    torch.save(state, tmp_path / "good.pt")
    assert load_clip(ClipSource.parse(f"open_clip:evil-clip@{tmp_path / 'good.pt'}")).dims == 16
    torch.save({"state_dict": state, "extra": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(ModelError):
        load_clip(ClipSource.parse(f"open_clip:evil-clip@{tmp_path / 'evil.pt'}"))
    assert not (tmp_path / "ran").exists()


def test_a_tag_outside_the_cache_fails_at_once_without_a_network(
    monkeypatch: pytest.MonkeyPatch, silent_hub: type[_Silent]
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the download would try again for minutes")

    pytest.importorskip("open_clip", reason="the package open-clip-torch is not installed")
    import huggingface_hub

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub, "HfApi", silent_hub)
    for name in ("hf_hub_download", "snapshot_download"):
        monkeypatch.setattr(huggingface_hub, name, never)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    with pytest.raises(ModelError, match="hub can't be reached"):
        load_clip(ClipSource.parse("open_clip:ViT-B-32/openai"))
    assert silent_hub.asked == 1


def test_one_model_from_two_places_has_one_fingerprint(tmp_path: Path) -> None:
    open_clip = pytest.importorskip("open_clip", reason="the package open-clip-torch is not installed")
    from safetensors.torch import save_file

    (tmp_path / "places-clip.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(tmp_path / "places-clip.json")
    model = open_clip.create_model("places-clip")
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, tmp_path / "weights.safetensors")
    local = tmp_path / "local"
    local.mkdir()
    save_file(state, local / "open_clip_model.safetensors")
    (local / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": {}}))
    first = load_clip(ClipSource.parse(f"open_clip:places-clip@{tmp_path / 'weights.safetensors'}"))
    second = load_clip(ClipSource.parse(f"open_clip:local-dir:{local}"))
    assert first.fingerprint == second.fingerprint
