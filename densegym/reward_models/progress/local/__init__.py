"""The small model of progress that is fitted on a CPU: labels, network, fit, harvest.

Imports the shared modules of ``progress``.
"""
