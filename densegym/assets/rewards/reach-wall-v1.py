# /// densegym-reward
# name = "reach-wall"
# version = 1
# task = "DenseGym/ReachWall-v0"
# author = "language model"
# date = 2026-11-29
# summary = "pays the hand's way to the goal"
# stops_at_success = true
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(hand_position, prev_hand_position, goal_position):
    # Only the hand has to move, and round a wall: height is paid a little, because over it is a way round.
    gap = np.linalg.norm(hand_position - goal_position, axis=1)
    prev_gap = np.linalg.norm(prev_hand_position - goal_position, axis=1)
    reach = 20.0 * (prev_gap - gap)
    blocked_temperature = 0.15
    over = (
        5.0
        * np.tanh(gap / blocked_temperature)
        * (np.minimum(hand_position[:, 2], 0.25) - np.minimum(prev_hand_position[:, 2], 0.25))
    )
    return reach + over, {"reach": reach, "over": over}


# declared: {"name": "reach", "intent": "hand to the goal", "sign": "\u00b1", "expected_range": [-0.4, 0.4]}
# declared: {"name": "over", "intent": "over the wall", "sign": "\u00b1", "expected_range": [-1.0, 1.0]}
