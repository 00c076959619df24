"""Environments of other packages and of users: cards drafted from them, and what success is."""
