# /// densegym-reward
# name = "drawer-open"
# version = 1
# task = "DenseGym/DrawerOpen-v0"
# author = "a language model, from the task card; the form was chosen by trial training runs"
# date = 2026-11-20
# summary = "pays metres gained towards the handle, then of the drawer towards open"
# stops_at_success = true
# notes = "Every term is a difference between two steps, so going back and forth earns nothing."
# ///
import numpy as np


def compute_reward(
    hand_position, prev_hand_position, object_position, prev_object_position, goal_position
):
    reach = 10.0 * (
        np.linalg.norm(prev_hand_position - prev_object_position, axis=1)
        - np.linalg.norm(hand_position - object_position, axis=1)
    )
    pull = 50.0 * (
        np.linalg.norm(prev_object_position - goal_position, axis=1)
        - np.linalg.norm(object_position - goal_position, axis=1)
    )
    return reach + pull, {"reach": reach, "pull": pull}
