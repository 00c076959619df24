"""Tiny, randomly initialised checkpoints of the released architectures, saved to disk.

They are made as the released ones are: configuration, tokenizer, picture settings and safetensors.
What they write is nonsense; that it is read, run and refused correctly is what tests look at.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import nn
from transformers import (
    InternVLConfig,
    InternVLForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

QWEN = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
QWEN += ["<|video_pad|>", "<|endoftext|>"]
INTERN = ["<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<|endoftext|>"]
RYNN = ["<value>", "<relative_value>"]
HIDDEN = 32


def tokenizer(folder: Path, special: list[str]) -> PreTrainedTokenizerFast:
    """Save a tokenizer of single bytes with special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {symbol: number for number, symbol in enumerate(alphabet)}
    for word in ("ĠYes", "ĠNo", "Yes", "No"):
        vocab[word] = len(vocab)
    merges = [("N", "o"), ("Y", "e"), ("Ye", "s"), ("Ġ", "Yes"), ("Ġ", "No")]
    for left, right in merges:
        vocab.setdefault(left + right, len(vocab))
    made = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<|endoftext|>")
    fast.add_special_tokens({"additional_special_tokens": special})
    fast.save_pretrained(folder)
    return fast


def _text(vocab: int, rope: dict) -> dict:
    return {
        "vocab_size": vocab,
        "hidden_size": HIDDEN,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 8192,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, **rope},
    }


def _pictures(folder: Path, patch: int) -> None:
    settings = {
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "patch_size": patch,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "size": {"shortest_edge": 1024, "longest_edge": 16384},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def _markers(words: PreTrainedTokenizerFast) -> dict[str, int]:
    markers = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    return {key: words.convert_tokens_to_ids(token) for key, token in markers.items()}


def qwen3_config(words: PreTrainedTokenizerFast) -> Qwen3VLConfig:
    return Qwen3VLConfig(
        text_config=_text(len(words), {"mrope_section": [2, 1, 1], "mrope_interleaved": True}),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": HIDDEN,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
            "patch_size": 16,
        },
        **_markers(words),
    )


def qwen3(folder: Path) -> Path:
    """Save a Qwen3-VL, as GRM-8B and GRM-2.0 are."""
    torch.manual_seed(0)
    words = tokenizer(folder, QWEN)
    Qwen3VLForConditionalGeneration(qwen3_config(words)).eval().save_pretrained(folder)
    _pictures(folder, 16)
    return folder


def qwen25(folder: Path) -> Path:
    """Save a Qwen2.5-VL, as GRM-3B is."""
    torch.manual_seed(0)
    words = tokenizer(folder, QWEN)
    config = Qwen2_5_VLConfig(
        text_config=_text(len(words), {"mrope_section": [2, 1, 1]}),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": HIDDEN,
            "patch_size": 14,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        **_markers(words),
    )
    Qwen2_5_VLForConditionalGeneration(config).eval().save_pretrained(folder)
    _pictures(folder, 14)
    return folder


def internvl(folder: Path) -> Path:
    """Save an InternVL in transformers' layout, as a converted VLAC is."""
    torch.manual_seed(0)
    words = tokenizer(folder, INTERN)
    config = InternVLConfig(
        text_config={"model_type": "qwen2", **_text(len(words), {})},
        vision_config={
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "image_size": [56, 56],
            "patch_size": [14, 14],
        },
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    InternVLForConditionalGeneration(config).eval().save_pretrained(folder)
    return folder


def _mlp(outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(HIDDEN, HIDDEN // 2),
        nn.LayerNorm(HIDDEN // 2),
        nn.GELU(),
        nn.Dropout(0.1),
        nn.Linear(HIDDEN // 2, outputs),
    )


def robometer(folder: Path, *, lerobot: bool = False) -> Path:
    """Save Robometer: Qwen3-VL below three heads, in its own layout or LeRobot's."""
    torch.manual_seed(0)
    added = ["<|split_token|>", "<|reward_token|>", "<|pref_token|>", "<|sim_token|>"]
    words = tokenizer(folder, QWEN + added + ["<|prog_token|>"])
    config = qwen3_config(words)
    weights = {
        f"model.{key}": value
        for key, value in Qwen3VLForConditionalGeneration(config).state_dict().items()
    }
    heads = {"progress_head": 10, "success_head": 1, "preference_head": 1}
    for name, outputs in heads.items():
        weights |= {f"{name}.{key}": value for key, value in _mlp(outputs).state_dict().items()}
    weights["frame_pool_attn.weight"] = torch.zeros(1, HIDDEN)
    save_file({key: value.clone() for key, value in weights.items()}, folder / "model.safetensors")
    own = config.to_dict()
    told = {"type": "robometer", "vlm_config": own} if lerobot else own
    (folder / "config.json").write_text(json.dumps(told))
    _pictures(folder, 16)
    return folder


def rynnvalue(folder: Path) -> Path:
    """Save RynnValue: Qwen3-VL below an ensemble of two BRO heads, in two files."""
    torch.manual_seed(0)
    words = tokenizer(folder, QWEN + RYNN)
    config = qwen3_config(words)
    weights = dict(Qwen3VLForConditionalGeneration(config).state_dict())
    repeat, bins, wide = 2, 16, 24
    for number in range(2):
        proj = f"value_heads.{number}.proj"
        shapes = {
            "input_layer": (wide, HIDDEN * repeat),
            "blocks.0.fc1": (wide, wide),
            "blocks.0.fc2": (wide, wide),
            "final_layer": (bins, wide),
        }
        for name, shape in shapes.items():
            weights[f"{proj}.{name}.weight"] = torch.randn(shape) * 0.3
            weights[f"{proj}.{name}.bias"] = torch.randn(shape[0]) * 0.3
        for name in ("input_norm", "blocks.0.ln1", "blocks.0.ln2"):
            weights[f"{proj}.{name}.weight"] = torch.ones(wide)
            weights[f"{proj}.{name}.bias"] = torch.zeros(wide)
    weights["relative_value_head.proj.weight"] = torch.zeros(bins, HIDDEN)
    weights["relative_value_head.proj.bias"] = torch.zeros(bins)
    names = sorted(weights)
    files = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, own in files.items():
        save_file({name: weights[name].clone() for name in own}, folder / file)
    index = {"weight_map": {name: file for file, own in files.items() for name in own}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    value = {"bins": bins, "min_value": 0.0, "max_value": 512.0, "support_transform": "symlog"}
    more = {
        "model_type": "rynn_value_lang",
        "value_tokenizer_config": value,
        "value_head_config": {"head_type": "bro", "hidden_dims": wide, "depth": 1},
        "num_value_heads": 2,
        "value_token_repeat": repeat,
        "relative_value_token_repeat": repeat,
    }
    (folder / "config.json").write_text(json.dumps({**config.to_dict(), **more}))
    _pictures(folder, 16)
    return folder
