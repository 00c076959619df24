"""Where a Meta-World observation (39,) holds places: columns of the first of its two frames."""

HAND, OBJECT, GOAL = slice(0, 3), slice(4, 7), slice(36, 39)
"""(x, y, z) in metres."""
