"""The shop as environments: text, choice and batched.

Imports ``shop.session`` and what lies below it.
"""
