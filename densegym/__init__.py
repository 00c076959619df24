"""DenseGym: learned dense rewards for reinforcement-learning environments.

Importing it registers every ``DenseGym/`` id with Gymnasium; no simulator and no torch is loaded.
"""

from densegym.agents.outcome import evaluate
from densegym.agents.training.algorithms import register_algorithm
from densegym.envs.custom.register import register_task
from densegym.envs.parallel import make_aec, make_parallel, wrap_parallel
from densegym.envs.registration import make, make_vec, register_all, register_world
from densegym.envs.robot.upstream.task_sets import make_task_set
from densegym.envs.world import Capabilities, World
from densegym.envs.wrapping import wrap, wrap_sb3, wrap_vec
from densegym.reward_models.model import Potential, RewardModel, reward
from densegym.reward_models.registry import register_reward
from densegym.reward_models.traits import Traits
from densegym.reward_models.types import Feature, Places, TaskCard

__version__ = "0.1.0"
__all__ = [
    "Capabilities",
    "Feature",
    "Places",
    "Potential",
    "RewardModel",
    "TaskCard",
    "Traits",
    "World",
    "__version__",
    "evaluate",
    "make",
    "make_aec",
    "make_parallel",
    "make_task_set",
    "make_vec",
    "register_algorithm",
    "register_reward",
    "register_task",
    "register_world",
    "reward",
    "wrap",
    "wrap_parallel",
    "wrap_sb3",
    "wrap_vec",
]

register_all()
