"""Rewards for what the world says: ONI's heads, Motif, CALM, ELLM, and the first-seen control.

Imports ``intrinsic.annotation`` and the shared modules of ``intrinsic``.
"""
