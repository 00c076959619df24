# /// densegym-reward
# name = "button-press"
# version = 1
# task = "DenseGym/ButtonPress-v0"
# author = "a language model, from the task card; the form was chosen by trial training runs"
# date = 2026-11-20
# summary = "pays metres gained towards the button, then along its travel"
# stops_at_success = true
# notes = "Both terms are differences, so they telescope: going back and forth earns nothing."
# ///
import numpy as np


def compute_reward(
    hand_position, prev_hand_position, object_position, prev_object_position, goal_position
):
    reach = 10.0 * (
        np.linalg.norm(prev_hand_position - prev_object_position, axis=1)
        - np.linalg.norm(hand_position - object_position, axis=1)
    )
    press = 50.0 * (
        np.abs(prev_object_position[:, 1] - goal_position[:, 1])
        - np.abs(object_position[:, 1] - goal_position[:, 1])
    )
    return reach + press, {"reach": reach, "press": press}
