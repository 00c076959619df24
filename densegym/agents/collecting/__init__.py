"""Episodes gathered for others to learn from: demonstrations, trajectory banks, recordings.

Imports ``agents.training`` and what lies below it.
"""
