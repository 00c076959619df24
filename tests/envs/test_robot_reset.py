"""A Meta-World reset is upstream's, settled once, and shows every object where it stands."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from densegym.envs.robot.metaworld import MetaWorldEnv, _make_sawyer
from densegym.envs.tasks import task_card

CURRENT = [*range(18), 36, 37, 38]  # hand, objects and goal, without the previous frame
# Tasks whose hand settles against what the episode moves, and one of each other build.
TASKS = [
    "assembly-v3",
    "box-close-v3",
    "button-press-v3",
    "dial-turn-v3",
    "disassemble-v3",
    "door-lock-v3",
    "door-unlock-v3",
    "drawer-open-v3",
    "faucet-open-v3",
    "handle-press-v3",
    "lever-pull-v3",
    "peg-insert-side-v3",
    "shelf-place-v3",
    "window-close-v3",
    "window-open-v3",
]


@pytest.mark.parametrize("task", TASKS)
def test_a_reset_is_upstreams_double_reset(task: str) -> None:
    env, upstream = MetaWorldEnv(task), _make_sawyer(task)
    for _ in range(3):
        obs, _ = env.reset(seed=4)
    upstream._freeze_rand_vec, upstream._last_rand_vec = True, env.sawyer._last_rand_vec.copy()
    upstream.reset()
    assert np.array_equal(env.sawyer.data.qpos, upstream.data.qpos)
    assert np.array_equal(env.sawyer.data.qvel, upstream.data.qvel)
    assert np.array_equal(obs[36:39], upstream._target_pos)
    for name in ("body_pos", "site_pos", "geom_pos"):
        assert np.array_equal(getattr(env.sawyer.model, name), getattr(upstream.model, name))
    env.close()


@pytest.mark.parametrize("task", TASKS)
def test_the_first_observation_shows_the_object_where_it_stands(task: str) -> None:
    env = MetaWorldEnv(task)
    obs, _ = env.reset(seed=4)
    after = env.step(np.zeros(4, np.float32))[0]
    assert np.array_equal(obs[:18], obs[18:36])
    assert np.array_equal(after[18:36], obs[:18])
    # Upstream shows the handle of window-close 20 cm away from where it is.
    assert np.abs(after[CURRENT] - obs[CURRENT]).max() < 0.02
    env.close()


@pytest.mark.parametrize(
    ("task", "card", "order"),
    [
        ("pick-place-v3", "PickPlace", "x, y, z, w"),
        ("door-open-v3", "DoorOpen", "x, y, z, w"),
        ("hammer-v3", "Hammer", "w, x, y, z"),
        ("window-open-v3", "WindowOpen", None),
    ],
)
def test_the_card_names_the_order_of_the_quaternion(
    task: str, card: str, order: str | None
) -> None:
    features = {item.name: item for item in task_card(f"DenseGym/{card}-v0").features}
    meaning = features["object_quaternion"].meaning
    env = MetaWorldEnv(task)
    env.reset(seed=0)
    obs = env.step(np.zeros(4, np.float32))[0]
    if order is None:
        assert meaning.startswith("always zero")
        assert not obs[7:11].any()
        return
    assert f"({order})" in meaning
    data = env.sawyer.data
    held = {"pick-place-v3": data.geom, "door-open-v3": data.geom, "hammer-v3": data.body}[task]
    name = {"pick-place-v3": "objGeom", "door-open-v3": "handle", "hammer-v3": "hammer"}[task]
    turned = Rotation.from_quat(obs[7:11], scalar_first=order.startswith("w"))
    assert turned.as_matrix() == pytest.approx(held(name).xmat.reshape(3, 3), abs=1e-6)
    env.close()
