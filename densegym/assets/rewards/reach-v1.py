# /// densegym-reward
# name = "reach"
# version = 1
# task = "DenseGym/Reach-v0"
# author = "language model"
# date = 2026-11-29
# summary = "pays the hand's way to the goal"
# stops_at_success = true
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(hand_position, prev_hand_position, goal_position):
    # Only the hand has to move.
    gap = np.linalg.norm(hand_position - goal_position, axis=1)
    prev_gap = np.linalg.norm(prev_hand_position - goal_position, axis=1)
    reach = 20.0 * (prev_gap - gap)
    # The last centimetres count once more.
    close_temperature = 0.05
    close = 5.0 * (
        np.exp(-np.square(gap / close_temperature))
        - np.exp(-np.square(prev_gap / close_temperature))
    )
    return reach + close, {"reach": reach, "close": close}


# declared: {"name": "reach", "intent": "hand to the goal", "sign": "\u00b1", "expected_range": [-0.4, 0.4]}
# declared: {"name": "close", "intent": "the last centimetres", "sign": "\u00b1", "expected_range": [-1.0, 1.0]}
