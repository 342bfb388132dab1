"""A sentence-transformers model as ONNX. The only place, with torch_text.py, where a text model needs torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from es_recsys.encoders.base import l2_normalize
from es_recsys.encoders.onnx_model import vectors_agree
from es_recsys.encoders.onnx_text import OnnxTextEncoder
from es_recsys.encoders.transformers_logging import without_logging
from es_recsys.errors import MissingExtra, ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["CHECK_TEXTS", "ExportError", "export_text", "load_sentence_transformer"]

CHECK_TEXTS = (
    "red running shoes",
    "a",
    "Waterproof hiking boots, size 42 (EU), with a removable insole and reinforced toe.",
    "iPhone 15 Pro Max 256GB - natural titanium",
    "café crème brûlée, jalapeño & naïve façade",
    "手作りの陶器のカップ",
    "Тёплая зимняя куртка",
    "100% cotton t-shirt £9.99!!! #sale",
    "?",
    "one two three four five six seven eight nine ten " * 60,
    "UPPER lower MiXeD   spaces\tand\nlines  ",
    "🎧 wireless headphones",
)
"""Short and long, beyond the model's length, accents, other scripts, marks: where two tokenizers would differ."""


class ExportError(Exception):
    """The error of a model that has no ONNX form which gives its vectors."""


def load_sentence_transformer(folder: Path, threads: int = 0) -> SentenceTransformer:
    """Load the model on torch in fp32; its own code is never run (trust_remote_code is off). Raises ModelError, MissingExtra."""
    try:
        import torch
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtra(error.name or "sentence-transformers", "text") from None
    if threads:
        torch.set_num_threads(threads)
    try:
        with without_logging():
            model = SentenceTransformer(
                str(folder), device="cpu", local_files_only=True, model_kwargs={"attn_implementation": "eager"}
            )
    except Exception as error:
        raise ModelError(
            f"The model {folder} can't be loaded ({type(error).__name__}: {error}).",
            "Give the folder or name of a sentence-transformers model.",
        ) from error
    return model.float().eval()


def export_text(model: SentenceTransformer, into: Path) -> Mapping[str, Any]:
    """Write model.onnx and tokenizer.json, check them against the model, and return the manifest. Raises ExportError."""
    tokenizer = getattr(model[0], "tokenizer", None)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if tokenizer is None or backend is None:
        raise ExportError("its tokenizer is not one of the tokenizers library")
    prompts = {key: text for key, text in model.prompts.items() if text}
    if prompts and any(getattr(module, "include_prompt", True) is False for module in model):
        raise ExportError("its pooling leaves the prompt out")
    default = model.prompts.get(model.default_prompt_name or "", "")
    (into / "tokenizer.json").write_text(backend.to_str(), encoding="utf-8")
    inputs = _write_graph(model, into / "model.onnx")
    with without_logging():
        expected = l2_normalize(model.encode(list(CHECK_TEXTS), prompt="", show_progress_bar=False))
    manifest = {
        "dims": int(expected.shape[1]),
        "inputs": inputs,
        "max_length": int(model.max_seq_length or tokenizer.model_max_length),
        "pad_id": int(tokenizer.pad_token_id or 0),
        "pad_left": tokenizer.padding_side == "left",
        "lower": bool(getattr(model[0], "do_lower_case", False)),
        "prompts": {kind: model.prompts.get(kind) or default for kind in ("query", "document")},
    }
    found = OnnxTextEncoder("check", "", into, {**manifest, "prompts": {}}).encode(CHECK_TEXTS)
    if not vectors_agree(found, expected):
        raise ExportError("its ONNX form gives other vectors")
    return manifest


def _write_graph(model: SentenceTransformer, path: Path) -> list[str]:
    """Trace the whole chain (transformer, pooling, dense layers, normalisation) into one graph; return its inputs."""
    import torch

    try:
        import onnx  # noqa: F401  torch's exporter writes with it
    except ImportError:
        raise MissingExtra("onnx", "text") from None

    class Chain(torch.nn.Module):
        def __init__(self, names: list[str]) -> None:
            super().__init__()
            self.model = model
            self.names = names

        def forward(self, *tensors: Any) -> Any:
            features = self.model(dict(zip(self.names, tensors, strict=True)))
            return torch.nn.functional.normalize(features["sentence_embedding"], dim=1)

    features = {name: value for name, value in model.preprocess(list(CHECK_TEXTS[:2])).items() if hasattr(value, "shape")}
    names = list(features)
    if not set(names) <= {"input_ids", "attention_mask", "token_type_ids"}:
        raise ExportError(f"it takes other inputs: {', '.join(names)}")
    try:
        with without_logging(), torch.no_grad():
            torch.onnx.export(
                Chain(names),
                tuple(features.values()),
                str(path),
                input_names=names,
                output_names=["vectors"],
                dynamic_axes={**{name: {0: "batch", 1: "length"} for name in names}, "vectors": {0: "batch"}},
                opset_version=17,
                dynamo=False,
            )
    except MissingExtra:
        raise
    except Exception as error:
        raise ExportError(f"torch can't trace it ({type(error).__name__})") from error
    return names
