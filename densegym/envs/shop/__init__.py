"""A web shop to act in: catalogue, search, goals and scoring."""
