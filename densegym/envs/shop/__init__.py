"""A web shop to act in: catalogue, search, goals and scoring.

From the ground up: ``store``, ``sources`` and ``goals``, ``session``, ``environments``; beside
them stand the shop's tools for people.
"""
