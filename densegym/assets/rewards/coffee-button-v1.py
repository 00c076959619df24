# /// densegym-reward
# name = "coffee-button"
# version = 1
# task = "DenseGym/CoffeeButton-v0"
# author = "language model"
# date = 2026-11-29
# summary = "pays align, forward, press of the machine's button"
# stops_at_success = true
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(
    hand_position, prev_hand_position, object_position, prev_object_position, goal_position
):
    # Line up with the button in x and z.
    side = np.sqrt(
        np.square(hand_position[:, 0] - object_position[:, 0])
        + np.square(hand_position[:, 2] - object_position[:, 2])
    )
    prev_side = np.sqrt(
        np.square(prev_hand_position[:, 0] - prev_object_position[:, 0])
        + np.square(prev_hand_position[:, 2] - prev_object_position[:, 2])
    )
    align = 10.0 * (prev_side - side)
    # Go forward, more so the better it is lined up.
    aligned_temperature = 0.06
    aligned = np.exp(-np.square(side / aligned_temperature))
    forward = (
        10.0
        * aligned
        * (
            np.abs(prev_hand_position[:, 1] - prev_object_position[:, 1])
            - np.abs(hand_position[:, 1] - object_position[:, 1])
        )
    )
    # The button goes in along y.
    press = 100.0 * (
        np.abs(prev_object_position[:, 1] - goal_position[:, 1])
        - np.abs(object_position[:, 1] - goal_position[:, 1])
    )
    return align + forward + press, {"align": align, "forward": forward, "press": press}


# declared: {"name": "align", "intent": "in line with the button", "sign": "\u00b1", "expected_range": [-0.2, 0.2]}
# declared: {"name": "forward", "intent": "towards the button once in line", "sign": "\u00b1", "expected_range": [-0.2, 0.2]}
# declared: {"name": "press", "intent": "button pressed", "sign": "\u00b1", "expected_range": [-1.0, 1.0]}
