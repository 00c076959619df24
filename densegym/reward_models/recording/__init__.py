"""What is kept while it is played, for rewards that are known only later.

Imports the shared modules of ``reward_models``.
"""
