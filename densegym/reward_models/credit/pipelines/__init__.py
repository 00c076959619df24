"""Rewards in hindsight, gated by outcome, refined, or ordered in channels.

Imports the shared modules of ``credit``.
"""
