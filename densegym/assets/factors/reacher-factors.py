# /// densegym-reward
# name = "reacher-factors"
# version = 1
# task = "Reacher-v5"
# author = "language model, from the task card's feature table"
# date = 2026-11-25
# summary = "distance from the target, effort, speed of an arm"
# notes = "what a decoder may weigh; nothing here says what is good"
# ///
import numpy as np


def factors(fingertip_from_target, prev_fingertip_from_target, joint_rates, action):
    distance = np.sqrt(np.square(fingertip_from_target).sum(axis=1))
    before = np.sqrt(np.square(prev_fingertip_from_target).sum(axis=1))
    return {
        "distance": distance,
        "approach": before - distance,
        "effort": np.square(action).sum(axis=1),
        "unrest": np.square(joint_rates).sum(axis=1),
    }
