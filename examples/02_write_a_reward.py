"""Three ways to write a reward: a function, a potential, a registered name. All are checked.

Run: python examples/02_write_a_reward.py
"""

import gymnasium as gym
import numpy as np

import densegym
from densegym.envs.tasks import task_card
from densegym.reward_models.batch import all_true
from densegym.reward_models.checks import check_reward_model
from densegym.reward_models.model import Potential
from densegym.reward_models.shaping import Shaped
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Starts, Values

ENV = "DenseGym/HopperForward-v0"
print("features:", ", ".join(feature.name for feature in task_card(ENV).features))


# 1. A function from a batch of steps to named terms, which are summed.
@densegym.reward("mine/hop-v1", terms=["speed", "height"])
def hop(steps):
    return {"speed": steps.next_obs[:, 5], "height": 0.5 * steps.next_obs[:, 0]}


# 2. A potential: paid as gamma * phi(s') - phi(s), which leaves the best policies as they were.
class TorsoHeight(Potential):
    name = "mine/torso-height-v1"
    traits = Traits()

    def value(self, event):
        states = event.obs if isinstance(event, Starts) else event.next_obs
        return Values(states[:, 0], all_true(len(event.slot)))


# 3. A name, which works wherever a reward is typed, options included.
def build(*, weight: float = 1.0):
    return Shaped(TorsoHeight(), gamma=0.99) if weight == 1.0 else hop


densegym.register_reward("mine/shaped-height-v1", build, summary="an example")

env = gym.make(ENV)
check_reward_model(lambda: hop, env.observation_space, env.action_space)
check_reward_model(lambda: Shaped(TorsoHeight()), env.observation_space, env.action_space)
print("both keep the contract")

for spec in (hop, TorsoHeight(), "mine/shaped-height", {"model": "mine/shaped-height", "scale": 5}):
    env = gym.make(ENV, reward=spec)
    env.reset(seed=0)
    paid = [env.step(np.zeros(3, np.float32))[1] for _ in range(5)]
    print(f"{getattr(spec, 'name', spec)!s:55} {np.round(paid, 3)}")
