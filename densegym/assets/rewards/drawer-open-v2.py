# /// densegym-reward
# name = "drawer-open"
# version = 2
# task = "DenseGym/DrawerOpen-v0"
# author = "eureka search by language model by mailbox"
# date = 2026-11-21
# summary = "pays align, lower, pull; the best of a search over reward programs"
# stops_at_success = true
# notes = "candidate 01-00; F on fresh seeds after 122880 steps: [0.9, 0.05, 0.85]; while selecting: 1.0"
# ///
import numpy as np


def compute_reward(
    hand_position, prev_hand_position, object_position, prev_object_position, goal_position
):
    aligned_temperature = 0.05
    plane = np.sqrt(
        np.square(hand_position[:, 0] - object_position[:, 0])
        + np.square(hand_position[:, 1] - object_position[:, 1])
    )
    prev_plane = np.sqrt(
        np.square(prev_hand_position[:, 0] - prev_object_position[:, 0])
        + np.square(prev_hand_position[:, 1] - prev_object_position[:, 1])
    )
    align = 10.0 * (prev_plane - plane)
    aligned = np.exp(-np.square(plane / aligned_temperature))
    lower = (
        10.0
        * aligned
        * (
            np.abs(prev_hand_position[:, 2] - prev_object_position[:, 2])
            - np.abs(hand_position[:, 2] - object_position[:, 2])
        )
    )
    pull = 100.0 * (prev_object_position[:, 1] - object_position[:, 1])
    return align + lower + pull, {"align": align, "lower": lower, "pull": pull}


# declared: {"name": "align", "intent": "over the handle", "sign": "\u00b1", "expected_range": [-0.2, 0.2]}
# declared: {"name": "lower", "intent": "down into the handle once aligned", "sign": "\u00b1", "expected_range": [-0.2, 0.2]}
# declared: {"name": "pull", "intent": "drawer opened", "sign": "\u00b1", "expected_range": [-0.6, 1.5]}
