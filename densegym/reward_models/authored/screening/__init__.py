"""Whether a program ranks labelled episodes as it should, without any training.

Imports ``authored.programs`` and ``authored.verification``.
"""
