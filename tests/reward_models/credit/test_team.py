"""Team credit: one return per game, spread over agents and steps, and whose work it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from densegym.errors import RewardError
from densegym.reward_models.credit.redistribution.team import (
    LaReTeamCredit,
    LaReTeamOptions,
    RRDTeamCredit,
    RRDTeamOptions,
    UniformTeamCredit,
)
from densegym.reward_models.types import Episode, Steps, TaskCard

CARD = TaskCard(id="Toy/Team-v0", gives=("numbers", "team"))
AGENTS, STEPS = 3, 8


def efforts(steps: Steps) -> Any:
    """Return (N, 3) factors: the effort, its square, and the lead over the team, of sum zero."""
    effort = np.asarray(steps.action)[:, 0]
    lead = effort - np.array([info["mean"] for info in steps.info])
    return np.stack([effort, np.square(effort), lead], axis=1).astype("f4")


def team(rng: np.random.Generator, game: int = 0, lengths=(STEPS,) * AGENTS) -> list[Episode]:
    """Return a game in which everybody earns what agent 0, 1 and 2 did together."""
    effort = rng.random((AGENTS, STEPS))
    made = []
    for agent, length in enumerate(lengths):
        told = {"team/game": game, "team/agent": agent, "team/size": AGENTS}
        mean = effort.mean(axis=0)
        made.append(
            Episode(
                slot=game * AGENTS + agent,
                obs=np.zeros((length + 1, 2)),
                action=effort[agent, :length, None],
                env_reward=np.where(
                    np.arange(length) == length - 1, 2.0 * effort.mean() * STEPS, 0.0
                ),
                dense_reward=np.zeros(length),
                terminated=False,
                info=[{**told, "mean": float(m)} for m in mean[:length]],
            )
        )
    return made


def total(episodes: list[Episode]) -> float:
    return float(sum(one.env_reward.sum() for one in episodes))


def lare(**options) -> LaReTeamCredit:
    return LaReTeamCredit(CARD, LaReTeamOptions(factors=efforts, min_episodes=5, **options))


MODELS = {
    "uniform": lambda: UniformTeamCredit(CARD),
    "rrd": lambda: RRDTeamCredit(CARD, RRDTeamOptions(min_episodes=2, updates_per_step=0.5)),
    "lare": lare,
    "lare mlp": lambda: lare(decoder="mlp", updates_per_step=0.5),
    "no agent part": lambda: lare(agent_part=False),
}


@pytest.mark.parametrize("name", MODELS)
def test_credits_of_a_team_add_up_to_its_return(name: str) -> None:
    rng, model = np.random.default_rng(0), MODELS[name]()
    for game in range(8):
        episodes = team(rng, game % 2)
        credits = model.finish(episodes)
        assert [len(c) for c in credits] == [STEPS] * AGENTS
        assert sum(c.sum() for c in credits) == pytest.approx(total(episodes), rel=1e-5)
    if name == "no agent part":
        assert np.allclose(credits[0], credits[1])


def test_the_decoder_finds_whose_work_it_was() -> None:
    """Only team returns are seen, and yet an agent's credit follows its own effort."""
    rng, model = np.random.default_rng(1), lare()
    for _ in range(60):
        model.finish(team(rng))
    episodes = team(rng)
    credits = np.concatenate(model.finish(episodes))
    own = np.concatenate([one.action[:, 0] for one in episodes])
    assert np.corrcoef(credits, own)[0, 1] > 0.97
    slope = np.polyfit(own, credits, 1)[0]
    assert slope == pytest.approx(2.0, rel=0.25), "each unit of effort earned the team 2"
    control = lare(agent_part=False)
    rng = np.random.default_rng(1)
    for _ in range(60):
        control.finish(team(rng))
    shared = np.concatenate(control.finish(episodes))
    assert np.corrcoef(shared, own)[0, 1] < 0.8


def test_games_are_never_mixed_up() -> None:
    rng, model = np.random.default_rng(2), UniformTeamCredit(CARD)
    one, two = team(rng, 0), team(rng, 1)
    mixed = [one[0], two[0], two[1], one[1], one[2], two[2]]
    credits = model.finish(mixed)
    for game, places in ((one, (0, 3, 4)), (two, (1, 2, 5))):
        assert sum(credits[p].sum() for p in places) == pytest.approx(total(game))
    assert not np.isclose(credits[0][0], credits[1][0])


@pytest.mark.parametrize("name", MODELS)
def test_agents_may_end_before_their_team(name: str) -> None:
    """Early ones are paid nothing at their end, the team's return reaches those who are left."""
    rng, model = np.random.default_rng(3), MODELS[name]()
    for _ in range(8):
        first, *rest = team(rng, lengths=(3, STEPS, STEPS))
        (early,) = model.finish([first])
        assert early.tolist() == [0.0] * 3
        late = model.finish(rest)
        assert all(np.isfinite(c).all() for c in late)
        if name == "uniform":
            assert sum(c.sum() for c in late) == pytest.approx(total([first, *rest]))


def test_a_reset_that_cut_a_team_off_starts_it_anew() -> None:
    rng, model = np.random.default_rng(4), UniformTeamCredit(CARD)
    model.finish(team(rng)[:1])
    whole = team(rng)
    credits = model.finish(whole)
    assert sum(c.sum() for c in credits) == pytest.approx(total(whole))


def test_a_checkpoint_keeps_what_was_learned() -> None:
    rng, model = np.random.default_rng(5), lare()
    for _ in range(10):
        model.finish(team(rng))
    other = lare()
    other.load_state_dict(model.state_dict())
    episodes = team(rng)
    for ours, theirs in zip(model.judge(episodes), other.judge(episodes), strict=True):
        assert np.allclose(ours, theirs)


def test_worlds_of_one_agent_and_foreign_options_are_refused() -> None:
    (alone, *_) = team(np.random.default_rng(6))
    bare = Episode(
        alone.slot,
        alone.obs,
        alone.action,
        alone.env_reward,
        alone.dense_reward,
        False,
        [{}] * STEPS,
    )
    with pytest.raises(RewardError, match=r'this world has one agent.*"credit/uniform"'):
        UniformTeamCredit(CARD).finish([bare])
    with pytest.raises(RewardError, match='decoder="linear" or "mlp"'):
        lare(decoder="tree")
    with pytest.raises(RewardError, match="ridge above 0"):
        lare(ridge=0.0)
