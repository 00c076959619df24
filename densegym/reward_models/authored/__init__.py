"""Reward programs: batched NumPy functions over a task card's features."""
