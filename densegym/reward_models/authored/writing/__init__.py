"""What language models are told, and what is made of their replies.

Imports ``authored.search`` and what lies below it.
"""
