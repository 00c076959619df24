"""One measurement a file: what rewards cost, how faithful credits are, what is exploited.

Imports everything in ``agents`` but ``authoring`` and ``shop``.
"""
