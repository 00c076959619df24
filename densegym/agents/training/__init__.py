"""One training run in one folder: learn, evaluate on the world's outcome, checkpoint, resume.

Imports ``agents.extras`` and ``agents.relabel``, never what plots, films or compares runs.
"""
