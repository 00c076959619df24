"""What a run was made with: package versions, processor, revision of the code."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import densegym

_PACKAGES = (
    "gymnasium",
    "mujoco",
    "metaworld",
    "gymnasium-robotics",
    "nle",
    "minihack",
    "stable-baselines3",
    "sb3-contrib",
    "torch",
    "numpy",
)


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of every package that decides numbers."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def cpu_model() -> str:
    """Return the processor's model name, as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def revision() -> str | None:
    """Return the git revision of the installed code, or None outside a checkout."""
    home = Path(densegym.__file__).parent
    command = ["git", "-C", str(home), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None if done.returncode == 0 else None
