"""Rewards for agents of one market: payoff modes, difference rewards, potentials of trust.

Imports the shared modules of ``reward_models`` only.
"""
