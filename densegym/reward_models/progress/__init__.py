"""Rewards that see progress: judges of pairs of pictures, and the potential they add up to."""
