"""Rewards for novelty and for what the world says of a step.

``annotation`` labels captions; ``captions`` pays for them and may import it; ``novelty`` pays
for what is new and imports neither.
"""
