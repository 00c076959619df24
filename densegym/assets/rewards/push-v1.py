# /// densegym-reward
# name = "push"
# version = 1
# task = "DenseGym/Push-v0"
# author = "language model"
# date = 2026-11-29
# summary = "pays reach behind the puck and its way to the goal"
# stops_at_success = true
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(
    hand_position, prev_hand_position, object_position, prev_object_position, goal_position
):
    # First the hand goes to the side of the object that faces away from the goal.
    behind = 0.06
    gap = np.linalg.norm(object_position - goal_position, axis=1)
    prev_gap = np.linalg.norm(prev_object_position - goal_position, axis=1)
    away = (object_position - goal_position) / np.maximum(gap, 1e-6)[:, None]
    prev_away = (prev_object_position - goal_position) / np.maximum(prev_gap, 1e-6)[:, None]
    spot = object_position + behind * away
    prev_spot = prev_object_position + behind * prev_away
    reach = 10.0 * (
        np.linalg.norm(prev_hand_position - prev_spot, axis=1)
        - np.linalg.norm(hand_position - spot, axis=1)
    )
    # Then the object has to come closer to where it should be, which is worth more than all reaching.
    move = 100.0 * (prev_gap - gap)
    return reach + move, {"reach": reach, "move": move}


# declared: {"name": "reach", "intent": "to the side from which it is moved", "sign": "\u00b1", "expected_range": [-0.2, 0.2]}
# declared: {"name": "move", "intent": "object towards its goal", "sign": "\u00b1", "expected_range": [-1.5, 1.5]}
