# /// densegym-reward
# name = "fetch-slide"
# version = 1
# task = "DenseGym/FetchSlide-v0"
# author = "language model"
# date = 2026-11-29
# summary = "pays reach behind the puck, its way to the goal and staying there"
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(
    gripper_position,
    prev_gripper_position,
    object_position,
    prev_object_position,
    achieved_goal,
    prev_achieved_goal,
    desired_goal,
):
    gap = np.linalg.norm(achieved_goal - desired_goal, axis=1)
    prev_gap = np.linalg.norm(prev_achieved_goal - desired_goal, axis=1)
    # The gripper goes behind the puck, seen from the goal.
    behind = 0.06
    away = (object_position - desired_goal) / np.maximum(gap, 1e-6)[:, None]
    prev_away = (prev_object_position - desired_goal) / np.maximum(prev_gap, 1e-6)[:, None]
    reach = 5.0 * (
        np.linalg.norm(prev_gripper_position - prev_object_position - behind * prev_away, axis=1)
        - np.linalg.norm(gripper_position - object_position - behind * away, axis=1)
    )
    # One hit has to be enough: the puck's own way counts, also when nobody touches it any more.
    push = 30.0 * (prev_gap - gap)
    # The episode goes on after success.
    stay_temperature = 0.05
    stay = 0.5 * np.exp(-np.square(gap / stay_temperature))
    return reach + push + stay, {"reach": reach, "push": push, "stay": stay}


# declared: {"name": "reach", "intent": "behind the puck", "sign": "\u00b1", "expected_range": [-0.3, 0.3]}
# declared: {"name": "push", "intent": "puck to the goal", "sign": "\u00b1", "expected_range": [-3, 3]}
# declared: {"name": "stay", "intent": "being there", "sign": "+", "expected_range": [0, 0.5]}
