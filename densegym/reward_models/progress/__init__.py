"""Rewards that see progress: judges of pairs of pictures, and the potential they add up to.

``vlm`` asks vision-language models; ``judges`` holds the methods that do; ``local`` is the small
model that is fitted on a CPU and imports neither.
"""
