"""Worlds, their task cards and registration, and the four skins that put a reward on a world."""
