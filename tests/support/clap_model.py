"""A CLAP model with random weights, small enough to be made in a test."""

from __future__ import annotations

from pathlib import Path

WORDS = ("low", "high", "tone", "noise", "chord", "a", "red", "shoe", "of", "music")


def tiny_clap(folder: Path, seed: int, *, fusion: bool = False) -> str:
    """Save it as transformers does; give the encoder's name. It reads 10 seconds at 16 kHz in 101 frames of 16 bands."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import ClapAudioConfig, ClapConfig, ClapFeatureExtractor, ClapModel, ClapTextConfig, PreTrainedTokenizerFast

    text = ClapTextConfig(
        vocab_size=len(WORDS) + 4,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=20,
        projection_dim=32,
    )
    audio = ClapAudioConfig(
        num_mel_bins=16,
        spec_size=64,
        window_size=4,
        patch_size=2,
        patch_stride=(2, 2),
        patch_embeds_hidden_size=16,
        hidden_size=32,
        depths=[1, 1],
        num_attention_heads=[2, 2],
        num_hidden_layers=2,
        projection_dim=32,
        enable_fusion=fusion,
        fusion_type="aff_2d" if fusion else None,
    )
    torch.manual_seed(seed)
    config = ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=32)
    model = ClapModel(config)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.copy_(torch.randn(weights.shape) * weights[0].numel() ** -0.5)
    model.save_pretrained(folder)
    ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=16_000,
        hop_length=1_600,
        frequency_max=8_000,
        truncation="fusion" if fusion else "rand_trunc",
    ).save_pretrained(folder)
    special = ("<s>", "<pad>", "</s>", "<unk>")
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate((*special, *WORDS))}, "<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    return f"clap:local-dir:{folder}"
