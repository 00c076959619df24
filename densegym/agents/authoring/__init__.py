"""Searches for reward programs put together and carried out: jobs, folders, pages, comparison.

Imports everything in ``agents`` but ``studies`` and ``shop``. The search itself lives in
``reward_models.authored.search`` and knows no trainer.
"""
