# /// densegym-reward
# name = "door-close"
# version = 1
# task = "DenseGym/DoorClose-v0"
# author = "a language model, from the task card; the form was chosen by trial training runs"
# date = 2026-11-20
# summary = "pays metres gained towards the handle, then of the handle towards closed"
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
    close = 20.0 * (
        np.tanh(5.0 * np.linalg.norm(prev_object_position - goal_position, axis=1))
        - np.tanh(5.0 * np.linalg.norm(object_position - goal_position, axis=1))
    )
    return reach + close, {"reach": reach, "close": close}
