"""Where products come from: the original's files, or the synthetic catalogue that ships.

Imports ``shop.store``.
"""
