"""Judges of pictures by published methods: VLAC, GRM, Robometer, RynnValue, GVL, perceptual.

Imports ``progress.vlm`` and the shared modules of ``progress``.
"""
