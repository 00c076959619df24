"""Rewards for novelty and for what the world says of a step."""
