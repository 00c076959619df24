"""Authors that ask no language model: random programs, genetic programming, CMA-ES.

Imports ``authored.search`` and what lies below it; never ``writing``.
"""
