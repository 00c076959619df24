"""Your own task by the command line: a card is drafted, a reward checked, trained and reported.

Run: python examples/06_your_own_task.py [STEPS]
"""

import re
import subprocess
import sys
from pathlib import Path

STEPS = sys.argv[1] if len(sys.argv) > 1 else "20000"
REWARD = '''import numpy as np


def compute_reward(obs_0, obs_2):
    """Stand upright (obs_2 is the angle, rad) and near the centre (obs_0, m)."""
    upright = 1.0 - np.abs(obs_2) / 0.21
    centred = -0.1 * np.abs(obs_0)
    return upright + centred, {"upright": upright, "centred": centred}
'''


def densegym(*words: str) -> str:
    print("$ densegym", *words)
    command = [sys.executable, "-m", "densegym.cli.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


card = densegym("task", "draft", "CartPole-v1")
card = re.sub(r"(?m)^success = .*", 'success = "steps >= 400"', card)
card = re.sub(r"(?m)^goal = .*", 'goal = "Keep the pole upright."', card)
Path("card.toml").write_text(card)
Path("upright.py").write_text(REWARD)

print(densegym("task", "check", "card.toml"))
told = densegym("author", "check", "upright.py", "--task", "CartPole-v1", "--card", "card.toml")
print(told.splitlines()[-1][:200])

mine = '{"model": "authored/file", "path": "upright.py"}'
quick = [f"--set={text}" for text in ("n_steps=256", "eval_every=8192", "final_episodes=20")]
for reward in ("env", mine):
    shown = densegym(
        *("train", "CartPole-v1", "--card", "card.toml", "--reward", reward),
        *("--steps", STEPS, "--out", "results/cartpole", *quick),
    )
    print(shown.splitlines()[0])
print(densegym("report", "results/cartpole"))
