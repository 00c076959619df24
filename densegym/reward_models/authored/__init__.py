"""Reward programs: batched NumPy functions over a task card's features, written by anybody.

From the ground up: ``programs`` (what a program is and how it runs), ``verification`` (is it
safe), ``screening`` (does it rank labelled episodes), ``search`` (candidates, ledger, halving),
``writing`` (prompts and replies), and on top ``authors`` and ``controls``.
"""
