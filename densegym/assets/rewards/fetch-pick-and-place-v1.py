# /// densegym-reward
# name = "fetch-pick-and-place"
# version = 1
# task = "DenseGym/FetchPickAndPlace-v0"
# author = "language model"
# date = 2026-11-29
# summary = "pays reach, grip, the block's way to the goal and staying there"
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(
    object_from_gripper,
    prev_object_from_gripper,
    achieved_goal,
    prev_achieved_goal,
    desired_goal,
    action,
):
    # Reach the block with open fingers, close them there.
    near = np.linalg.norm(object_from_gripper, axis=1)
    prev_near = np.linalg.norm(prev_object_from_gripper, axis=1)
    reach = 5.0 * (prev_near - near)
    grip_temperature = 0.04
    at_block = np.exp(-np.square(near / grip_temperature))
    effort = np.clip(action[:, 3], -1.0, 1.0)
    grip = 0.05 * ((1.0 - at_block) * effort - at_block * effort)
    # Carry it to the goal.
    gap = np.linalg.norm(achieved_goal - desired_goal, axis=1)
    prev_gap = np.linalg.norm(prev_achieved_goal - desired_goal, axis=1)
    carry = 50.0 * (prev_gap - gap)
    stay_temperature = 0.05
    stay = 0.2 * np.exp(-np.square(gap / stay_temperature))
    terms = {"reach": reach, "grip": grip, "carry": carry, "stay": stay}
    return reach + grip + carry + stay, terms


# declared: {"name": "reach", "intent": "gripper to the block", "sign": "\u00b1", "expected_range": [-0.3, 0.3]}
# declared: {"name": "grip", "intent": "open on the way, closed at the block", "sign": "\u00b1", "expected_range": [-0.05, 0.05]}
# declared: {"name": "carry", "intent": "block to the goal", "sign": "\u00b1", "expected_range": [-1.5, 1.5]}
# declared: {"name": "stay", "intent": "being there", "sign": "+", "expected_range": [0, 0.2]}
