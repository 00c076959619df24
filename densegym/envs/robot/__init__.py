"""Robot worlds: Meta-World, Fetch, PointMaze, Adroit and locomotion skills."""

from densegym.envs.experts import expert_policy

__all__ = ["expert_policy"]
