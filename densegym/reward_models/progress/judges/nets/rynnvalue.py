"""RynnValue's network (arXiv 2608.09853): Qwen3-VL with heads for the seconds that remain.

Behind every picture stand groups of repeated tokens, ``<relative_value>`` from the second picture
on and ``<value>``. The hidden states of a ``<value>`` group, side by side, go through heads over
bins that are evenly spaced in symlog seconds; the value is the symexp of the mean bin, averaged
over heads. Groups see the text and pictures before them and themselves, both ways, and nothing
sees a group: values are not copied from each other.

The checkpoint's configuration carries the heads' settings, so no foreign code runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from densegym.errors import ProgressBackendError
from densegym.reward_models.progress.judges.absolute import Attempt
from densegym.reward_models.progress.vlm.access import Access
from densegym.reward_models.progress.vlm.backbone import Backbone, open_backbone
from densegym.reward_models.progress.vlm.encoding import Encoder, harmless
from densegym.reward_models.progress.vlm.template import Part
from densegym.reward_models.progress.vlm.wording import Wording

VALUE, RELATIVE = "<value>", "<relative_value>"
_HEAD = re.compile(r"^(value_heads|relative_value_head)\.")
_ACTIVATIONS = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "leaky_relu": nn.LeakyReLU,
}


class RynnvalueHead:
    """Reads remaining seconds and success off a checkpoint.

    Args:
        backbone: Qwen3-VL.
        heads: an ensemble over the same bins.
        bins: (bins,) centres in symlog seconds.
        repeats: tokens per ``<value>`` group and per ``<relative_value>`` group.
        encoder: of the backbone.
        wording: of the texts before and after the pictures.
        described: what robot and which camera, where the checkpoint wants to be told.
    """

    def __init__(
        self,
        backbone: Any,
        heads: nn.ModuleList,
        bins: Tensor,
        repeats: tuple[int, int],
        encoder: Encoder,
        wording: Wording,
        described: tuple[str | None, str | None],
    ) -> None:
        self._backbone, self._heads, self._bins = backbone, heads, bins
        self._repeats, self._encoder = repeats, encoder
        self._wording, self._described = wording, described
        self._value, self._relative = encoder.token(VALUE), encoder.token(RELATIVE)
        self._yes, self._no = (self._word(word) for word in (" Yes", " No"))

    @torch.inference_mode()
    def numbers(self, attempts: Sequence[Attempt], text: Sequence[str]) -> list[list[float]]:
        """Return the seconds that remain at every picture of each attempt."""
        return [self._seconds(attempt, task) for attempt, task in zip(attempts, text, strict=True)]

    @torch.inference_mode()
    def done(self, images: Sequence[Attempt], text: Sequence[str]) -> list[float]:
        """Return the probability that each attempt shows the task and ends completed.

        It is that of "Yes" against "No" after the section "match", times that after "success". The
        video's description, which the checkpoint writes before these, is left out to save its time.
        """
        return [self._success(attempt, task) for attempt, task in zip(images, text, strict=True)]

    def _seconds(self, attempt: Attempt, task: str) -> list[float]:
        ids, hidden = self._run(self._row(attempt, task, ""))
        group = hidden[ids == self._value].reshape(len(attempt), -1)
        logits = torch.stack([head(group) for head in self._heads]).float()
        middle = (logits.softmax(-1) * self._bins).sum(-1)
        seconds = middle.sign() * middle.abs().expm1()
        return [float(value) for value in seconds.mean(0)]

    def _success(self, attempt: Attempt, task: str) -> float:
        """Return the probability that the pictures show the task and that it is completed."""
        matches = self._yes_after(attempt, task, self._wording["match"].text)
        return matches * self._yes_after(attempt, task, self._wording["success"].text)

    def _yes_after(self, attempt: Attempt, task: str, question: str) -> float:
        _, hidden = self._run(self._row(attempt, task, question))
        logits = self._backbone.lm_head(hidden[-1:])[0].float()
        return float(logits[[self._yes, self._no]].softmax(-1)[0])

    def _row(self, attempt: Attempt, task: str, question: str) -> list[Part]:
        told = [
            "".join(str(part) for part in harmless(self._wording[name].fill({name: known})))
            for name, known in zip(("robot", "camera"), self._described, strict=True)
            if known
        ]
        words = harmless(self._wording["head"].fill({"task": task}))
        shown: list[Part] = []
        for index, picture in enumerate(attempt):
            shown += [
                picture,
                RELATIVE * self._repeats[1] if index else "",
                VALUE * self._repeats[0],
            ]
        head = "<|im_start|>user\n" + " ".join(told)
        return [head, *words, *shown, question]

    def _run(self, row: list[Part]) -> tuple[Tensor, Tensor]:
        """Return the tokens (L,) and their hidden states (L, width)."""
        inputs = self._encoder.encode([row], left=False)
        ids, whole = inputs["input_ids"], inputs.pop("attention_mask")
        where, _ = self._backbone.model.get_rope_index(
            ids,
            mm_token_type_ids=inputs["mm_token_type_ids"],
            image_grid_thw=inputs["image_grid_thw"],
            attention_mask=whole,
        )
        mask = isolated(ids[0], self._value, self._relative, self._backbone.dtype)
        pixels = inputs.pop("pixel_values").to(self._backbone.dtype)
        hidden = self._backbone.model(
            **inputs, pixel_values=pixels, position_ids=where, attention_mask=mask
        ).last_hidden_state
        return ids[0], hidden[0]

    def _word(self, word: str) -> int:
        tokens = self._encoder.tokenizer.encode(word, add_special_tokens=False)
        return int(tokens[0])


def isolated(ids: Tensor, value: int, relative: int, dtype: torch.dtype) -> Tensor:
    """Return the attention mask (1, 1, L, L), additive, that isolates groups of value tokens.

    Text and pictures see what comes before them except groups; a group sees that too, and all of
    itself. Neighbouring tokens of one kind are one group.
    """
    special = (ids == value) | (ids == relative)
    begins = special.clone()
    begins[1:] &= ~(special[:-1] & (ids[1:] == ids[:-1]))
    group = torch.where(special, begins.long().cumsum(0), torch.zeros_like(ids))
    same = (group[:, None] == group[None]) & special[:, None]
    length = len(ids)
    before = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
    allowed = (before & ~special[None]) | same
    mask = torch.zeros(length, length, dtype=dtype, device=ids.device)
    return mask.masked_fill(~allowed, torch.finfo(dtype).min)[None, None]


def load(
    access: Access,
    architectures: Mapping[str, str],
    wording: Wording,
    described: tuple[str | None, str | None],
) -> RynnvalueHead:
    """Load a RynnValue checkpoint.

    Args:
        access: names the folder and device.
        architectures: accepted model types.
        wording: of the texts before and after the pictures.
        described: what robot and which camera.

    Raises:
        ProgressBackendError: missing, damaged, incomplete, or of another architecture.
    """
    opened = open_backbone(access, architectures, _HEAD)
    config = opened.config
    value, relative = (int(config.get(f"{k}_token_repeat", 1)) for k in ("value", "relative_value"))
    return RynnvalueHead(
        opened.model,
        _heads(opened, int(config["text_config"]["hidden_size"]) * value),
        _bins(opened.path, config["value_tokenizer_config"]).to(opened.device),
        (value, relative),
        Encoder.of(opened.path, config, opened.device),
        wording,
        described,
    )


def _bins(path: Path, settings: Mapping[str, Any]) -> Tensor:
    """Return the centres of the bins in symlog seconds."""
    if settings.get("support_transform") != "symlog":
        raise ProgressBackendError(
            f'{path} has bins spaced by "{settings.get("support_transform")}"; only "symlog", '
            "that of the released checkpoints, is known"
        )
    low, high = float(settings["min_value"]), float(settings["max_value"])
    ends = torch.tensor([low, high])
    first, last = (ends.sign() * ends.abs().log1p()).tolist()
    return torch.linspace(first, last, int(settings["bins"]))


def _heads(opened: Backbone, width: int) -> nn.ModuleList:
    config, path = opened.config, opened.path
    settings = config.get("value_head_config")
    if not settings:
        raise ProgressBackendError(f"{path} has no value head: it is no RynnValue checkpoint")
    bins = int(config["value_tokenizer_config"]["bins"])
    count = int(config.get("num_value_heads", 1))
    heads = nn.ModuleList(_head(path, settings, width, bins) for _ in range(count))
    return opened.fit(heads, "value_heads.")


def _head(path: Path, settings: Mapping[str, Any], width: int, bins: int) -> nn.Module:
    if settings.get("head_type", "linear") == "linear":
        return _Projected(nn.Linear(width, bins))
    if settings["head_type"] != "bro":
        raise ProgressBackendError(f'{path} has value heads "{settings["head_type"]}"')
    return _Projected(_Bro(settings, width, bins))


class _Projected(nn.Module):
    """A head under the name its weights have."""

    def __init__(self, proj: nn.Module) -> None:
        super().__init__()
        self.proj = proj

    def forward(self, states: Tensor) -> Tensor:
        out: Tensor = self.proj(states)
        return out


class _Block(nn.Module):
    """A residual block of BRO: linear, layer norm, activation, linear, layer norm."""

    def __init__(self, width: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.fc1, self.ln1 = nn.Linear(width, width), nn.LayerNorm(width)
        self.act = activation()
        self.fc2, self.ln2 = nn.Linear(width, width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.ln2(self.fc2(self.act(self.ln1(self.fc1(x)))))
        return out


class _Bro(nn.Module):
    """BRO's network (arXiv 2405.16158) as RynnValue's heads use it."""

    def __init__(self, settings: Mapping[str, Any], width: int, bins: int) -> None:
        super().__init__()
        hidden, depth = int(settings.get("hidden_dims", 1024)), int(settings.get("depth", 2))
        activation = _ACTIVATIONS[str(settings.get("activation", "relu")).lower()]
        self.activation = activation()
        self.input_layer, self.input_norm = nn.Linear(width, hidden), nn.LayerNorm(hidden)
        self.blocks = nn.ModuleList(_Block(hidden, activation) for _ in range(depth))
        self.final_layer = nn.Linear(hidden, bins)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.input_norm(self.input_layer(x)))
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.final_layer(x)
        return out
