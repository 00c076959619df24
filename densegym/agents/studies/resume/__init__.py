"""Whether runs that were stopped or killed equal those that never were.

Imports ``agents.training`` and the study's interface.
"""
