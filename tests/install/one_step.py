"""Run inside a fresh environment: one step of one world of each family, told as JSON.

``python one_step.py robot agents`` names the extras that are installed.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import gymnasium as gym

import densegym
from densegym.envs import tasks
from densegym.errors import MissingExtraError


def step(env_id):
    """Return "worked", or the extra that the error names."""
    try:
        env = gym.make(env_id, reward="env")
    except MissingExtraError as error:
        return re.search(r"Type: pip install 'densegym\[([\w-]+)\]'$", str(error)).group(1)
    env.reset(seed=0)
    env.action_space.seed(0)
    env.step(env.action_space.sample())
    env.close()
    return "worked"


def train(folder):
    """Train a few steps by the command line, as a user does."""
    command = [str(Path(sys.executable).with_name("densegym")), "train", "CartPole-v1"]
    steps = ["--steps", "64", "--set", "n_steps=32", "--set", "n_envs=2", "--set", "batch_size=32"]
    done = subprocess.run(
        [*command, *steps, "--out", folder], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr if done.returncode else "worked"


def main(extras):
    """Tell what each family did, or the extra that it wants."""
    first = {}
    for world in tasks.worlds():
        first.setdefault(world.card.family, world.card.id)
    told = {family: step(env_id) for family, env_id in first.items()}
    told["train"] = train("run") if "agents" in extras else "agents"
    densegym.evaluate(lambda obs, fresh: [0] * len(obs), "CartPole-v1", episodes=1)
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1:])
