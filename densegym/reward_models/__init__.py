"""Reward models judge batches of steps; they know no simulator and no trainer."""
