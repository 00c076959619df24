"""The cards of the NetHack worlds against the game they describe."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from nle import nethack

from densegym.envs.nethack.cards import worlds
from densegym.envs.nethack.layer import NetHackEnv
from densegym.envs.world import World
from tests.walks import walk

WORLDS = worlds()


def test_ids_and_family() -> None:
    ids = [world.card.id for world in WORLDS]
    assert len(ids) == len(set(ids))
    for name in ("NetHackScore", "NetHackChallenge", "ONI-Oracle-Sober", "MiniHack-KeyRoom-S5"):
        assert f"DenseGym/{name}-v0" in ids
    families = {world.card.id: world.card.family for world in WORLDS}
    assert set(families.values()) == {"nethack", "minihack"}
    assert families["DenseGym/ONI-Oracle-v0"] == "nethack"


def test_cards_need_no_nle() -> None:
    code = (
        "import sys; sys.modules['nle'] = sys.modules['minihack'] = None\n"
        "from densegym.envs.nethack.cards import worlds; assert len(worlds()) > 40"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("env_id", walk(WORLDS))
def test_the_world_keeps_the_clock_its_card_tells(env_id: str) -> None:
    world = {world.card.id: world for world in WORLDS}[env_id]
    assert world.max_episode_steps is None
    assert world.card.expert is None
    env = NetHackEnv(**world.kwargs)
    assert f" {env.game._max_episode_steps:.0f} steps" in world.card.provenance
    env.close()


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.card.id)
def test_features_are_the_columns_nle_names(world: World) -> None:
    names = {
        "column": "X",
        "row": "Y",
        "score": "SCORE",
        "hit_points": "HP",
        "max_hit_points": "HPMAX",
        "depth": "DEPTH",
        "gold": "GOLD",
        "experience_level": "XP",
        "experience_points": "EXP",
        "turn": "TIME",
        "hunger": "HUNGER",
    }
    assert {feature.name for feature in world.card.features} == set(names)
    for feature in world.card.features:
        column = getattr(nethack, f"NLE_BL_{names[feature.name]}")
        assert (feature.source, feature.key, feature.shape) == ("obs", "blstats", ())
        assert feature.columns == (column, column + 1), feature.name


def test_column_and_row_point_at_the_agent() -> None:
    env = NetHackEnv("NetHackScore-v0", observation_keys=["chars", "blstats"])
    obs, _ = env.reset(seed=0)
    column, row = obs["blstats"][:2]
    assert obs["chars"][row, column] == ord("@")
    assert np.count_nonzero(obs["chars"] == ord("@")) == 1
    env.close()
