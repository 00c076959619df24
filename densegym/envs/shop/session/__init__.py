"""One shopping session: the state machine, its pages and their addresses.

Imports ``shop.goals``, ``shop.sources`` and ``shop.store``.
"""
