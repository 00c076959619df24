import sys
from pathlib import Path

import pytest

from densegym.agents.training.callbacks import UserCallback, load_callback, load_callbacks
from densegym.agents.training.config import resolve
from densegym.agents.training.results import load_run
from densegym.agents.training.run import train
from densegym.errors import DenseGymError
from tests.small import SMALL

SOURCE = """
from stable_baselines3.common.callbacks import BaseCallback

CALLS = []

class Noting(BaseCallback):
    def _on_training_start(self): CALLS.append("start")
    def _on_rollout_start(self): CALLS.append("rollout")
    def _on_step(self):
        CALLS.append(self.num_timesteps)
        return True
    def _on_rollout_end(self): CALLS.append(sorted(self.locals)[:0])
    def _on_training_end(self): CALLS.append("end")

class Stopping(BaseCallback):
    def _on_step(self): return self.num_timesteps < 100

class Raising(BaseCallback):
    def _on_step(self):
        raise ValueError("on purpose")

class Unmakeable(BaseCallback):
    def __init__(self): raise RuntimeError("not today")
    def _on_step(self): return True

class Other: ...
def made(): return Noting()
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_callbacks.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own_callbacks", raising=False)


def carry_out(tmp_path: Path, name: str) -> Path:
    config = resolve("DenseGym/HarmlessStep-v0", steps=256, overrides=[*SMALL, "episode_steps=10"])
    return train(config, tmp_path / "run", callbacks=load_callbacks([f"own_callbacks:{name}"]))


def test_every_hook_of_a_callback_is_called(tmp_path: Path) -> None:
    carry_out(tmp_path, "Noting")
    calls = sys.modules["own_callbacks"].CALLS
    assert calls[0] == "start"
    assert calls[-1] == "end"
    assert calls.count("rollout") == 2
    assert [call for call in calls if isinstance(call, int)] == list(range(2, 257, 2))
    assert [] in calls


def test_a_function_that_makes_one_will_do() -> None:
    made = load_callback("own_callbacks:made")
    assert isinstance(made, UserCallback)
    assert made.target == "own_callbacks:made"


def test_a_callback_may_end_training_early(tmp_path: Path) -> None:
    assert load_run(carry_out(tmp_path, "Stopping")).meta["steps"] == 100


def test_one_that_raises_is_named_with_its_line_and_leaves_a_run_to_resume(tmp_path: Path) -> None:
    with pytest.raises(DenseGymError, match=r"own_callbacks:Raising raised .*on purpose.*line 20"):
        carry_out(tmp_path, "Raising")
    assert (tmp_path / "run.partial").is_dir()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("own_callbacks:Unmakeable", "could not be loaded: RuntimeError: not today"),
        ("own_callbacks:Other", "is a Other; expected a subclass of"),
        ("own_callbacks:Notin", 'has no Notin. Did you mean "Noting"'),
        ("no_such_module:X", "no module no_such_module"),
        ("own_callbacks", "module:Class"),
        (":X", "module:Class"),
        ("own_callbacks:", "module:Class"),
    ],
)
def test_what_is_no_callback_is_refused_in_one_sentence(target: str, said: str) -> None:
    with pytest.raises(DenseGymError, match=said) as caught:
        load_callback(target)
    assert "\n" not in str(caught.value)
