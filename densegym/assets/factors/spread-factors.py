# /// densegym-reward
# name = "spread-factors"
# version = 1
# task = "mpe2/simple_spread_v3"
# author = "by hand, from the task card's feature table"
# date = 2026-11-29
# summary = "distances to landmarks, the agent's own part in covering them, closeness to others"
# notes = "what a decoder may weigh; nothing here says what is good"
# ///
import numpy as np


def factors(landmarks, others, velocity):
    marks = landmarks.reshape(-1, 3, 1, 2)
    mates = others.reshape(-1, 1, 2, 2)
    own = np.sqrt(np.square(marks[:, :, 0]).sum(axis=2))
    theirs = np.sqrt(np.square(marks - mates).sum(axis=3)).min(axis=2)
    apart = np.sqrt(np.square(mates[:, 0]).sum(axis=2))
    mine = own < theirs
    return {
        "uncovered": np.minimum(own, theirs).sum(axis=1),
        "nearest": own.min(axis=1),
        "my_landmarks": (own * mine).sum(axis=1),
        "how_many_mine": 1.0 * mine.sum(axis=1),
        "crowded": 1.0 * (apart < 0.3).sum(axis=1),
        "speed": np.square(velocity).sum(axis=1),
    }
