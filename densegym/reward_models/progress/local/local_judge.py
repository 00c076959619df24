"""The judge that trains on a CPU: weights in safetensors, with a card that says what they saw."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from densegym.errors import DenseGymError, RewardError, require
from densegym.reward_models.progress import demos as files
from densegym.reward_models.progress.accumulate import Fusion
from densegym.reward_models.progress.demos import Demo
from densegym.reward_models.progress.judge import BaseJudge, Seen, Verdict, check_images
from densegym.reward_models.progress.local.cards import check_card, checksum
from densegym.reward_models.progress.local.harvest import Harvest, HarvestingPotential
from densegym.reward_models.progress.local.labels import ORIGIN
from densegym.reward_models.progress.potential import ProgressPotential
from densegym.reward_models.progress.weights import weights_path
from densegym.reward_models.types import Float, Frames, Pictures, TaskCard

if TYPE_CHECKING:
    from torch import Tensor

    from densegym.reward_models.progress.local.network import ProgressNetwork

FORMAT = "densegym/progress-local-v3"
EVERY = 5
FUSION: Fusion = "mean"
_BLOCK = 16  # rows of every matrix product of the heads
_CHUNK = 256  # pictures encoded at once
_REFIT_RATE = 5e-4  # a quarter of the first fit's: experts stay as they were known


class LocalJudge(BaseJudge):
    """A small network on pictures.

    Args:
        network: the trained network.
        reference: (G, V, H, W, 3) pictures of the finished task.
        cameras: of the pictures.
        card: what the weights were trained on; with ``"pretty"`` pictures are drawn as in films.
    """

    name = "local"
    origin = ORIGIN

    def __init__(
        self,
        network: ProgressNetwork,
        reference: Frames,
        cameras: Sequence[str],
        card: Mapping[str, Any] | None = None,
    ) -> None:
        require("torch", extra="agents")
        self.network, self.reference, self.card = network.eval(), reference, dict(card or {})
        pretty = bool(self.card.get("pretty", False))
        self.pictures = Pictures(tuple(cameras), network.size, pretty=pretty)
        self.goal: Seen | None = self.see(reference)

    def see(self, images: Frames) -> Seen:
        """Return codes (B, D) float32.

        Raises:
            DenseGymError: pictures of another size, type or number of views.
        """
        import torch

        wanted = (self.network.views, self.network.size, self.network.size, 3)
        array = check_images(images, self.name)
        if array.shape[1:] != wanted:
            raise DenseGymError(
                f"this progress/local model looks at {wanted} pictures; given {array.shape[1:]}"
            )
        with torch.inference_mode():
            parts = [
                self.network.encode(torch.from_numpy(array[i : i + _CHUNK])).numpy()
                for i in range(0, len(array), _CHUNK)
            ]
        return np.concatenate(parts)

    def hop(
        self, before: Seen, after: Seen, start: Seen, goal: Seen | None, text: Sequence[str]
    ) -> Verdict:
        """Return expected hops; the network never abstains."""
        import torch

        with torch.inference_mode():
            blocks = zip(*(_blocks(codes) for codes in (before, after, start)), strict=True)
            value = torch.cat([self.network.hop(*block) for block in blocks])
        return Verdict(_rows(value, len(after)), np.ones(len(after), dtype=np.bool_))

    def done(self, image: Seen, text: Sequence[str]) -> Verdict:
        """Return done probabilities."""
        import torch

        with torch.inference_mode():
            # Block by block, because sigmoid rounds longer arrays otherwise.
            sure = [torch.sigmoid(self.network.done_logit(block)) for block in _blocks(image)]
            value = torch.cat(sure)
        return Verdict(_rows(value, len(image)), np.ones(len(image), dtype=np.bool_))

    def refit(self, demos: Sequence[Demo], *, updates: int, seed: int) -> LocalJudge:
        """Return a judge that went on learning from demonstrations that are not held out."""
        from densegym.reward_models.progress.local import fit

        network = copy.deepcopy(self.network)
        network, _ = fit.train(demos, seed=seed, updates=updates, rate=_REFIT_RATE, network=network)
        return LocalJudge(network, self.reference, self.pictures.cameras, self.card)

    def state_dict(self) -> dict[str, Any]:
        """Return the weights."""
        return {k: v.numpy().copy() for k, v in self.network.state_dict().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the weights; nothing changes where an older checkpoint holds none."""
        if not state:
            return
        from torch import from_numpy

        self.network.load_state_dict({k: from_numpy(np.array(v)) for k, v in state.items()})
        self.goal = self.see(self.reference)

    def save(self, path: Path) -> None:
        """Write weights, references and card as one safetensors file."""
        require("safetensors", extra="vision")
        from safetensors.torch import save_file
        from torch import from_numpy

        tensors = {f"network.{k}": v.contiguous() for k, v in self.network.state_dict().items()}
        tensors["reference"] = from_numpy(np.ascontiguousarray(self.reference))
        look = {"cameras": list(self.pictures.cameras), "pretty": self.pictures.pretty}
        card = json.dumps({**self.card, **look})
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")  # two fits may save at once
        told = {"format": FORMAT, "card": card, "checksum": checksum(tensors, card)}
        save_file(tensors, str(partial), told)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> LocalJudge:
        """Read what ``save`` wrote.

        Raises:
            DenseGymError: no such file, a damaged one whose checksum is another, or one of another
                architecture.
        """
        require("safetensors", extra="vision")
        require("torch", extra="agents")
        from safetensors import SafetensorError, safe_open

        from densegym.reward_models.progress.local.network import ProgressNetwork

        try:
            with safe_open(str(path), framework="pt") as file:
                told = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise DenseGymError(f"{path} is no readable safetensors file: {error}") from error
        if told.get("format") != FORMAT or "reference" not in tensors:
            raise DenseGymError(
                f"{path} holds {told.get('format', 'another kind of model')}, expected {FORMAT}; "
                "fit it again: densegym fit progress/local --task ID"
            )
        if told.get("checksum") != checksum(tensors, told.get("card", "")):
            raise DenseGymError(
                f"{path} is damaged: its checksum is that of other weights or another card. "
                "Copy it again, or fit it again: densegym fit progress/local --task ID"
            )
        reference, card = tensors.pop("reference").numpy(), json.loads(told.get("card", "{}"))
        if reference.ndim != 5 or reference.dtype != np.uint8 or "cameras" not in card:
            raise DenseGymError(f"{path} lacks its cameras or pictures of the finished task")
        if not all(value.isfinite().all() for value in tensors.values()):
            raise DenseGymError(f"{path} holds weights that are no finite numbers; fit it again")
        weights = {key.removeprefix("network."): value for key, value in tensors.items()}
        try:
            network = ProgressNetwork(*reference.shape[1:3])
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise DenseGymError(f"{path} fits another network: {error}") from error
        return cls(network, reference, card["cameras"], card)


def _blocks(codes: Seen) -> list[Tensor]:
    """Return codes in blocks of equal size, the last filled up with zeros.

    Matrix products of another number of rows round otherwise, and a rollout judged at once must
    give the numbers of its steps judged one by one.
    """
    import torch

    rows = torch.from_numpy(np.ascontiguousarray(codes))
    missing = -len(rows) % _BLOCK
    padded = torch.cat([rows, rows.new_zeros(missing, rows.shape[1])])
    return list(torch.split(padded, _BLOCK))


def _rows(value: Tensor, count: int) -> Float:
    return value[:count].numpy().astype(np.float64)


def build(
    *,
    task: TaskCard,
    seed: int = 0,
    weights: str = "",
    fusion: Fusion = FUSION,
    every: int = EVERY,
    curve: float | None = None,
    cap: bool = True,
    smooth: float = 0.0,
    interpolate: bool = False,
    harvest: Mapping[str, Any] | None = None,
    unchecked: bool = False,
) -> ProgressPotential:
    """Build ``progress/local``.

    Args:
        task: the task.
        weights: a file; by default the one that ``densegym fit progress/local`` wrote.
        fusion: how hops become Φ.
        every: steps between pictures.
        curve: of Φ, see ``ProgressPotential``; by default the one that was chosen for the weights.
        cap: hold Φ below 0.9 until the done head is sure.
        smooth: share of the old Φ kept at every picture.
        interpolate: Φ goes straight from one picture to the next; where training judges rollouts.
        harvest: learn failures of the policy in training; settings as in ``Harvest``.
        unchecked: take weights that did not pass their evaluation, or were fitted for another
            task, other cameras or other versions of the simulator.
        seed: of harvests.

    Raises:
        RewardError: no weights, or such as ``unchecked`` takes; says what to type.
        DenseGymError: a harvest without the task's demonstrations; says what to type.
    """
    path = Path(weights) if weights else weights_path(task.id)
    if not path.is_file():
        raise RewardError(
            f"progress/local has no weights for {task.id} ({path}). "
            f"Type: {files.collecting(task)}, "
            f"then: densegym fit progress/local --task {task.id}"
        )
    judge = LocalJudge.load(path)
    if not unchecked:
        check_card(judge.card, task, path)
    if curve is None:
        curve = float(judge.card.get("options", {}).get("curve", 0.0))
    options: dict[str, Any] = {
        "name": "progress/local",
        "fusion": fusion,
        "every": every,
        "curve": curve,
        "cap": cap,
        "smooth": smooth,
        "interpolate": interpolate,
    }
    if harvest is None:
        return ProgressPotential(judge, **options)
    settings = Harvest.read(harvest)
    files.check(task.id, collect=files.collecting(task))
    load = partial(files.load_for, task)
    return HarvestingPotential(judge, harvest=settings, demos=load, seed=seed, **options)
