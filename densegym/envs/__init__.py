"""Worlds, their task cards and registration, and the four wrappers that put a reward on a world."""
