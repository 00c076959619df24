"""InternVL chat with InternLM2, as VLAC is released, in the layout that transformers knows.

The released layout comes with Python files of its own, which are never run: its weights have other
names, InternLM2 keeps queries, keys and values in one matrix, and its tokenizer is a SentencePiece
file. InternLM2 is Llama but for that matrix, so the result is an InternVL with a Llama inside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from densegym.errors import ProgressBackendError, require
from densegym.reward_models.progress.vlm.sentencepieces import read_tokenizer

TYPE = "internvl_chat"  # of the released layout
CONTEXT = "<IMG_CONTEXT>"
_LANGUAGE = "InternLM2ForCausalLM"
_RENAMED = (
    (r"^vision_model\.embeddings\.class_embedding$", "model.vision_tower.embeddings.cls_token"),
    (
        r"^vision_model\.embeddings\.position_embedding$",
        "model.vision_tower.embeddings.position_embeddings",
    ),
    (
        r"^vision_model\.embeddings\.patch_embedding\.",
        "model.vision_tower.embeddings.patch_embeddings.projection.",
    ),
    (r"^vision_model\.encoder\.layers\.", "model.vision_tower.encoder.layer."),
    (r"\.attn\.proj\.", ".attention.projection_layer."),
    (r"\.attn\.", ".attention."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.ls([12])$", r".lambda_\1"),
    (r"^mlp1\.0\.", "model.multi_modal_projector.layer_norm."),
    (r"^mlp1\.1\.", "model.multi_modal_projector.linear_1."),
    (r"^mlp1\.3\.", "model.multi_modal_projector.linear_2."),
    (r"^language_model\.output\.", "lm_head."),
    (r"^language_model\.model\.tok_embeddings\.", "model.language_model.embed_tokens."),
    (r"^language_model\.model\.", "model.language_model."),
    (r"\.attention\.wo\.", ".self_attn.o_proj."),
    (r"\.attention\.w([qkv])\.", r".self_attn.\1_proj."),
    (r"\.feed_forward\.w1\.", ".mlp.gate_proj."),
    (r"\.feed_forward\.w2\.", ".mlp.down_proj."),
    (r"\.feed_forward\.w3\.", ".mlp.up_proj."),
    (r"\.attention_norm\.", ".input_layernorm."),
    (r"\.ffn_norm\.", ".post_attention_layernorm."),
)


def open_released(path: Path, config: Mapping[str, Any], files: list[Path], kind: Any) -> Any:
    """Return model, loading information, configuration and tokenizer of a released folder.

    Args:
        path: of the checkpoint.
        config: its ``config.json``.
        files: its weights, safetensors.
        kind: dtype as transformers takes it.

    Raises:
        ProgressBackendError: a language model other than InternLM2, or a damaged tokenizer.
    """
    transformers = require("transformers", extra="vision")
    torch = require("torch", extra="agents")
    from safetensors.torch import load_file

    tokenizer = read_tokenizer(path)
    told = converted_config(path, config, int(tokenizer.convert_tokens_to_ids(CONTEXT)))
    weights: dict[str, Any] = {}
    for file in files:
        weights |= dict(converted_weights(load_file(file), config))
    kind = next(iter(weights.values())).dtype if kind == "auto" else kind
    settings = transformers.InternVLConfig(**told)
    model, info = transformers.InternVLForConditionalGeneration.from_pretrained(
        None, config=settings, state_dict=weights, dtype=kind, output_loading_info=True
    )
    assert isinstance(model, torch.nn.Module)
    return model, info, {**told, "model_type": "internvl"}, tokenizer


def converted_config(path: Path, config: Mapping[str, Any], context: int) -> dict[str, Any]:
    """Return the settings as transformers names them.

    Args:
        path: of the checkpoint, for messages.
        config: of the released layout.
        context: number of the token that stands for a piece of a picture.

    Raises:
        ProgressBackendError: a language model other than InternLM2, or a variant of its pictures.
    """
    words, eyes = config.get("llm_config", {}), config.get("vision_config", {})
    kind = (words.get("architectures") or ["none"])[0]
    if kind != _LANGUAGE:
        raise ProgressBackendError(
            f"{path} is InternVL with the language model {kind}; {_LANGUAGE}, which VLAC has, is "
            'the one that is read in this layout. Serve it and give "base_url".'
        )
    if config.get("ps_version", "v2") != "v2" or config.get("select_layer", -1) != -1:
        raise ProgressBackendError(
            f"{path} has ps_version {config.get('ps_version')} and select_layer "
            f"{config.get('select_layer')}; expected v2 and -1, those of InternVL2"
        )
    side = int(config.get("force_image_size") or eyes["image_size"])
    patch, down = int(eyes["patch_size"]), float(config.get("downsample_ratio", 0.5))
    return {
        "text_config": {"model_type": "llama", **_language(words)},
        "vision_config": {**_vision(eyes), "image_size": [side, side], "patch_size": [patch] * 2},
        "image_token_id": context,
        "image_seq_length": int((side // patch) ** 2 * down**2),
        "downsample_ratio": down,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default",
        "projector_hidden_act": "gelu",
        "tie_word_embeddings": bool(words.get("tie_word_embeddings", False)),
    }


def _language(words: Mapping[str, Any]) -> dict[str, Any]:
    same = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "max_position_embeddings",
    )
    scaling = dict(words.get("rope_scaling") or {})
    turns = {"rope_type": scaling.pop("type", "default"), **scaling}
    return {
        **{key: words[key] for key in same},
        "rms_norm_eps": words.get("rms_norm_eps", 1e-6),
        "hidden_act": words.get("hidden_act", "silu"),
        "attention_bias": bool(words.get("bias", False)),
        "rope_parameters": {**turns, "rope_theta": words.get("rope_theta", 10000)},
        "bos_token_id": words.get("bos_token_id", 1),
        "eos_token_id": words.get("eos_token_id", 2),
    }


def _vision(eyes: Mapping[str, Any]) -> dict[str, Any]:
    same = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    return {
        **{key: eyes[key] for key in same},
        "hidden_act": eyes.get("hidden_act", "gelu"),
        "norm_type": eyes.get("norm_type", "layer_norm"),
        "layer_norm_eps": eyes.get("layer_norm_eps", 1e-6),
        "attention_bias": bool(eyes.get("qkv_bias", True)),
        "use_qk_norm": bool(eyes.get("qk_normalization", False)),
        "use_mean_pooling": True,  # which here means no norm after the last layer
    }


def converted_weights(
    weights: Mapping[str, Any], config: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Yield the weights under the names that transformers gives them, fused ones apart."""
    groups = int(config["llm_config"]["num_key_value_heads"])
    heads = int(config["llm_config"]["num_attention_heads"])
    for name, value in weights.items():
        if ".attention.wqkv." in name:
            parts = _apart(value, heads, groups)
            for letter, part in zip("qkv", parts, strict=True):
                yield _renamed(name.replace(".wqkv.", f".w{letter}.")), part
        elif ".attn.qkv." in name:
            for letter, part in zip("qkv", value.chunk(3), strict=True):
                yield _renamed(name.replace(".attn.qkv.", f".attn.{letter}_proj.")), part.clone()
        else:
            yield _renamed(name), value


def _apart(fused: Any, heads: int, groups: int) -> tuple[Any, Any, Any]:
    """Return queries, keys and values; each group holds its queries, then one key and one value."""
    each = heads // groups
    rows = fused.unflatten(0, (groups, each + 2, -1))
    flat: Callable[[Any], Any] = lambda part: part.flatten(0, 2).contiguous()  # noqa: E731
    return flat(rows[:, :each]), flat(rows[:, each : each + 1]), flat(rows[:, each + 1 :])


def _renamed(name: str) -> str:
    for old, new in _RENAMED:
        name = re.sub(old, new, name)
    return name
