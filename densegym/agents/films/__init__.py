"""Films of episodes, with what the reward saw drawn below.

Imports ``agents.training`` and what lies below it.
"""
