"""DenseGym: learned dense rewards for reinforcement-learning environments.

Importing it registers every ``DenseGym/`` id with Gymnasium; no simulator and no torch is loaded.
"""

from densegym.envs.registration import make, make_vec, register_all
from densegym.reward_models.base import BaseRewardModel, reward
from densegym.reward_models.registry import register_reward

__version__ = "0.1.0"
__all__ = ["BaseRewardModel", "__version__", "make", "make_vec", "register_reward", "reward"]

register_all()
