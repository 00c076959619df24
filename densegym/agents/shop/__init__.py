"""Agents for the shop: rules, a linear scorer, ChoicePPO, DRRN, imitation, language models."""
