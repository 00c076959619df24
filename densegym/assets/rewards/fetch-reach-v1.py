# /// densegym-reward
# name = "fetch-reach"
# version = 1
# task = "DenseGym/FetchReach-v0"
# author = "language model"
# date = 2026-11-29
# summary = "pays the gripper's way to the goal and staying there"
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(achieved_goal, prev_achieved_goal, desired_goal):
    gap = np.linalg.norm(achieved_goal - desired_goal, axis=1)
    prev_gap = np.linalg.norm(prev_achieved_goal - desired_goal, axis=1)
    reach = 10.0 * (prev_gap - gap)
    # The episode goes on after success, so staying there is worth something.
    stay_temperature = 0.05
    stay = 0.2 * np.exp(-np.square(gap / stay_temperature))
    return reach + stay, {"reach": reach, "stay": stay}


# declared: {"name": "reach", "intent": "gripper to the goal", "sign": "\u00b1", "expected_range": [-0.5, 0.5]}
# declared: {"name": "stay", "intent": "being there", "sign": "+", "expected_range": [0, 0.2]}
