"""Rewards that spread the return of an episode over the steps that earned it.

``fitting`` holds what fitted credits share, ``redistribution`` the methods, ``pipelines`` what
gates, refines and orders them; the last two do not know one another.
"""
