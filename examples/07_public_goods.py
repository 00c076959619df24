"""Five rivals and a public good: what private pay ruins, a difference reward mends.

Each unit given costs its giver 1 and pays every agent 0.4. Giving nothing is the Nash equilibrium
(welfare 50 per agent and step), giving everything the optimum (100).

Run: python examples/07_public_goods.py [STEPS]        (60,000 lane steps take about 15 seconds)
"""

import sys

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

import densegym
from densegym.envs.market.lanes import make_lanes
from densegym.envs.wrappers.sb3 import DenseRewardVecEnv

ENV = "DenseGym/Market-PublicGoods-v0"
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 60_000
settings = {"learning_rate": 2e-3, "n_steps": 100, "batch_size": 400, "n_epochs": 4}
torch.set_num_threads(1)  # two are slower on small networks

for reward in ("market/private", "market/difference"):
    # Eight games of five agents: forty lanes, one policy for all of them.
    lanes = make_lanes(num_envs=8, name="PublicGoods", action="centred")
    paid = VecNormalize(DenseRewardVecEnv(lanes, reward, env_id=ENV), norm_obs=False)
    model = PPO("MlpPolicy", paid, seed=0, device="cpu", **settings)
    model.learn(steps)
    seen = densegym.evaluate(model, ENV, episodes=10, seed=100, action="centred")
    welfare = seen.measures["market/mean-welfare"].mean()
    print(f"{reward}: welfare {welfare:.1f} of 50 (Nash) to 100 (optimum)")
