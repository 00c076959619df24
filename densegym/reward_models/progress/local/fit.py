"""Trains the local judge from demonstrations: few pictures encoded, all their pairs judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from densegym.errors import DenseGymError
from densegym.reward_models.progress.demos import EXPERT, UNTAUGHT, Demo
from densegym.reward_models.progress.judge import hop_between
from densegym.reward_models.progress.local.allocator import keep_memory
from densegym.reward_models.progress.local.labels import Episode, label, parts
from densegym.reward_models.progress.local.network import WIDTH, ProgressNetwork, two_hot
from densegym.reward_models.progress.potential import DONE
from densegym.reward_models.types import Float, Frames, Int

UPDATES = 900
_EXPERTS, _FOREIGN = 4, 3  # episodes an update
_ANYWHERE, _CLOSE, _EDGE = 4, 3, 3  # pictures of each, besides its first and its last
_NEAR, _BEFORE = 8, 6  # radius of the close ones; steps before success at which the edge begins
_FAILED, _FAILED_FRAMES = 3, 6
_GOALS = 2  # pictures of success in other episodes that an update compares with
_KEPT = 8  # one training episode of so many is only calibrated on
RATE, _DECAY = 2e-3, 1e-4
_RISE = 0.05  # share of the updates in which the rate rises
_BRIGHTNESS, _OFFSET = 0.15, 8.0
_CHUNK = 256  # pictures encoded at once
_THINNED = 6  # one of so many pictures calibrates; all would take a tenth of the time
_FIRST = 3  # pictures of a success that calibrate
REFERENCES = 3


def train(
    demos: Sequence[Demo],
    *,
    seed: int = 0,
    updates: int = UPDATES,
    rate: float = RATE,
    network: ProgressNetwork | None = None,
    pieces: int = 0,
    shift: int = 0,
    on_update: Callable[[int, int], None] = lambda done, wanted: None,
) -> tuple[ProgressNetwork, dict[str, float]]:
    """Train a network on demonstrations that are not held out.

    Every pair of an episode's pictures is judged, and every picture against pictures of success in
    other episodes, where the hop is Φ − 1. One episode of eight is not learnt from: the done head's
    threshold is the one that is best on these (see ``kept_back``). Codes must also tell where the
    hand is, which a robot knows anyhow: otherwise the few pixels of the hand are what is learnt
    last.

    Args:
        demos: at least two experts, or one with ``pieces``; failures and episodes of other
            controllers as many as there are. Kinds that only serve evaluation are left alone.
        seed: of weights, batches and augmentation.
        updates: gradient steps.
        rate: highest learning rate.
        network: to go on from; a new one by default.
        pieces: of every expert that stops half-way, and as many that go back, to learn from too.
        shift: pixels by which pictures are moved at most. Few demonstrations need it to know the
            next placement; with many, it only blurs where the hand is.
        on_update: told about done and wanted updates.

    Returns:
        The network and what training cost: ``updates``, ``cpu_s``, last ``loss``.

    Raises:
        DenseGymError: too few expert episodes.
    """
    started = time.process_time()
    keep_memory()
    taught = [demo for demo in demos if not demo.held_out and demo.kind not in UNTAUGHT]
    aside = {id(demo) for demo in kept_back(taught)}
    labelled = [(label(demo), id(demo) in aside) for demo in taught]
    _standardise([episode for episode, _ in labelled])
    episodes = [episode for episode, kept in labelled if not kept]
    experts = [episode for episode in episodes if episode.expert]
    foreign = [episode for episode in episodes if episode.foreign]
    failed = [episode for episode in episodes if not episode.expert and not episode.foreign]
    if len(experts) < (1 if pieces else 2):
        raise DenseGymError(f"a progress model needs two expert episodes; given {len(experts)}")
    rng = np.random.default_rng(seed)
    failed += [part for expert in experts for _ in range(pieces) for part in parts(expert, rng)]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        views, size = experts[0].pictures.shape[1:3]
        network = network or ProgressNetwork(views, size)
        if (network.views, network.size) != (views, size):
            raise DenseGymError(
                f"the demonstrations have {views} views of {size} pixels, and the weights to go on "
                f"from look at {network.views} of {network.size}"
            )
        shown = _Shown(experts, foreign, failed)
        loss = _descend(network, shown, rng, updates, rate, shift, on_update)
    network.eval()
    _calibrate(network, [episode for episode, kept in labelled if kept] or episodes)
    cost = {"updates": float(updates), "cpu_s": time.process_time() - started, "loss": loss}
    return network, cost


class _Shown(NamedTuple):
    """Episodes to learn from, by who acts in them."""

    experts: Sequence[Episode]
    foreign: Sequence[Episode]
    failed: Sequence[Episode]

    def draw(self, rng: np.random.Generator) -> tuple[list[Episode], list[Episode]]:
        """Return the episodes of one update, and those whose success they are compared with."""
        order = [self.experts[i] for i in rng.permutation(len(self.experts))]
        others, chosen = order[_EXPERTS : _EXPERTS + _GOALS], order[:_EXPERTS]
        if not others:  # with few experts their goals serve one another
            others = [chosen[-1]]
        for group, count in ((self.foreign, _FOREIGN), (self.failed, _FAILED)):
            chosen += [group[i] for i in rng.permutation(len(group))[:count]]
        won = [episode for episode in self.foreign if episode.done.any()]
        if won:  # what done looks like with the hand elsewhere
            others[-1] = won[int(rng.integers(len(won)))]
        return chosen, others


def kept_back(demos: Sequence[Demo]) -> list[Demo]:
    """Return the demonstrations in training that are only calibrated on: one of eight.

    None where so few experts are left that all are needed.
    """
    taught = [demo for demo in demos if not demo.held_out and demo.kind not in UNTAUGHT]
    experts = sum(demo.kind == EXPERT for demo in taught)
    return taught[_KEPT - 1 :: _KEPT] if experts >= 2 * _KEPT else []


def _standardise(episodes: Sequence[Episode]) -> None:
    """Measure hands from their mean, in standard deviations."""
    hands = np.concatenate([episode.hand for episode in episodes])
    if np.isnan(hands).all():
        return
    mean, spread = np.nanmean(hands, axis=0), np.nanstd(hands, axis=0)
    for episode in episodes:
        episode.hand = (episode.hand - mean) / np.maximum(spread, 1e-6)


def _calibrate(network: ProgressNetwork, episodes: Sequence[Episode]) -> None:
    """Move the done head's bias so that the best threshold on these episodes is ``DONE``.

    The best one finds the largest share of successes less the share of other pictures that it
    takes for such. Only the first pictures of a success count, which are the last that a policy in
    training shows.
    """
    rows = [_telling(episode) for episode in episodes]
    pairs = list(zip(episodes, rows, strict=True))
    pictures = np.concatenate([episode.pictures[some] for episode, some in pairs])
    truth = np.concatenate([episode.done[some] for episode, some in pairs]) > 0
    if truth.all() or not truth.any():
        return
    with torch.inference_mode():
        chunks = torch.split(torch.from_numpy(pictures), _CHUNK)
        logits = torch.cat([network.done_logit(network.encode(chunk)) for chunk in chunks]).numpy()
    order = np.argsort(-logits)
    hits, wrong = np.cumsum(truth[order]), np.cumsum(~truth[order])
    best = int(np.argmax(hits / truth.sum() - wrong / (~truth).sum()))  # the k surest pictures
    following = logits[order[min(best + 1, len(order) - 1)]]
    threshold = float(logits[order[best]] + following) / 2
    network.shift_done(float(np.log(DONE / (1 - DONE))) - threshold)


def _telling(episode: Episode) -> Int:
    """Return rows of pictures without success, thinned, and the first ones of a success."""
    without = np.flatnonzero(episode.done == 0)[::_THINNED]
    done = np.flatnonzero(episode.done)
    return np.concatenate([without, done[done < done[0] + _FIRST] if len(done) else done])


def references(demos: Sequence[Demo]) -> Frames:
    """Return the last pictures (3, V, H, W, 3) of experts in training: what done looks like."""
    experts = [demo for demo in demos if demo.kind == EXPERT and not demo.held_out]
    return np.stack([demo.pictures[demo.done_at or -1] for demo in experts[:REFERENCES]])


def _descend(
    network: ProgressNetwork,
    shown: _Shown,
    rng: np.random.Generator,
    updates: int,
    rate: float,
    shift: int,
    on_update: Callable[[int, int], None],
) -> float:
    hand_head = nn.Linear(WIDTH * network.views, 3)  # serves training alone
    weights = chain(network.parameters(), hand_head.parameters())
    optimiser = torch.optim.AdamW(weights, lr=rate, weight_decay=_DECAY)
    # The schedule divides by zero where the rise takes exactly one of its steps.
    rise = min(0.9, max(_RISE, 1.5 / updates))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=updates, pct_start=rise, final_div_factor=30
    )
    network.train()
    loss = torch.zeros(())
    for update in range(updates):
        optimiser.zero_grad(set_to_none=True)
        loss = _loss(network, hand_head, shown, rng, shift)
        loss.backward()  # type: ignore[no-untyped-call]  # torch hides it
        optimiser.step()
        schedule.step()
        on_update(update + 1, updates)
    return float(loss.detach())


def _loss(
    network: ProgressNetwork,
    hand_head: nn.Module,
    shown: _Shown,
    rng: np.random.Generator,
    shift: int,
) -> Tensor:
    chosen, others = shown.draw(rng)
    goals = [(episode, rng.choice(np.flatnonzero(episode.done), 1)) for episode in others]
    picked = [(episode, _pick(episode, rng)) for episode in chosen]
    pictures, done, hand = (
        np.concatenate([getattr(episode, what)[rows] for episode, rows in goals + picked])
        for what in ("pictures", "done", "hand")
    )
    codes = network.encode(_augment(pictures, rng, shift))
    pairs = _pairs(picked, len(goals))
    before, after, start = (codes[torch.from_numpy(index)] for index in pairs[:3])
    logits = network.hop_logits(before, after, start)
    target = two_hot(torch.from_numpy(pairs[3]).float())
    hop = -(target * functional.log_softmax(logits, dim=1)).sum(dim=1).mean()
    sure = functional.binary_cross_entropy_with_logits(
        network.done_logit(codes), torch.from_numpy(done).float()
    )
    where = torch.from_numpy(hand).float()
    known = ~where.isnan()
    off = functional.mse_loss(hand_head(codes)[known], where[known], reduction="sum")
    return hop + sure + off / max(int(known.sum()), 1)


def _pick(episode: Episode, rng: np.random.Generator) -> Int:
    """Return rows of one episode, its first always first."""
    known = np.arange(len(episode.pictures))
    if not episode.expert and not episode.foreign:
        return np.concatenate([[0], rng.choice(known, _FAILED_FRAMES)])
    centre = rng.choice(known)
    near = known[np.abs(known - centre) <= _NEAR]
    edge = known
    if episode.done.any():
        edge = known[known >= int(np.argmax(episode.done)) - _BEFORE]
    ends = np.array([0, known[-1]])
    drawn = rng.choice(known, _ANYWHERE), rng.choice(near, _CLOSE), rng.choice(edge, _EDGE)
    return np.concatenate([ends, *drawn])


def _pairs(shown: Sequence[tuple[Episode, Int]], goals: int) -> tuple[Int, Int, Int, Float]:
    """Return rows of before, after and start among the codes, and the hop of every pair."""
    judged: list[tuple[Int, Int, Int, Float]] = []
    first = goals
    for episode, rows in shown:
        phi, count = episode.phi[rows], len(rows)
        i, j = (axis.ravel() for axis in np.meshgrid(np.arange(count), np.arange(count)))
        judged.append((first + i, first + j, np.full(len(i), first), hop_between(phi[i], phi[j])))
        every = np.arange(count)
        judged += [
            (np.full(count, goal), first + every, np.full(count, first), phi - 1.0)
            for goal in range(goals)
        ]
        first += count
    before, after, start, hop = (np.concatenate(column) for column in zip(*judged, strict=True))
    return before, after, start, hop


def _augment(pictures: Frames, rng: np.random.Generator, shift: int) -> Tensor:
    """Return pictures brighter or darker and moved together by up to ``shift``, as floats."""
    if shift:
        top, left = rng.integers(0, 2 * shift + 1, 2)
        around = [(0, 0), (0, 0), (shift, shift), (shift, shift), (0, 0)]
        height, width = pictures.shape[2:4]
        padded = np.pad(pictures, around, mode="edge")
        pictures = padded[:, :, top : top + height, left : left + width]
    floats = torch.from_numpy(pictures).float()
    return floats * rng.uniform(1 - _BRIGHTNESS, 1 + _BRIGHTNESS) + rng.normal(0.0, _OFFSET)
