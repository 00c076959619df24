# /// densegym-reward
# name = "button-press-topdown"
# version = 1
# task = "DenseGym/ButtonPressTopdown-v0"
# author = "language model"
# date = 2026-11-29
# summary = "pays align, lower, press from above"
# stops_at_success = true
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(
    hand_position, prev_hand_position, object_position, prev_object_position, goal_position
):
    # Get over the button in the plane.
    plane = np.linalg.norm(hand_position[:, :2] - object_position[:, :2], axis=1)
    prev_plane = np.linalg.norm(prev_hand_position[:, :2] - prev_object_position[:, :2], axis=1)
    align = 10.0 * (prev_plane - plane)
    # Once over it, go down.
    aligned_temperature = 0.05
    aligned = np.exp(-np.square(plane / aligned_temperature))
    lower = (
        10.0
        * aligned
        * (
            np.abs(prev_hand_position[:, 2] - prev_object_position[:, 2])
            - np.abs(hand_position[:, 2] - object_position[:, 2])
        )
    )
    # The button sinks towards its pressed position.
    press = 100.0 * (
        np.abs(prev_object_position[:, 2] - goal_position[:, 2])
        - np.abs(object_position[:, 2] - goal_position[:, 2])
    )
    return align + lower + press, {"align": align, "lower": lower, "press": press}


# declared: {"name": "align", "intent": "over the button", "sign": "\u00b1", "expected_range": [-0.2, 0.2]}
# declared: {"name": "lower", "intent": "down once over it", "sign": "\u00b1", "expected_range": [-0.2, 0.2]}
# declared: {"name": "press", "intent": "button pressed", "sign": "\u00b1", "expected_range": [-1.0, 1.0]}
