"""Pictures for judges: upright, the same in every lane, drawn once a state, fast."""

import gc

import gymnasium as gym
import numpy as np
import pytest

import densegym  # noqa: F401  registers the worlds
from densegym.agents.studies.render_speed import measure
from densegym.envs.registration import bare_spec
from densegym.envs.tasks import task_card
from densegym.envs.wrappers.frames import FrameInInfo, frame_wrapper
from densegym.errors import RewardError, UnknownNameError
from densegym.reward_models.progress.films import square
from densegym.reward_models.types import Pictures
from tests.toys import Wander

ID = "DenseGym/ButtonPress-v0"


@pytest.fixture(scope="module")
def lanes():
    worlds = [gym.make(bare_spec(ID)) for _ in range(2)]
    for world in worlds:
        world.reset(seed=3)
    yield worlds
    for world in worlds:
        world.close()


def test_lanes_share_a_context_and_agree(lanes) -> None:
    card = task_card(ID)
    request = Pictures(card.cameras)
    one, other = (world.unwrapped.draw(request, hidden=card.hidden) for world in lanes)
    assert one.shape == (2, 64, 64, 3)
    assert one.dtype == np.uint8
    assert np.array_equal(one, other)
    lanes[1].reset(seed=4)
    moved = lanes[1].unwrapped.draw(request, hidden=card.hidden)
    assert not np.array_equal(one, moved)
    assert np.array_equal(one, lanes[0].unwrapped.draw(request, hidden=card.hidden))


def test_hiding_the_arm_leaves_the_world_as_it_was(lanes) -> None:
    model = lanes[0].unwrapped.sawyer.model
    groups = model.geom_group.copy()
    whole = lanes[0].unwrapped.draw(Pictures(("corner2",)))
    less = lanes[0].unwrapped.draw(Pictures(("corner2",)), hidden=task_card(ID).hidden)
    assert np.array_equal(model.geom_group, groups)
    assert not np.array_equal(whole, less)
    assert np.array_equal(whole, lanes[0].unwrapped.draw(Pictures(("corner2",))))


@pytest.mark.parametrize("camera", ["corner", "corner2", "corner3", "topview"])
def test_pictures_are_as_upright_as_render(camera) -> None:
    env = gym.make(bare_spec(ID), render_mode="rgb_array", camera=camera, width=64, height=64)
    env.reset(seed=0)
    ours = env.unwrapped.draw(Pictures((camera,)))[0].astype(int)
    shown = env.render().astype(int)
    turned = shown[::-1, ::-1]
    assert np.abs(ours - shown).mean() < 0.2 * np.abs(ours - turned).mean()
    env.close()


def test_unknown_cameras_and_bodies_are_named(lanes) -> None:
    with pytest.raises(UnknownNameError, match="corner2"):
        lanes[0].unwrapped.draw(Pictures(("corner9",)))
    with pytest.raises(UnknownNameError, match="head"):
        lanes[0].unwrapped.draw(Pictures(("corner2",)), hidden=("heed",))


def test_pictures_come_when_due_and_serve_a_video_too() -> None:
    env = FrameInInfo(Wander(ending=0.0, render_mode="rgb_array"), size=4, every=3)
    _, info = env.reset(seed=0)
    assert info["frame"].shape == (1, 4, 4, 3)
    due = ["frame" in env.step(env.action_space.sample())[4] for _ in range(6)]
    assert due == [False, False, True, False, False, True]
    assert np.shares_memory(env.render(), env._shown)


def test_worlds_of_one_view_are_resized_and_know_no_cameras() -> None:
    env = FrameInInfo(Wander(render_mode="rgb_array"), size=8)
    assert env.reset(seed=0)[1]["frame"].shape == (1, 8, 8, 3)
    with pytest.raises(RewardError, match="can only render"):
        FrameInInfo(Wander(render_mode="rgb_array"), cameras=("corner",))
    with pytest.raises(RewardError, match='render_mode="rgb_array"'):
        FrameInInfo(Wander())
    blind = Wander()
    blind.metadata = {"render_modes": ["ansi"]}
    with pytest.raises(RewardError, match="Wander draws none"):
        FrameInInfo(blind)


def test_drawing_is_many_times_faster_than_the_default() -> None:
    figures = measure()
    assert figures["ratio"] >= 10
    assert figures["two_camera_fps"] >= 80


@pytest.mark.parametrize("env_id", ["DenseGym/PointMaze_Open-v0", "DenseGym/FetchReach-v0"])
def test_worlds_without_a_chosen_camera_are_seen_as_they_render(env_id) -> None:
    env = gym.make(bare_spec(env_id), render_mode="rgb_array")
    env.reset(seed=0)
    shown = square(env.render(), 64).astype(int)
    ours = env.unwrapped.draw(Pictures(pretty=True))[0].astype(int)
    assert ours.std() > 20
    assert np.abs(ours - shown).mean() < 0.15 * np.abs(ours[:, ::-1] - shown).mean()
    env.close()


def test_judges_that_learnt_elsewhere_look_from_in_front() -> None:
    card = task_card(ID)
    assert frame_wrapper(Pictures(pretty=True), card).keywords["cameras"] == ("corner2",)
    assert frame_wrapper(Pictures(), card).keywords["cameras"] == card.cameras
    chosen = Pictures(("topview",), pretty=True)
    assert frame_wrapper(chosen, card).keywords["cameras"] == ("topview",)


@pytest.mark.parametrize("task", ["DrawerOpen", "PickPlace"])
def test_markers_are_drawn_only_where_they_are_asked_for(task):
    env = gym.make(f"DenseGym/{task}-v0").unwrapped
    env.reset(seed=0)
    cameras = ("topview", "behindGripper")
    shown = env.draw(Pictures(cameras, 64))
    hidden = env.draw(Pictures(cameras, 64, markers=False))
    again = env.draw(Pictures(cameras, 64))
    env.sawyer.model.site_rgba[:, 3] = 0.0
    bare = env.draw(Pictures(cameras, 64))
    env.close()

    def changed(one, other):
        return int((np.abs(one.astype(int) - other).max(axis=-1) > 8).sum())

    assert changed(shown, again) == changed(hidden, bare) == 0
    assert changed(shown, hidden) >= 5


def test_a_world_that_closes_takes_nothing_from_judges():
    """MuJoCo frees shapes in the context that is current, whose-ever they were."""
    judged, other = (
        gym.make(bare_spec("DenseGym/DrawerOpen-v0"), render_mode=mode).unwrapped
        for mode in (None, "rgb_array")
    )
    judged.reset(seed=0), other.reset(seed=0)
    other.render()
    cameras = ("topview", "behindGripper")
    before = judged.draw(Pictures(cameras, 64))
    assert (before != judged.draw(Pictures(cameras, 64, markers=False))).any()
    other.close()
    del other
    gc.collect()
    assert (judged.draw(Pictures(cameras, 64)) == before).all()
    judged.close()
