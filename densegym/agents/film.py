"""Films a trained policy: an mp4 and a strip of pictures, with the reward drawn below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from densegym.agents.evaluate import Policy
from densegym.errors import require
from densegym.reward_models.batch import add_axis
from densegym.reward_models.spec import RewardSpec
from densegym.reward_models.types import Float, Frames

_PLOT_HEIGHT = 150
_INK, _PAPER, _FAINT, _ACCENT, _GOOD = (
    (40, 40, 40),
    (255, 255, 255),
    (205, 205, 205),
    (0, 114, 178),
    (0, 158, 115),
)
_STRIP_PICTURES = 6
_FILM_FPS = 20  # slower than most worlds, whose successes are over in a second


@dataclass(frozen=True, slots=True)
class Footage:
    """One filmed episode of T steps.

    Attributes:
        frames: T + 1 pictures (H, W, 3) uint8.
        paid: (T,) what the reward model paid.
        success: (T,) whether the success rule held.
        fps: frames per second of the world.
        title: what is shown.
    """

    frames: Sequence[Frames]
    paid: Float
    success: Float
    fps: int
    title: str


def record(
    policy: Policy, env_id: str, reward: RewardSpec, *, seed: int, title: str = "", **kwargs: Any
) -> Footage:
    """Play one episode and keep its pictures and its rewards.

    Args:
        policy: acts on batches of observations.
        env_id: the world.
        reward: the reward specification drawn beside the robot.
        seed: of the episode.
        title: written on the film; the task and reward by default.
        **kwargs: for the world's constructor.
    """
    env: Any = gym.make(env_id, reward=reward, render_mode="rgb_array", **kwargs)
    env.engine.relabelled = True  # what is known in hindsight is drawn in hindsight
    try:
        obs, _ = env.reset(seed=seed)
        frames, paid, success, fresh = [_picture(env)], [], [], True
        ended = False
        while not ended:
            action = policy(add_axis(obs), np.array([fresh]))[0]
            obs, dense, terminated, truncated, info = env.step(action)
            fresh, ended = False, terminated or truncated
            frames.append(_picture(env))
            paid.append(dense)
            success.append(info["success_now"])
        paid = list(info.get("reward/credits", paid))
    finally:
        env.close()
    fps = int(env.metadata.get("render_fps", 30))
    shown = title or f"{env_id.removeprefix('DenseGym/')}  {env.engine.model.name}"
    return Footage(frames, np.array(paid), np.array(success), fps, shown)


def write_film(footage: Footage, folder: Path, stem: str) -> list[Path]:
    """Write ``<stem>.mp4`` (H.264, plays in browsers) and ``<stem>.png`` (a strip of pictures).

    Raises:
        MissingExtraError: OpenCV or imageio is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages = [_page(footage, t) for t in range(len(footage.frames))]
    film, strip = folder / f"{stem}.mp4", folder / f"{stem}.png"
    imageio = require("imageio", extra="vision")
    require("imageio_ffmpeg", extra="vision")
    fps = min(footage.fps, _FILM_FPS)
    with imageio.get_writer(film, fps=fps, codec="libx264", quality=7, macro_block_size=2) as out:
        for page in [*pages, *[pages[-1]] * fps]:  # hold the last picture for a second
            out.append_data(page)
    chosen = np.linspace(0, len(pages) - 1, min(_STRIP_PICTURES, len(pages))).round().astype(int)
    cv2 = require("cv2", extra="vision")
    joined = np.concatenate([pages[t] for t in chosen], axis=1)
    cv2.imwrite(str(strip), cv2.cvtColor(joined, cv2.COLOR_RGB2BGR))
    return [film, strip]


def _picture(env: gym.Env[Any, Any]) -> Frames:
    picture: Any = env.render()
    return np.asarray(picture, dtype=np.uint8)


def _page(footage: Footage, t: int) -> Frames:
    """Return the picture after ``t`` steps with its caption and the reward so far below it."""
    cv2 = require("cv2", extra="vision")
    frame = np.ascontiguousarray(footage.frames[t][:, :, :3])
    height, width = frame.shape[:2]
    page: Frames = np.full((height + _PLOT_HEIGHT, width, 3), 255, dtype=np.uint8)
    page[:height] = frame
    shown = t > 0 and bool(footage.success[:t].max())
    text = f"step {t}" + ("   success" if shown else "")
    font, thin = cv2.FONT_HERSHEY_SIMPLEX, cv2.LINE_AA
    cv2.rectangle(page, (0, 0), (width, 26), _PAPER, -1)
    cv2.putText(page, footage.title, (8, 18), font, 0.45, _INK, 1, thin)
    cv2.putText(page, text, (width - 170, 18), font, 0.45, _GOOD if shown else _INK, 1, thin)
    _plot(page[height:], footage.paid, t)
    return page


def _plot(panel: Frames, paid: Float, t: int) -> None:
    """Draw the reward per step up to ``t`` into a panel, with its running sum as a number."""
    cv2 = require("cv2", extra="vision")
    height, width = panel.shape[:2]
    left, right, top, bottom = 46, width - 10, 30, height - 14
    low, high = min(0.0, float(paid.min())), max(0.0, float(paid.max()))
    span = (high - low) or 1.0
    x = left + (right - left) * np.arange(len(paid)) / max(len(paid) - 1, 1)
    y = bottom - (bottom - top) * (paid - low) / span
    points = np.stack([x, y], axis=1).round().astype(np.int32)
    zero = round(bottom + (bottom - top) * low / span)
    font, thin = cv2.FONT_HERSHEY_SIMPLEX, cv2.LINE_AA
    cv2.line(panel, (left, zero), (right, zero), _FAINT, 1)
    cv2.polylines(panel, [points], False, _FAINT, 1, thin)
    if t > 0:
        cv2.polylines(panel, [points[:t]], False, _ACCENT, 2, thin)
        cv2.circle(panel, points[t - 1].tolist(), 4, _ACCENT, -1, thin)
    total = f"reward per step; sum so far {paid[:t].sum():.2f}"
    cv2.putText(panel, total, (left, 18), font, 0.42, _INK, 1, thin)
    for value, row in ((high, top), (low, bottom)):
        cv2.putText(panel, f"{value:.2g}", (4, row + 4), font, 0.38, _INK, 1, thin)
