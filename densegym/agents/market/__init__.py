"""Agents of markets: learners that do not share a policy, tables of baselines, pictures."""
