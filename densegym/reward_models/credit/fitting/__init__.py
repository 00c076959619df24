"""What credits that are learned from whole returns share: inputs, networks, stores, trust.

Imports the shared modules of ``credit``.
"""
