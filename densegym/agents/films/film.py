"""Films a policy: an mp4 and a strip of pictures, above what a reward saw in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from densegym.agents.films.curves import GOOD, INK, film_panel, write_strip
from densegym.agents.films.footage import Footage
from densegym.agents.training.config import TrainConfig
from densegym.agents.training.evaluate import Policy
from densegym.agents.training.folders import slug
from densegym.agents.training.learner import Learner
from densegym.agents.training.run import EVAL_SEED
from densegym.envs.protocols import OWN
from densegym.envs.registration import bare_spec, make
from densegym.envs.wrappers.frames import find_frames
from densegym.errors import DenseGymError, require
from densegym.reward_models.batch import add_axis
from densegym.reward_models.engine import RewardEngine
from densegym.reward_models.model import RewardModel, walk
from densegym.reward_models.shaping import Paying
from densegym.reward_models.spec import RewardSpec
from densegym.reward_models.types import Frames

_FILM_FPS = 20  # slower than most worlds, whose successes are over in a second
_LEAST_WIDTH = 360  # pixels of a film; smaller pictures are enlarged by whole numbers
_HEADER = 44  # pixels above the picture of a film
_TO_COME = 0.3  # how strongly curves are drawn that the film has not reached


def record(
    policy: Policy,
    env_id: str,
    reward: RewardSpec,
    *,
    seed: int,
    title: str = "",
    trained: RewardEngine | None = None,
    on_step: Callable[[int, int], None] = lambda done, most: None,
    protocol: str = OWN,
    **kwargs: Any,
) -> Footage:
    """Play one episode and keep its pictures and its rewards.

    Args:
        policy: acts on batches of observations.
        env_id: the world.
        reward: the reward specification that is shown what happens.
        seed: of the episode.
        title: written on the film; the task and reward by default.
        trained: of the run with this very reward, whose judges may have learnt on.
        on_step: told about steps played, and the most that are known of.
        protocol: see ``densegym.envs.protocols``.
        **kwargs: for the world's constructor.

    Raises:
        DenseGymError: the world draws no pictures.
    """
    _check_drawing(env_id)
    drawn = {**kwargs, "render_mode": "rgb_array"}  # which a run may have been given, too
    env: Any = make(env_id, reward=reward, protocol=protocol, **drawn)
    env.engine.show()  # what is known in hindsight is drawn in hindsight
    _share_judges(env.engine, trained)
    most = env.spec.max_episode_steps or 0
    try:
        seen = _Seen(env)
        obs, info = env.reset(seed=seed)
        seen.begin()
        fresh, ended, t = True, False, 0
        while not ended:
            action = policy(add_axis(obs), np.array([fresh]))[0]
            obs, dense, terminated, truncated, info = env.step(action)
            fresh, ended, t = False, terminated or truncated, t + 1
            seen.step(t, dense, info, ended)
            on_step(t, max(t, most))
    finally:
        env.close()
    shown = title or f"{env_id.removeprefix('DenseGym/')}  {env.engine.reward.name}"
    return seen.footage(shown, info)


def film_learner(learner: Learner, config: TrainConfig, folder: Path) -> None:
    """Film one episode of a run's learner into ``folder/media``; what ``train(after=...)`` takes.

    Raises:
        DenseGymError: the world draws no pictures.
        MissingExtraError: imageio or matplotlib is not installed.
    """
    footage = record(
        learner.policy(),
        config.env,
        config.reward,
        seed=EVAL_SEED,
        trained=learner.engine,
        protocol=config.protocol,
        **config.env_kwargs,
    )
    write_film(footage, folder / "media", slug(footage.title))


class _Seen:
    """Collects what is shown of an episode."""

    def __init__(self, env: Any) -> None:
        self._env = env
        self._potential = next(iter(_paying(env.engine.reward)), None)
        self._frames: list[Frames] = []
        self._rows: list[tuple[float, float, bool]] = []
        self._phi: list[float] = []
        self._judged: list[tuple[float, float]] = []
        self._taken, self._shown = find_frames(env), list[Frames]()

    def begin(self) -> None:
        self._look()

    def step(self, t: int, paid: float, info: dict[str, Any], ended: bool) -> None:
        valid = bool(info["reward/valid"])
        if self._potential is not None:
            values = self._potential.latest
            valid = bool(values.valid[0])
            looks = self._potential.traits.pictures
            due = looks is not None and bool(looks.due(np.array([t - 1]), np.array([ended]))[0])
            hop = (
                float(values.terms["hop"][0]) if "hop" in values.terms and due and valid else np.nan
            )
            done = float(values.terms["done"][0]) if "done" in values.terms else 0.0
            self._judged.append((hop, done))
        self._rows.append((paid, float(info.get("success_now", 0.0)), not valid))
        self._look()

    def _look(self) -> None:
        # A reward that looks at pictures makes env.render() return the small ones it was shown.
        try:
            picture = np.asarray(self._env.unwrapped.render(), dtype=np.uint8)
        except DenseGymError:
            raise
        except Exception as error:
            raise DenseGymError(
                f"{self._env.spec.id} could not be drawn: {type(error).__name__}: {error}. If "
                "MuJoCo draws it, write MUJOCO_GL=egl (or osmesa) before the command"
            ) from error
        self._frames.append(np.ascontiguousarray(picture[:, :, :3]))
        if self._potential is not None:
            self._phi.append(float(self._potential.latest.phi[0]))
        if self._taken is not None:
            due = len(self._taken.shown) > 0
            self._shown.append(self._taken.shown if due else self._shown[-1])

    def footage(self, title: str, last: dict[str, Any]) -> Footage:
        paid, success, abstained = (np.array(column) for column in zip(*self._rows, strict=True))
        judged = np.array(self._judged).reshape(-1, 2)
        hops = bool((~np.isnan(judged[:, 0])).any())
        return Footage(
            frames=self._frames,
            paid=np.array(last.get("reward/credits", paid)),
            success=success,
            abstained=abstained.astype(np.bool_),
            fps=int(self._env.metadata.get("render_fps", 30)),
            title=title,
            phi=np.array(self._phi) if self._phi else None,
            hop=judged[:, 0] if hops else None,
            done=judged[:, 1] if judged[:, 1].any() else None,
            seen=self._shown,
        )


def _check_drawing(env_id: str) -> None:
    bare = gym.make(bare_spec(env_id))
    modes = bare.metadata.get("render_modes", [])
    bare.close()
    if "rgb_array" not in modes:
        raise DenseGymError(
            f"{env_id} draws no pictures (it renders {', '.join(modes) or 'nothing'}), so it "
            "cannot be filmed. To see its numbers, type: densegym eval RUN"
        )


def _share_judges(engine: RewardEngine, trained: RewardEngine | None) -> None:
    """Let the judges of a run, which may have learnt on in it, judge this episode."""
    if trained is None:
        return
    pairs = zip(_paying(engine.reward), _paying(trained.reward), strict=True)
    for mine, theirs in pairs:
        mine.potential.adopt(theirs.potential)


def _paying(reward: RewardModel) -> list[Paying]:
    """Return what pays potentials in a reward, outermost first."""
    return [inner for inner in walk(reward) if isinstance(inner, Paying)]


def write_film(
    footage: Footage,
    folder: Path,
    stem: str,
    on_page: Callable[[int, int], None] = lambda done, wanted: None,
) -> list[Path]:
    """Write ``<stem>.mp4`` (H.264, plays in browsers) and ``<stem>.png`` (a strip of pictures).

    Args:
        footage: what was filmed.
        folder: made if it does not exist.
        stem: of both names.
        on_page: told about pages drawn and wanted.

    Raises:
        MissingExtraError: imageio or matplotlib is not installed.
    """
    imageio = require("imageio", extra="vision")
    for module in ("imageio_ffmpeg", "PIL"):
        require(module, extra="vision")
    require("matplotlib", extra="agents")
    folder.mkdir(parents=True, exist_ok=True)
    film, strip = folder / f"{stem}.mp4", folder / f"{stem}.png"
    fps, page = min(footage.fps, _FILM_FPS), None
    with imageio.get_writer(film, fps=fps, codec="libx264", quality=7, macro_block_size=2) as out:
        for t, page in enumerate(_pages(footage)):
            out.append_data(page)
            on_page(t + 1, len(footage.frames))
        for _ in range(fps):  # hold the last picture for a second
            out.append_data(page)
    write_strip(footage, strip)
    return [film, strip]


def write_plain(footage: Footage, folder: Path, stem: str) -> list[Path]:
    """Write films of the pictures alone, for ``densegym score``: of each view that a judge saw.

    Where no judge looked, the world's own pictures are written. Arguments as in ``write_film``.

    Raises:
        MissingExtraError: imageio is not installed.
    """
    imageio = require("imageio", extra="vision")
    require("imageio_ffmpeg", extra="vision")
    folder.mkdir(parents=True, exist_ok=True)
    seen = footage.seen or [frame[None] for frame in footage.frames]
    count = len(seen[0])
    names = ["plain"] if count == 1 else [f"plain-{view + 1}" for view in range(count)]
    paths = [folder / f"{stem}-{name}.mp4" for name in names]
    for view, path in enumerate(paths):
        pictures = [np.ascontiguousarray(shown[view]) for shown in seen]
        imageio.mimwrite(
            path, pictures, fps=footage.fps, codec="libx264", quality=10, macro_block_size=2
        )
    return paths


def _pages(footage: Footage) -> Iterator[Frames]:
    """Yield every picture with a caption above it and the curves up to it below."""
    small = footage.frames[0].shape[1]
    times = -(-_LEAST_WIDTH // small)
    width = times * small
    panel, columns, rows = film_panel(footage, width)
    pale = (255 - _TO_COME * (255.0 - panel)).astype(np.uint8)
    for t, frame in enumerate(footage.frames):
        picture = frame.repeat(times, axis=0).repeat(times, axis=1)
        below, now = panel.copy(), columns[t]
        below[rows, now + 1 :] = pale[rows, now + 1 :]
        below[rows, now] = 90
        page = np.concatenate([_header(footage, t, width), picture, below])
        if footage.seen:
            page = np.concatenate([page, _beside(footage.seen[t], *page.shape[:2])], axis=1)
        yield np.ascontiguousarray(page[: len(page) // 2 * 2, : page.shape[1] // 2 * 2])


def _beside(views: Frames, height: int, width: int) -> Frames:
    """Return a column with the pictures that a judge was shown last, one below the other."""
    from PIL import Image, ImageDraw

    side = min(width // 2, (height - _HEADER) // len(views))
    column = Image.new("RGB", (side, height), "white")
    ImageDraw.Draw(column).text((4, 24), "what the judge sees", fill=INK, font=_font())
    for index, view in enumerate(views):
        enlarged = Image.fromarray(view).resize((side, side), Image.Resampling.NEAREST)
        column.paste(enlarged, (0, _HEADER + index * side))
    return np.asarray(column)


def _header(footage: Footage, t: int, width: int) -> Frames:
    """Return the title and what is known after ``t`` steps."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (width, _HEADER), "white")
    draw = ImageDraw.Draw(image)
    draw.text((8, 5), _fitting(footage.title, width - 16), fill=INK, font=_font())
    said = [f"step {t}", f"paid {footage.paid[:t].sum():.2f}"]
    if footage.phi is not None:
        said.append(f"Φ {footage.phi[t]:.2f}")
    if footage.done is not None and t > 0:
        said.append(f"done {footage.done[t - 1]:.2f}")
    if t > 0 and footage.abstained[t - 1]:
        said.append("abstains")
    draw.text((8, 24), "   ".join(said), fill=INK, font=_font())
    if t > 0 and footage.success is not None and footage.success[:t].any():
        draw.text((width - 8, 24), "success", fill=GOOD, font=_font(), anchor="ra")
    return np.asarray(image)


def _fitting(text: str, width: int) -> str:
    """Return a text, cut short if it is wider than ``width`` pixels."""
    while text and _font().getlength(text) > width:
        text = text.rstrip("…")[:-1] + "…"
    return text


@cache
def _font() -> Any:
    import matplotlib
    from PIL import ImageFont

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), 13)
