"""Pays learners what a reward model says of whole episodes, before they learn from them."""

from densegym.agents.relabel.attach import attach

__all__ = ["attach"]
