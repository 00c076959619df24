"""Rewards that come from the world itself: its outcome, its hand-written reward, its return.

Imports the shared modules of ``reward_models`` only.
"""
