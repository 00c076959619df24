import os
import subprocess
import sys

import pytest

from densegym.envs.robot import rendering

NEITHER, BOTH = {}, {"EGL": "libEGL.so.1", "OSMesa": "libOSMesa.so.8"}


@pytest.mark.parametrize(
    ("libraries", "gpu", "environment", "backend"),
    [
        (BOTH, False, {}, "osmesa"),
        (BOTH, True, {}, "egl"),
        ({"EGL": "libEGL.so.1"}, False, {}, "egl"),
        ({"OSMesa": "libOSMesa.so.8"}, True, {}, "osmesa"),
        (NEITHER, False, {"MUJOCO_GL": "glfw"}, "glfw"),
        (NEITHER, False, {"DISPLAY": ":0"}, None),
    ],
)
def test_the_backend_fits_the_machine(monkeypatch, libraries, gpu, environment, backend) -> None:
    for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM", "DISPLAY"):
        monkeypatch.setenv(name, "")  # so that what the code sets is taken back too
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rendering.ctypes.util, "find_library", libraries.get)
    monkeypatch.setattr(rendering, "_has_gpu", lambda: gpu)
    assert rendering.choose_backend() == backend
    if not environment:
        assert os.environ["MUJOCO_GL"] == backend


def test_no_library_says_what_to_install() -> None:
    code = (
        "import ctypes.util; ctypes.util.find_library = lambda name: None\n"
        "import gymnasium, densegym\n"
        "gymnasium.make('DenseGym/ButtonPress-v0', render_mode='rgb_array')"
    )
    bare = {key: value for key, value in os.environ.items() if key not in ("MUJOCO_GL", "DISPLAY")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=bare
    )
    assert done.returncode != 0
    assert "apt-get install -y libosmesa6 libegl1 libgl1" in done.stderr
