"""Captions of games: the annotation service under failures, captions of random play."""
