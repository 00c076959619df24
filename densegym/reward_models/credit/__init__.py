"""Rewards that spread the return of an episode over the steps that earned it."""
