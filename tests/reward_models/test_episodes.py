"""Episodes on disk and what other rewards pay for them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from densegym.errors import ResultsError
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.episodes import (
    EpisodeFile,
    load_episodes,
    relabel,
    save_episodes,
    summary,
)
from densegym.reward_models.spec import build_engine
from densegym.reward_models.types import Episode
from tests.toys import CARD, Counting, Height, Redistribute, Wander


def played(count: int, seed: int = 0) -> list[Episode]:
    rng, episodes = np.random.default_rng(seed), []
    for slot in range(count):
        world = Wander()
        obs, _ = world.reset(seed=seed + slot)
        seen, actions, rewards, infos, ended = [obs], [], [], [], False
        while not ended:
            action = rng.uniform(-1, 1, 2)
            obs, reward, terminated, truncated, info = world.step(action)
            seen.append(obs)
            actions.append(action)
            rewards.append(reward)
            infos.append(info)
            ended = terminated or truncated
        episodes.append(
            Episode(
                slot=slot,
                obs=np.stack(seen),
                action=np.stack(actions),
                env_reward=np.array(rewards),
                dense_reward=np.array(rewards),
                terminated=terminated,
                info=infos,
                task="Wander.",
            )
        )
    return episodes


def engine(reward, lanes: int = 3) -> RewardEngine:
    made = build_engine(reward, lanes, task=CARD)
    made.show()
    return made


def test_episodes_come_back_as_they_were(tmp_path: Path) -> None:
    episodes = played(5)
    path = tmp_path / "deep" / "episodes.npz"
    save_episodes(path, EpisodeFile(CARD.id, "env", episodes))
    stored = load_episodes(path)
    assert (stored.task, stored.reward) == (CARD.id, "env")
    for before, after in zip(episodes, stored.episodes, strict=True):
        for field in dataclasses.fields(Episode):
            one, other = getattr(before, field.name), getattr(after, field.name)
            if isinstance(one, np.ndarray):
                np.testing.assert_array_equal(one, other)
            else:
                assert one == other


def test_dicts_and_texts_come_back_too(tmp_path: Path) -> None:
    (episode,) = played(1)
    length = len(episode.env_reward)
    texts = [f"page é {t}" for t in range(length + 1)]
    info = [
        {"n": np.float32(0.5), "v": np.arange(3), "deep": {"x": 1}, "big": np.zeros(99)}
    ] * length
    rich = dataclasses.replace(episode, obs={"page": texts, "at": episode.obs}, info=info)
    path = tmp_path / "episodes.npz"
    save_episodes(path, EpisodeFile(CARD.id, "env", [rich]))
    back = load_episodes(path).episodes[0]
    assert back.obs["page"] == texts
    np.testing.assert_array_equal(back.obs["at"], episode.obs)
    assert back.info[0] == {"n": 0.5, "v": [0, 1, 2]}


def test_damaged_foreign_and_empty_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "episodes.npz"
    with pytest.raises(ResultsError, match="no episodes"):
        save_episodes(path, EpisodeFile(CARD.id, "env", []))
    with pytest.raises(ResultsError, match="densegym eval RUN --record"):
        load_episodes(path)
    save_episodes(path, EpisodeFile(CARD.id, "env", played(1)))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ResultsError, match="no readable episodes"):
        load_episodes(path)
    deep = dataclasses.replace(played(1)[0], obs=(1, 2))
    with pytest.raises(ResultsError, match="tuple"):
        save_episodes(path, EpisodeFile(CARD.id, "env", [deep]))


@pytest.mark.parametrize("make", [Counting, Height, Redistribute])
def test_relabelling_pays_as_training_would_whatever_runs_beside(make) -> None:
    episodes = played(7)
    together = relabel(engine(make()), episodes)
    alone = [relabel(engine(make(), 1), [episode])[0] for episode in episodes]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    if make is Redistribute:
        for paid, episode in zip(together, episodes, strict=True):
            np.testing.assert_allclose(paid, episode.env_reward.mean())
            assert paid.sum() == pytest.approx(episode.env_reward.sum())


def test_relabelling_twice_is_relabelling_once() -> None:
    episodes = played(4)
    paid = relabel(engine(Redistribute()), episodes)
    changed = [
        dataclasses.replace(episode, dense_reward=dense)
        for episode, dense in zip(episodes, paid, strict=True)
    ]
    for one, other in zip(paid, relabel(engine(Redistribute()), changed), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_summary_speaks_of_what_was_paid() -> None:
    episodes = played(3)
    told = summary(episodes)
    assert told["return/env"] == told["return/dense"]
    assert told["correlation"] == pytest.approx(1.0)
    flat = [dataclasses.replace(e, dense_reward=np.zeros_like(e.env_reward)) for e in episodes]
    assert np.isnan(summary(flat)["correlation"])
    assert summary(flat)["paid steps"] == 0.0
