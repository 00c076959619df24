# /// densegym-reward
# name = "coffee-pull"
# version = 1
# task = "DenseGym/CoffeePull-v0"
# author = "language model"
# date = 2026-11-29
# summary = "pays reach behind the mug and its way to the target"
# stops_at_success = true
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(
    hand_position, prev_hand_position, object_position, prev_object_position, goal_position
):
    # The hand takes hold behind the mug, and what is held moves with it.
    x_off, y_off, z_off = (0.0, 0.05, 0.0)
    zero = 0.0 * object_position[:, 0]
    offset = np.stack([zero + x_off, zero + y_off, zero + z_off], axis=1)
    reach = 10.0 * (
        np.linalg.norm(prev_hand_position - prev_object_position - offset, axis=1)
        - np.linalg.norm(hand_position - object_position - offset, axis=1)
    )
    # The mug comes away from the machine.
    move = 100.0 * (
        np.linalg.norm(prev_object_position - goal_position, axis=1)
        - np.linalg.norm(object_position - goal_position, axis=1)
    )
    return reach + move, {"reach": reach, "move": move}


# declared: {"name": "reach", "intent": "to the place from which it is pulled", "sign": "\u00b1", "expected_range": [-0.2, 0.2]}
# declared: {"name": "move", "intent": "object towards its goal", "sign": "\u00b1", "expected_range": [-1.5, 1.5]}
