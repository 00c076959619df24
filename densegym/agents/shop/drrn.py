"""DRRN (He et al. 2016, arXiv 1511.04636) for the text shop: Q-values of (page, action) texts.

Request, page and action are bags of hashed words in one embedding table; the Q-network sees the
three means and the product of request and action, which is DRRN's interaction. Replay draws half
of its rows from episodes that were paid, as Jericho's DRRN does (Hausknecht et al. 2020).
"""

from __future__ import annotations

import re
import time
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from densegym.agents.shop.shopper import Shopper
from densegym.envs.shop.environments.queries import offered_queries
from densegym.envs.shop.session.core import ShopCore, request_words
from densegym.envs.shop.session.render_text import text
from densegym.envs.shop.session.world import ShopWorld

_WORD = re.compile(r"[a-z0-9]+")
_LONGEST = 256  # words of a page
Bag = Tensor  # (words,) int64 hashes


@dataclass(frozen=True, slots=True, kw_only=True)
class DRRNConfig:
    """How DRRN learns.

    Attributes:
        steps: environment steps, over all lanes.
        lanes: episodes side by side.
        buckets: rows of the embedding table.
        size: of an embedding.
        hidden: width of the Q-network.
        gamma: discount.
        learning_rate: of Adam.
        batch: rows of an update.
        replay: transitions kept, half of them of paid episodes.
        every: environment steps per update.
        temperature: of the softmax over Q-values that explores.
        target_every: updates between copies of the network into the target.
    """

    steps: int = 100_000
    lanes: int = 16
    buckets: int = 16_384
    size: int = 64
    hidden: int = 128
    gamma: float = 0.9
    learning_rate: float = 1e-4
    batch: int = 64
    replay: int = 20_000
    every: int = 4
    temperature: float = 0.1
    target_every: int = 200


class DRRN(nn.Module):
    """Q-network over bags of words.

    Args:
        config: sizes.
    """

    def __init__(self, config: DRRNConfig) -> None:
        super().__init__()
        self.buckets = config.buckets
        self.words = nn.EmbeddingBag(config.buckets, config.size, mode="mean", sparse=True)
        self.value = nn.Sequential(
            nn.Linear(4 * config.size, config.hidden), nn.ReLU(), nn.Linear(config.hidden, 1)
        )

    def forward(
        self, requests: Sequence[Bag], pages: Sequence[Bag], actions: Sequence[Bag]
    ) -> Tensor:
        """Return Q-values, (n,), of n (request, page, action) triples."""
        request, page, action = (self._mean(bags) for bags in (requests, pages, actions))
        values: Tensor = self.value(torch.cat((request, page, action, request * action), -1))
        return values.squeeze(-1)

    def _mean(self, bags: Sequence[Bag]) -> Tensor:
        """Return mean embeddings, (n, size); one bag that comes often is computed once."""
        places: dict[int, int] = {}
        rows = [places.setdefault(id(bag), len(places)) for bag in bags]
        distinct = list({id(bag): bag for bag in bags}.values())
        offsets = np.cumsum([0, *(len(bag) for bag in distinct)])[:-1]
        means: Tensor = self.words(torch.cat(distinct) % self.buckets, torch.as_tensor(offsets))
        return means[rows]


class Look(NamedTuple):
    """What DRRN sees of a page: bags of the request, the page and each of its actions."""

    request: Bag
    page: Bag
    actions: tuple[Bag, ...]


class Memory(NamedTuple):
    """One transition: what was seen, the number of the action, its pay, and what came of it.

    ``then`` is None after a purchase; an episode cut off by its step limit goes on in value.
    """

    look: Look
    taken: int
    reward: float
    then: Look | None


def look_at(core: ShopCore) -> tuple[Look, list[str]]:
    """Return what DRRN sees of a page, and the action strings behind its actions."""
    if core.state.page == "index":
        queries = offered_queries(core.goal)
        names = [f"search[{query}]" for query in queries]
        described = [f"search {query}" for query in queries]
    else:
        names = [f"click[{target}]" for target in core.view.clickables]
        described = [_described(core, target) for target in core.view.clickables]
    chosen = " ".join(f"chosen {value}" for _, value in core.state.options)
    page = bag(f"{core.state.page} {chosen} {text(core)}")
    return Look(bag(request_words(core.goal)), page, tuple(map(bag, described))), names


def _described(core: ShopCore, target: str) -> str:
    click = core.view.clicks[target]
    if click.move == "open":
        product = core.shop.store.product(click.product)
        return f"open {product.title} {product.price_text}"
    if click.move == "option":
        chosen = "chosen" if (click.name, click.value) in core.state.options else "option"
        return f"{chosen} {click.name} {click.value}"
    return f"{click.move} {target}"


@lru_cache(maxsize=65_536)
def bag(words: str) -> Bag:
    """Return the hashed words of a text, at most 256 of them."""
    found = _WORD.findall(words.lower())[:_LONGEST]
    return torch.tensor([zlib.crc32(word.encode()) for word in found] or [0])


class Replay:
    """Two queues, of paid and of unpaid episodes; batches take half from each.

    Args:
        size: transitions kept.
        rng: draws the batches.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self._paid: deque[Memory] = deque(maxlen=size // 2)
        self._unpaid: deque[Memory] = deque(maxlen=size // 2)
        self._rng = rng

    def __len__(self) -> int:
        return len(self._paid) + len(self._unpaid)

    def add(self, episode: Sequence[Memory]) -> None:
        """Keep a finished episode."""
        paid = sum(memory.reward for memory in episode) > 0
        (self._paid if paid else self._unpaid).extend(episode)

    def draw(self, count: int) -> list[Memory]:
        """Return transitions, half of them of paid episodes where there are any."""
        queues = [queue for queue in (self._paid, self._unpaid) if queue]
        return [
            queue[int(i)]
            for queue in queues
            for i in self._rng.integers(len(queue), size=count // len(queues))
        ]


class DRRNTrainer:
    """Learns Q-values on the goals of a world.

    Args:
        world: shop and goals.
        config: how.
        seed: of goals, exploration, replay and the network.
    """

    def __init__(self, world: ShopWorld, config: DRRNConfig, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.config, self._world = config, world
        self._rng = np.random.default_rng(seed)
        self.network, self._target = DRRN(config), DRRN(config).requires_grad_(False)
        self._target.load_state_dict(self.network.state_dict())
        rate = config.learning_rate
        self._optimizers: list[torch.optim.Optimizer] = [
            torch.optim.SparseAdam(self.network.words.parameters(), lr=rate),
            torch.optim.Adam(self.network.value.parameters(), lr=rate),
        ]
        self._replay = Replay(config.replay, self._rng)
        self._updates = 0

    def learn(self, on_progress: Callable[[int, float], None] | None = None) -> float:
        """Play and learn; returns the CPU seconds it took.

        Args:
            on_progress: told the steps done and the mean reward of the last hundred episodes.
        """
        began, paid = time.process_time(), deque[float](maxlen=100)
        lanes = [self._fresh() for _ in range(self.config.lanes)]
        episodes: list[list[Memory]] = [[] for _ in lanes]
        looks = [look_at(core) for core in lanes]
        for step in range(0, self.config.steps, len(lanes)):
            taken = self._explore([look for look, _ in looks])
            for lane, core in enumerate(lanes):
                look, names = looks[lane]
                done = core.act(names[taken[lane]])
                looks[lane] = look_at(core) if not done.terminated else looks[lane]
                then = None if done.terminated else looks[lane][0]
                episodes[lane].append(Memory(look, taken[lane], done.reward, then))
                if done.terminated or core.state.steps >= self._world.max_steps:
                    self._replay.add(episodes[lane])
                    paid.append(done.reward)
                    lanes[lane], episodes[lane] = self._fresh(), []
                    looks[lane] = look_at(lanes[lane])
            for _ in range(max(1, len(lanes) // self.config.every)):
                self._update()
            if on_progress is not None:
                on_progress(step + len(lanes), float(np.mean(paid)) if paid else 0.0)
        return time.process_time() - began

    def _fresh(self) -> ShopCore:
        core = ShopCore(self._world.shop)
        core.begin(self._world.goal(self._rng))
        return core

    def _explore(self, looks: Sequence[Look]) -> list[int]:
        taken = []
        for values in q_values(self.network, looks):
            logits = values / self.config.temperature
            chances = np.exp(logits - logits.max())
            taken.append(int(self._rng.choice(len(values), p=chances / chances.sum())))
        return taken

    def _update(self) -> None:
        if len(self._replay) < self.config.batch:
            return
        rows = self._replay.draw(self.config.batch)
        best = np.zeros(len(rows))
        going = [place for place, row in enumerate(rows) if row.then is not None]
        follow = [row.then for row in rows if row.then is not None]
        for place, values in zip(going, q_values(self._target, follow), strict=True):
            best[place] = values.max()
        wanted = np.array([row.reward for row in rows]) + self.config.gamma * best
        told = self.network(
            [row.look.request for row in rows],
            [row.look.page for row in rows],
            [row.look.actions[row.taken] for row in rows],
        )
        loss = nn.functional.smooth_l1_loss(told, torch.as_tensor(wanted, dtype=torch.float32))
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in self._optimizers:
            optimizer.step()
        self._updates += 1
        if self._updates % self.config.target_every == 0:
            self._target.load_state_dict(self.network.state_dict())


def q_values(network: DRRN, looks: Sequence[Look]) -> list[NDArray[np.float64]]:
    """Return the Q-values of every action of every look."""
    if not looks:
        return []
    counts = [len(look.actions) for look in looks]
    requests = [look.request for look in looks for _ in look.actions]
    pages = [look.page for look in looks for _ in look.actions]
    actions = [action for look in looks for action in look.actions]
    with torch.no_grad():
        values = network(requests, pages, actions).double().numpy()
    return np.split(values, np.cumsum(counts)[:-1])


class DRRNPlayer:
    """Takes the action of the highest Q-value.

    Args:
        network: trained.
    """

    def __init__(self, network: DRRN) -> None:
        self._network = network

    def choose(self, shoppers: Sequence[Shopper]) -> list[str]:
        """Return the best action of every shopper."""
        looks = [look_at(shopper.core) for shopper in shoppers]
        values = q_values(self._network, [look for look, _ in looks])
        return [names[int(v.argmax())] for (_, names), v in zip(looks, values, strict=True)]
