"""The methods that redistribute a return, one file each.

Imports ``credit.fitting``.
"""
