"""Whether a program is safe and keeps its contract: static check, worker process, many trials.

Imports ``authored.programs``.
"""
