"""Robometer's network (arXiv 2603.02115): Qwen3-VL with a progress and a success head.

After every picture stands a ``<|prog_token|>``, from whose hidden state the heads read. Progress is
the mean over evenly spaced bins in [0, 1], success a logistic unit. The preference head of the
checkpoint, which training alone uses, is left out.
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
from densegym.reward_models.progress.vlm.backbone import Backbone, last_hidden, open_backbone
from densegym.reward_models.progress.vlm.encoding import Encoder, harmless
from densegym.reward_models.progress.vlm.template import Part, Template

TOKEN = "<|prog_token|>"
_ADDED = ("<|split_token|>", "<|reward_token|>", "<|pref_token|>", "<|sim_token|>", TOKEN)
"""Tokens that training added to Qwen's, in the order of their rows in the checkpoint."""
_HEAD = re.compile(r"^(progress|success|preference)_head\.|^frame_pool_attn\.")


class RobometerHead:
    """Reads progress and success off a checkpoint's hidden states.

    Args:
        backbone: Qwen3-VL.
        progress: head with one output per bin, or a single one.
        success: head with one output.
        encoder: of the backbone, which knows ``<|prog_token|>``.
        template: of the text before the pictures.
        batch: attempts at a time.
    """

    def __init__(
        self,
        backbone: Any,
        progress: nn.Module,
        success: nn.Module,
        encoder: Encoder,
        template: Template,
        batch: int,
    ) -> None:
        self._backbone, self._progress, self._success = backbone, progress, success
        self._encoder, self._template, self._batch = encoder, template, batch
        self._token = encoder.token(TOKEN)

    @torch.inference_mode()
    def numbers(self, attempts: Sequence[Attempt], text: Sequence[str]) -> list[list[float]]:
        """Return the progress in [0, 1] at every picture of each attempt."""
        return [mean_bin(self._progress(states)).tolist() for states in self._read(attempts, text)]

    @torch.inference_mode()
    def done(self, images: Sequence[Attempt], text: Sequence[str]) -> list[float]:
        """Return the probability of success at the last picture of each attempt."""
        return [
            float(self._success(states[-1:]).float().sigmoid())
            for states in self._read(images, text)
        ]

    def _read(self, attempts: Sequence[Attempt], text: Sequence[str]) -> list[Tensor]:
        """Return (pictures, width) hidden states per attempt."""
        found: list[Tensor] = []
        rows = [self._row(attempt, task) for attempt, task in zip(attempts, text, strict=True)]
        for begin in range(0, len(rows), self._batch):
            inputs = self._encoder.encode(rows[begin : begin + self._batch], left=False)
            hidden = last_hidden(self._backbone, inputs)
            found += [
                states[ids == self._token]
                for states, ids in zip(hidden, inputs["input_ids"], strict=True)
            ]
        return found

    def _row(self, attempt: Attempt, task: str) -> list[Part]:
        shown: list[Part] = []
        for number, picture in enumerate(attempt, start=1):
            shown += [f"Picture {number}: ", picture, TOKEN]
        words = harmless(self._template.fill({"task": task}))
        return self._encoder.chat([*words, *shown], reply=False)


def mean_bin(logits: Tensor) -> Tensor:
    """Return the mean over evenly spaced bins in [0, 1] of (..., bins) logits."""
    if logits.shape[-1] == 1:  # a head with its own logistic unit
        return logits.float().squeeze(-1).clamp(0.0, 1.0)
    centres = torch.linspace(0.0, 1.0, logits.shape[-1], device=logits.device)
    mean: Tensor = (logits.float().softmax(-1) * centres).sum(-1)
    return mean


def load(
    access: Access, architectures: Mapping[str, str], template: Template, processor: str | None
) -> RobometerHead:
    """Load a Robometer checkpoint, in its own layout or LeRobot's.

    Args:
        access: names the folder, device and batch size.
        architectures: accepted model types.
        template: of the text before the pictures.
        processor: folder with tokenizer and picture settings, where the checkpoint has none.

    Raises:
        ProgressBackendError: missing, damaged, incomplete, or of another architecture.
    """
    opened = open_backbone(access, architectures, _HEAD, ("lm_head.",))
    progress, success = (_head(opened, name) for name in ("progress_head", "success_head"))
    path = Path(processor) if processor else opened.path
    encoder = Encoder.of(path, {"model_type": "robometer"}, opened.device)
    _add_tokens(encoder, opened.model)
    return RobometerHead(opened.model, progress, success, encoder, template, access.batch)


def _head(opened: Backbone, name: str) -> nn.Module:
    """Return a head: linear, layer norm, GELU, dropout, linear, and a logistic unit if single."""
    last = opened.heads.get(f"{name}.4.weight")
    if last is None:
        raise ProgressBackendError(f"{opened.path} has no {name}: it is no Robometer checkpoint")
    width, outputs = int(opened.config["text_config"]["hidden_size"]), last.shape[0]
    layers: list[nn.Module] = [
        nn.Linear(width, width // 2),
        nn.LayerNorm(width // 2),
        nn.GELU(),
        nn.Dropout(0.0),
        nn.Linear(width // 2, outputs),
    ]
    if name == "progress_head" and outputs == 1:
        layers.append(nn.Sigmoid())
    return opened.fit(nn.Sequential(*layers), f"{name}.")


def _add_tokens(encoder: Encoder, backbone: Any) -> None:
    """Give Qwen's tokenizer the tokens of training, if the checkpoint brought only Qwen's own."""
    tokenizer = encoder.tokenizer
    if TOKEN not in tokenizer.get_vocab():
        tokenizer.add_special_tokens({"additional_special_tokens": list(_ADDED)})
    rows = backbone.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise ProgressBackendError(
            f"the tokenizer has {len(tokenizer)} tokens and the checkpoint {rows}: they do not "
            "belong together. Give the right tokenizer with processor=FOLDER."
        )
