"""Trains the local judge from demonstrations: few pictures encoded, all their pairs judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from densegym.errors import DenseGymError
from densegym.reward_models.progress.allocator import keep_memory
from densegym.reward_models.progress.demos import EXPERT, HARVEST, RANDOM, STALL, Demo
from densegym.reward_models.progress.judge import hop_between
from densegym.reward_models.progress.network import ProgressNetwork, two_hot
from densegym.reward_models.progress.potential import DONE
from densegym.reward_models.types import Float, Frames, Int

UPDATES = 1000
_EXPERTS = 5  # episodes an update
_ANYWHERE, _CLOSE, _EDGE = 4, 3, 3  # pictures of each, besides its first and its last
_NEAR, _BEFORE = 8, 6  # radius of the close ones; steps before success at which the edge begins
_FAILED, _FAILED_FRAMES = 4, 6
_GOALS = 2  # last pictures of other experts an update compares with
RATE, _DECAY = 2e-3, 1e-4
_RISE = 0.05  # share of the updates in which the rate rises
_SHIFT, _BRIGHTNESS, _OFFSET = 3, 0.15, 8.0
_CHUNK = 256  # pictures encoded at once
_TAIL = 1 / 3  # of a stalled episode, in which nothing moves on
_CUT, _HELD = (0.3, 0.8), 6  # share of an expert after which it stops; pictures it then stands
_PART = "part"  # kind of what is made of an expert, whose progress is known throughout
REFERENCES = 3


@dataclass(slots=True)
class _Episode:
    """An episode with its labels; ``phi`` is NaN where progress is unknown."""

    pictures: Frames
    phi: Float
    done: Float
    expert: bool
    kind: str

    @property
    def stalled(self) -> bool:
        return self.kind == STALL

    @property
    def strayed(self) -> bool:
        """Whether it came nearer and failed: from its own start, its progress is unknown."""
        return not self.expert and self.kind not in (STALL, RANDOM, _PART, HARVEST)


def train(
    demos: Sequence[Demo],
    *,
    seed: int = 0,
    updates: int = UPDATES,
    rate: float = RATE,
    network: ProgressNetwork | None = None,
    parts: int = 0,
    on_update: Callable[[int, int], None] = lambda done, wanted: None,
) -> tuple[ProgressNetwork, dict[str, float]]:
    """Train a network on demonstrations that are not held out.

    Progress of an expert is its share of the time to success. Where it took over from a stray,
    Φ = 1 − (steps left) / (steps that experts usually need from the start): how far the stray
    had come by accident is thereby known, and a policy that strays is told the way. Pictures of
    every episode but the stalled are compared with the last ones of other experts, where the hop
    is Φ − 1 and a failure's Φ is 0; only random acting and failures of a policy in training are
    also told that they stand still. A stalled episode teaches that its last third does.

    Args:
        demos: at least two experts, or one with ``parts``; failures as many as there are.
        seed: of weights, batches and augmentation.
        updates: gradient steps.
        rate: highest learning rate.
        network: to go on from; a new one by default.
        parts: of every expert that stops half-way, and as many that go back, to learn from too.
        on_update: told about done and wanted updates.

    Returns:
        The network and what training cost: ``updates``, ``cpu_s``, last ``loss``.

    Raises:
        DenseGymError: too few expert episodes.
    """
    started = time.process_time()
    keep_memory()
    known = [demo for demo in demos if not demo.held_out]
    usual = _usual(known)
    episodes = [_label(demo, usual) for demo in known]
    experts = [episode for episode in episodes if episode.expert]
    failed = [episode for episode in episodes if not episode.expert]
    if len(experts) < (1 if parts else 2):
        raise DenseGymError(f"a progress model needs two expert episodes; given {len(experts)}")
    rng = np.random.default_rng(seed)
    failed += [part for expert in experts for _ in range(parts) for part in _parts(expert, rng)]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        views, size = experts[0].pictures.shape[1:3]
        network = network or ProgressNetwork(views, size)
        if (network.views, network.size) != (views, size):
            raise DenseGymError(
                f"the demonstrations have {views} views of {size} pixels, and the weights to go on "
                f"from look at {network.views} of {network.size}"
            )
        loss = _descend(network, experts, failed, rng, updates, rate, on_update)
    network.eval()
    _calibrate(network, episodes)
    cost = {"updates": float(updates), "cpu_s": time.process_time() - started, "loss": loss}
    return network, cost


def _calibrate(network: ProgressNetwork, episodes: Sequence[_Episode]) -> None:
    """Move the done head's bias so that the best threshold on these episodes is ``DONE``."""
    pictures = np.concatenate([episode.pictures for episode in episodes])
    truth = np.concatenate([episode.done for episode in episodes]) > 0
    with torch.inference_mode():
        parts = torch.split(torch.from_numpy(pictures), _CHUNK)
        logits = torch.cat([network.done_logit(network.encode(part)) for part in parts]).numpy()
    order = np.argsort(-logits)
    hits = np.cumsum(truth[order])
    score = 2 * hits / (np.arange(1, len(order) + 1) + truth.sum())  # F1 of the k surest pictures
    best = int(np.argmax(score))
    following = logits[order[min(best + 1, len(order) - 1)]]
    threshold = float(logits[order[best]] + following) / 2
    network.shift_done(float(np.log(DONE / (1 - DONE))) - threshold)


def references(demos: Sequence[Demo]) -> Frames:
    """Return the last pictures (3, V, H, W, 3) of experts in training: what done looks like."""
    experts = [demo for demo in demos if demo.kind == EXPERT and not demo.held_out]
    return np.stack([demo.pictures[demo.done_at or -1] for demo in experts[:REFERENCES]])


def _descend(
    network: ProgressNetwork,
    experts: Sequence[_Episode],
    failed: Sequence[_Episode],
    rng: np.random.Generator,
    updates: int,
    rate: float,
    on_update: Callable[[int, int], None],
) -> float:
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=_DECAY)
    # The schedule divides by zero where the rise takes exactly one of its steps.
    rise = min(0.9, max(_RISE, 1.5 / updates))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=updates, pct_start=rise, final_div_factor=30
    )
    network.train()
    loss = torch.zeros(())
    for update in range(updates):
        optimiser.zero_grad(set_to_none=True)
        loss = _loss(network, experts, failed, rng)
        loss.backward()  # type: ignore[no-untyped-call]  # torch hides it
        optimiser.step()
        schedule.step()
        on_update(update + 1, updates)
    return float(loss.detach())


def _usual(demos: Sequence[Demo]) -> float:
    """Return how many steps an expert needs from the start, the median of those that had it."""
    needed = [demo.done_at or 1 for demo in demos if demo.kind == EXPERT and not demo.expert_from]
    return float(np.median(needed)) if needed else 1.0


def _label(demo: Demo, usual: float) -> _Episode:
    count = len(demo.pictures)
    expert = demo.kind == EXPERT and demo.done_at is not None
    phi = np.zeros(count)
    if expert:
        begin, end = demo.expert_from, demo.done_at or 1
        whole = max(end - begin, usual if begin else 1)
        phi = np.clip(1.0 - (end - np.arange(count)) / whole, 0.0, 1.0)
        if begin:
            phi[0], phi[1:begin] = 0.0, np.nan  # how far it strayed is known when it takes over
    return _Episode(
        pictures=demo.pictures,
        phi=phi,
        done=demo.success.astype(np.float64),
        expert=expert,
        kind=demo.kind,
    )


def _parts(expert: _Episode, rng: np.random.Generator) -> tuple[_Episode, _Episode]:
    """Return an expert that stops half-way, and its way back from there; neither succeeds."""
    cut = int(rng.uniform(*_CUT) * np.argmax(expert.done))
    held = np.concatenate([np.arange(cut + 1), np.full(_HELD, cut)])
    stops, returns = (
        _Episode(expert.pictures[rows], expert.phi[rows], np.zeros(len(rows)), False, _PART)
        for rows in (held, np.arange(cut, -1, -1))
    )
    return stops, returns


def _loss(
    network: ProgressNetwork,
    experts: Sequence[_Episode],
    failed: Sequence[_Episode],
    rng: np.random.Generator,
) -> Tensor:
    chosen = [experts[i] for i in rng.permutation(len(experts))[: _EXPERTS + _GOALS]]
    others, chosen = chosen[_EXPERTS:], chosen[:_EXPERTS]
    if not others:  # with few experts their goals serve one another
        others = [chosen[-1]]
    chosen += [failed[i] for i in rng.permutation(len(failed))[:_FAILED]]
    rows = [_pick(episode, rng) for episode in chosen]
    shown = [episode.pictures[row] for episode, row in zip(chosen, rows, strict=True)]
    goals = np.stack([episode.pictures[int(np.argmax(episode.done))] for episode in others])
    codes = network.encode(_augment(np.concatenate([goals, *shown]), rng))
    pairs = _pairs(chosen, rows, len(goals))
    before, after, start = (codes[torch.from_numpy(index)] for index in pairs[:3])
    logits = network.hop_logits(before, after, start)
    target = two_hot(torch.from_numpy(pairs[3]).float())
    hop = -(target * functional.log_softmax(logits, dim=1)).sum(dim=1).mean()
    done = np.concatenate(
        [np.ones(len(goals)), *(e.done[row] for e, row in zip(chosen, rows, strict=True))]
    )
    sure = functional.binary_cross_entropy_with_logits(
        network.done_logit(codes), torch.from_numpy(done).float()
    )
    return hop + sure


def _pick(episode: _Episode, rng: np.random.Generator) -> Int:
    """Return rows of one episode, its first always first."""
    known = np.flatnonzero(~np.isnan(episode.phi))
    if episode.stalled:
        tail = known[int(len(known) * (1 - _TAIL)) :]
        return np.concatenate([[0], rng.choice(tail, _FAILED_FRAMES)])
    if not episode.expert:
        return np.concatenate([[0], rng.choice(known, _FAILED_FRAMES)])
    centre = rng.choice(known)
    near = known[np.abs(known - centre) <= _NEAR]
    edge = known[known >= int(np.argmax(episode.done)) - _BEFORE]
    ends = np.array([0, known[-1]])
    drawn = rng.choice(known, _ANYWHERE), rng.choice(near, _CLOSE), rng.choice(edge, _EDGE)
    return np.concatenate([ends, *drawn])


def _pairs(
    episodes: Sequence[_Episode], rows: Sequence[Int], goals: int
) -> tuple[Int, Int, Int, Float]:
    """Return rows of before, after and start among the codes, and the hop of every pair."""
    parts: list[tuple[Int, Int, Int, Float]] = []
    first = goals
    for episode, row in zip(episodes, rows, strict=True):
        phi, count = episode.phi[row], len(row)
        i, j = (axis.ravel() for axis in np.meshgrid(np.arange(count), np.arange(count)))
        if episode.stalled:  # how far it came is unknown, only that its tail stands still
            kept = (i > 0) & (j > 0)
            i, j = i[kept], j[kept]
        if not episode.strayed:
            start = np.full(len(i), first)
            parts.append((first + i, first + j, start, hop_between(phi[i], phi[j])))
        if not episode.stalled:
            for goal in range(goals):
                every = np.arange(count)
                parts.append(
                    (np.full(count, goal), first + every, np.full(count, first), phi - 1.0)
                )
        first += count
    before, after, start, hop = (np.concatenate(column) for column in zip(*parts, strict=True))
    return before, after, start, hop


def _augment(pictures: Frames, rng: np.random.Generator) -> Tensor:
    """Return pictures shifted together by up to 3 pixels, brighter or darker, as floats."""
    batch = torch.from_numpy(pictures)
    count, views, size = batch.shape[:3]
    flat = batch.flatten(0, 1).permute(0, 3, 1, 2).float()
    padded = functional.pad(flat, [_SHIFT] * 4, mode="replicate")
    top, left = (int(value) for value in rng.integers(0, 2 * _SHIFT + 1, 2))
    moved = padded[:, :, top : top + size, left : left + size]
    moved = moved * rng.uniform(1 - _BRIGHTNESS, 1 + _BRIGHTNESS) + rng.normal(0.0, _OFFSET)
    return moved.permute(0, 2, 3, 1).reshape(count, views, size, size, 3)
