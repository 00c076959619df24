"""The ``densegym`` command: arguments, calls and printing."""
