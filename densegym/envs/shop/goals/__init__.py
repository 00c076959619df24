"""What the shopper is asked to buy, and what a purchase is worth.

Imports ``shop.store``.
"""
