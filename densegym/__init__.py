"""DenseGym: learned dense rewards for reinforcement-learning environments.

Importing it registers every ``DenseGym/`` id with Gymnasium; no simulator and no torch is loaded.
"""

from densegym.envs.registration import make, make_vec, register_all
from densegym.reward_models.model import Potential, RewardModel, reward
from densegym.reward_models.registry import register_reward
from densegym.reward_models.traits import Traits

__version__ = "0.1.0"
__all__ = [
    "Potential",
    "RewardModel",
    "Traits",
    "__version__",
    "make",
    "make_vec",
    "register_reward",
    "reward",
]

register_all()
