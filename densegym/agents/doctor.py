"""Looks at the machine and says what works, what is missing, and what to type."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, version

from densegym.envs.robot.rendering import INSTALL, choose_backend
from densegym.errors import DenseGymError
from densegym.requirements import NAME, Needed, by_extra, extra_line, needed
from densegym.reward_models.registry import reward_entries

# What mujoco 4 is made of: uninstalling it leaves them, in the folder that mujoco 3 then shares.
_PARTS_OF_MUJOCO = ("mujoco-core", "mujoco-studio")
_CLASSIFIER = "Programming Language :: Python :: 3."


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        topic: what was looked at.
        found: what was found.
        ok: whether it will do; an extra that is not installed will.
        cure: what to type if not, or to add it.
    """

    topic: str
    found: str
    ok: bool = True
    cure: str = ""

    def sentence(self) -> str:
        """Return what is wrong and what to type, in one sentence."""
        return f"{self.topic}: {self.found}. Type: {self.cure}"


def examine() -> list[Finding]:
    """Return everything found, in the order people need it."""
    return [_python(), *_base(), *_extras(), *_mixed(), _threads(), *_rendering(), _wording()]


def _python() -> Finding:
    known = metadata(NAME).get_all("Classifier") or []
    tested = sorted(int(c.removeprefix(_CLASSIFIER)) for c in known if c.startswith(_CLASSIFIER))
    if not tested or sys.version_info[:2] in [(3, minor) for minor in tested]:
        return Finding("Python", platform.python_version())
    found = f"{platform.python_version()}, tested are 3.{tested[0]} to 3.{tested[-1]}"
    return Finding("Python", found, False, f"python3.{tested[-1]} -m venv .venv")


def _base() -> list[Finding]:
    return [_look(need) for need in needed() if not need.extra]


def _extras() -> list[Finding]:
    findings = []
    for extra, packages in by_extra().items():
        if packages[0].installed is None:
            findings.append(Finding(f"[{extra}]", "not installed", True, extra_line(extra)))
        else:
            findings += map(_look, packages)
    return findings


def _look(need: Needed) -> Finding:
    topic = f"[{need.extra}] {need.package}" if need.extra else need.package
    found = need.installed
    if found is None:
        cure = extra_line(need.extra) if need.extra else need.line
        return Finding(topic, "missing", False, cure)
    if need.fits:
        return Finding(topic, found)
    cure = _clean_mujoco() if need.package == "mujoco" and _parts() else need.line
    return Finding(topic, f"{found} is outside the tested {need.tested}", False, cure)


def _mixed() -> list[Finding]:
    """Say so where two versions of MuJoCo lie in one folder, which no import survives."""
    whole = _version("mujoco")
    return [
        Finding(part, f"{other} lies in the folder of mujoco {whole}", False, _clean_mujoco())
        for part, other in _parts().items()
        if other != whole
    ]


def _parts() -> dict[str, str]:
    found = {part: _version(part) for part in _PARTS_OF_MUJOCO}
    return {part: known for part, known in found.items() if known is not None}


def _clean_mujoco() -> str:
    return f"pip uninstall -y mujoco {' '.join(_PARTS_OF_MUJOCO)} && {extra_line('robot')}"


def _threads() -> Finding:
    set_to = os.environ.get("OMP_NUM_THREADS", "not set")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = f"{cores} cores; OMP_NUM_THREADS {set_to}; training uses one torch thread per run"
    return Finding("threads", found)


def _rendering() -> list[Finding]:
    if _version("mujoco") is None:
        return []  # nothing that renders is installed
    try:
        backend = choose_backend() or "MuJoCo's default (a window system)"
        rate = frames_per_second()
    except DenseGymError as error:
        return [Finding("rendering", str(error), False, INSTALL)]
    drawn = Finding("rendering", f"{backend}, {rate:.0f} frames/s at 240 x 240")
    if importlib.util.find_spec("imageio_ffmpeg") is not None or shutil.which("ffmpeg"):
        return [drawn, Finding("films", "H.264")]
    return [drawn, Finding("films", "no encoder", True, extra_line("vision"))]


def _wording() -> Finding:
    """Say which judges ask in our words unless they are given the text they were trained on."""
    names = [entry.name for entry in reward_entries() if entry.remark is not None]
    found = (
        f"{', '.join(names)} were trained on one text each, which DenseGym may not ship: they ask "
        "in other words, labels say paraphrase, and figures are not the published models'"
    )
    return Finding("prompts", found, True, 'a reward with "release": FOLDER; see docs/judges.md')


def frames_per_second(frames: int = 30) -> float:
    """Return how many pictures per second MuJoCo renders here.

    Raises:
        DenseGymError: no picture could be rendered; holds the reason.
    """
    import gymnasium as gym

    try:
        env = gym.make("HalfCheetah-v5", render_mode="rgb_array", width=240, height=240)
        env.reset(seed=0)
        env.render()
        started = time.perf_counter()
        for _ in range(frames):
            env.render()
        rate = frames / (time.perf_counter() - started)
        env.close()
    except Exception as error:  # back-ends fail in their own ways; each is the same finding here
        raise DenseGymError(f"no picture could be rendered: {error!r}") from error
    return rate


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
