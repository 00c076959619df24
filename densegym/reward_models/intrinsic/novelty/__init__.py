"""Rewards for what is new: counts, E3B, RND, NovelD and their products.

Imports the shared modules of ``intrinsic`` only.
"""
