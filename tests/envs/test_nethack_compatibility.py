"""MiniHack imports under every setuptools, and leaves no stand-in behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

_IMPORT = (
    "from densegym.envs.nethack.compatibility import import_minihack\n"
    "module = import_minihack()\n"
    "assert module is import_minihack() and module.__name__ == 'minihack'\n"
)
_PLAY = (
    "from densegym.envs.nethack.layer import NetHackEnv\n"
    "env = NetHackEnv('MiniHack-KeyRoom-S5-v0')\n"
    "assert env.reset(seed=0)[0]['blstats'].any()\n"
    "env.close()\n"
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "assert 'pkg_resources' not in sys.modules"),
        ("sys.modules['pkg_resources'] = None", "assert sys.modules['pkg_resources'] is None"),
        (
            "import types; own = sys.modules['pkg_resources'] = types.ModuleType('pkg_resources')\n"
            "asked = []; own.resource_filename = lambda *a: asked.append(a) or '.'",
            "assert sys.modules['pkg_resources'] is own and asked",
        ),
    ],
    ids=["as installed", "blocked", "already imported"],
)
def test_minihack_imports_and_modules_stay_as_found(before: str, after: str) -> None:
    play = "" if "own" in before else _PLAY  # that one's paths lead nowhere
    code = (
        "import sys, warnings\n"
        "warnings.filterwarnings('error', message='.*pkg_resources')\n"
        f"{before}\n{_IMPORT}{play}{after}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_the_stand_in_the_blocked_import_fails() -> None:
    code = "import sys; sys.modules['pkg_resources'] = None; import minihack"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError" in done.stderr
    assert "pkg_resources" in done.stderr


def test_a_process_that_played_can_still_be_hung_up():
    pytest.importorskip("nle")
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # nohup makes children deaf to it
        "from densegym.envs.nethack.layer import NetHackEnv\n"
        "env = NetHackEnv('NetHackScore-v0', max_steps=5)\n"
        "for seed in range(3):\n"
        "    env.reset(seed=seed)\n"
        "    while not any(env.step(1)[2:4]): pass\n"
        "env.reset(seed=9)\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert done.returncode == -1
