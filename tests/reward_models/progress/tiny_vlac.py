"""A tiny, random checkpoint in the layout VLAC is released in: InternVL chat with InternLM2.

Its names, its one matrix of queries, keys and values, its SentencePiece file and the added tokens
that take the numbers of unused pieces are those of the released layout.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import InternVLConfig, InternVLForConditionalGeneration

HEADS, GROUPS, HIDDEN, LAYERS = 4, 2, 32, 2
WORDS = ["he", "th", "the", "▁t", "▁the"]  # merged in this order
LETTERS = [chr(code) for code in range(33, 127)] + ["▁"]
UNUSED = [f"[UNUSED_TOKEN_{index}]" for index in range(4)]


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number: int, value: bytes | int) -> bytes:
    """Return one field of a protocol buffer."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def pieces() -> list[tuple[str, float, int]]:
    """Return text, score and kind of every piece."""
    told = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    told += [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]
    told += [(word, -float(rank), 1) for rank, word in enumerate(WORDS)]
    told += [(letter, -100.0 - rank, 1) for rank, letter in enumerate(LETTERS)]
    return told + [(name, 0.0, 4) for name in UNUSED]


def sentencepiece(*, prefixed: bool = False, model: int = 2) -> bytes:
    """Return a SentencePiece file."""
    told = b""
    for text, score, kind in pieces():
        number = bytes([2 << 3 | 5]) + struct.pack("<f", score)
        told += field(1, field(1, text.encode()) + number + field(3, kind))
    return told + field(2, field(3, model)) + field(3, field(3, int(prefixed)))


def save(folder: Path) -> InternVLForConditionalGeneration:
    """Save the checkpoint; return the same network in transformers' own layout."""
    torch.manual_seed(0)
    count = len(pieces())
    added = {count - 2: "<|im_end|>", count - 1: "<|im_start|>"}
    more = ("<img>", "</img>", "<IMG_CONTEXT>")
    added |= {count + index: name for index, name in enumerate(more)}
    (folder / "tokenizer.model").write_bytes(sentencepiece())
    settings = {
        "tokenizer_class": "InternLM2Tokenizer",
        "auto_map": {"AutoTokenizer": ["tokenization_internlm2.InternLM2Tokenizer", None]},
        "added_tokens_decoder": {str(n): {"content": name} for n, name in added.items()},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    for name in ("tokenization_internlm2.py", "modeling_internvl_chat.py"):
        (folder / name).write_text("raise SystemExit('foreign code ran')\n")
    size = count + len(more)
    network = _network(size, context=size - 1).eval()
    for parameter in network.parameters():
        parameter.data.normal_(0.0, 0.3)
    weights = {old: value.clone().contiguous() for old, value in _released(network)}
    names = sorted(weights)
    files = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, own in files.items():
        save_file({name: weights[name] for name in own}, folder / file)
    index = {"weight_map": {name: file for file, own in files.items() for name in own}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps(_config(size)))
    return network


def _network(vocab: int, context: int) -> InternVLForConditionalGeneration:
    text = {
        "model_type": "llama",
        "vocab_size": vocab,
        "hidden_size": HIDDEN,
        "intermediate_size": 48,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": GROUPS,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1000000},
    }
    eyes = {
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "intermediate_size": 40,
        "image_size": [56, 56],
        "patch_size": [14, 14],
        "attention_bias": True,
        "use_mean_pooling": True,
    }
    config = InternVLConfig(
        text_config=text,
        vision_config=eyes,
        image_token_id=context,
        image_seq_length=4,
        tie_word_embeddings=False,
    )
    return InternVLForConditionalGeneration(config)


def _config(vocab: int) -> dict:
    return {
        "model_type": "internvl_chat",
        "architectures": ["InternVLChatModel"],
        "downsample_ratio": 0.5,
        "force_image_size": 56,
        "ps_version": "v2",
        "select_layer": -1,
        "template": "internlm2-chat",
        "llm_config": {
            "architectures": ["InternLM2ForCausalLM"],
            "model_type": "internlm2",
            "vocab_size": vocab,
            "hidden_size": HIDDEN,
            "intermediate_size": 48,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": GROUPS,
            "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-5,
            "rope_theta": 1000000,
            "rope_scaling": {"type": "dynamic", "factor": 2.0},
            "bias": False,
            "tie_word_embeddings": False,
        },
        "vision_config": {
            "hidden_size": HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": 2,
            "intermediate_size": 40,
            "image_size": 56,
            "patch_size": 14,
            "qkv_bias": True,
            "qk_normalization": False,
            "norm_type": "layer_norm",
        },
    }


def _released(network):
    """Yield the weights under the released names."""
    own = network.state_dict()
    eyes, words = "model.vision_tower", "model.language_model"
    for old, new in (
        ("embeddings.cls_token", "embeddings.class_embedding"),
        ("embeddings.position_embeddings", "embeddings.position_embedding"),
        ("embeddings.patch_embeddings.projection.weight", "embeddings.patch_embedding.weight"),
        ("embeddings.patch_embeddings.projection.bias", "embeddings.patch_embedding.bias"),
    ):
        yield f"vision_model.{new}", own[f"{eyes}.{old}"]
    for layer in range(LAYERS):
        yield from _seeing(own, f"{eyes}.encoder.layer.{layer}", layer)
        yield from _speaking(own, f"{words}.layers.{layer}", layer)
    for number, name in ((0, "layer_norm"), (1, "linear_1"), (3, "linear_2")):
        for kind in ("weight", "bias"):
            yield f"mlp1.{number}.{kind}", own[f"model.multi_modal_projector.{name}.{kind}"]
    yield "language_model.model.tok_embeddings.weight", own[f"{words}.embed_tokens.weight"]
    yield "language_model.model.norm.weight", own[f"{words}.norm.weight"]
    yield "language_model.output.weight", own["lm_head.weight"]


def _seeing(own, old, layer):
    new = f"vision_model.encoder.layers.{layer}"
    for kind in ("weight", "bias"):
        parts = [own[f"{old}.attention.{letter}_proj.{kind}"] for letter in "qkv"]
        yield f"{new}.attn.qkv.{kind}", torch.cat(parts)
        yield f"{new}.attn.proj.{kind}", own[f"{old}.attention.projection_layer.{kind}"]
        for name in ("fc1", "fc2"):
            yield f"{new}.mlp.{name}.{kind}", own[f"{old}.mlp.{name}.{kind}"]
        yield f"{new}.norm1.{kind}", own[f"{old}.layernorm_before.{kind}"]
        yield f"{new}.norm2.{kind}", own[f"{old}.layernorm_after.{kind}"]
    for number in (1, 2):
        yield f"{new}.ls{number}", own[f"{old}.lambda_{number}"]


def _speaking(own, old, layer):
    new = f"language_model.model.layers.{layer}"
    yield f"{new}.attention.wqkv.weight", fused(own, f"{old}.self_attn")
    for name, kept in (
        ("attention.wo", "self_attn.o_proj"),
        ("feed_forward.w1", "mlp.gate_proj"),
        ("feed_forward.w3", "mlp.up_proj"),
        ("feed_forward.w2", "mlp.down_proj"),
        ("attention_norm", "input_layernorm"),
        ("ffn_norm", "post_attention_layernorm"),
    ):
        yield f"{new}.{name}.weight", own[f"{old}.{kept}.weight"]


def fused(own, where: str) -> torch.Tensor:
    """Return InternLM2's one matrix: group by group its query heads, its key, its value."""
    query, key, value = (own[f"{where}.{letter}_proj.weight"] for letter in "qkv")
    width, each = HIDDEN // HEADS, HEADS // GROUPS
    rows = []
    for group in range(GROUPS):
        rows.append(query[group * each * width : (group + 1) * each * width])
        rows.append(key[group * width : (group + 1) * width])
        rows.append(value[group * width : (group + 1) * width])
    return torch.cat(rows)
