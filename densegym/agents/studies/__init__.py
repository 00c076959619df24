"""One measurement a file: what rewards cost, how faithful credits are, what is exploited.

``study`` says what a study is, ``catalogue`` lists those that ship, ``registry`` finds them by
name.
Imports everything in ``agents`` but ``authoring`` and ``shop``.
"""
