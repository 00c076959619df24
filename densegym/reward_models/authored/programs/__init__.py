"""What a reward program is: its header, how it is loaded, run, printed and shipped.

Imports ``reward_models.sandbox`` and the shared modules of ``reward_models``.
"""
