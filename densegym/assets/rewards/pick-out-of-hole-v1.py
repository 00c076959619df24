# /// densegym-reward
# name = "pick-out-of-hole"
# version = 1
# task = "DenseGym/PickOutOfHole-v0"
# author = "language model"
# date = 2026-11-29
# summary = "pays reach, grip, lift and the puck's way to the goal"
# stops_at_success = true
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(
    hand_position,
    prev_hand_position,
    object_position,
    prev_object_position,
    goal_position,
    action,
):
    # Reach the object, with open fingers until the hand is there.
    near = np.linalg.norm(hand_position - object_position, axis=1)
    prev_near = np.linalg.norm(prev_hand_position - prev_object_position, axis=1)
    reach = 10.0 * (prev_near - near)
    grip_temperature = 0.06
    at_object = np.exp(-np.square(near / grip_temperature))
    effort = np.clip(action[:, 3], -1.0, 1.0)
    grip = 0.05 * (at_object * effort - (1.0 - at_object) * np.maximum(effort, 0.0))
    # What is held leaves the table; lifting counts only while the hand is at it and only up to the height that is needed.
    enough = 0.2
    lift = (
        30.0
        * at_object
        * (
            np.minimum(object_position[:, 2], enough)
            - np.minimum(prev_object_position[:, 2], enough)
        )
    )
    # The way of the object to where it should be is worth more than all of this.
    carry = 100.0 * (
        np.linalg.norm(prev_object_position - goal_position, axis=1)
        - np.linalg.norm(object_position - goal_position, axis=1)
    )
    terms = {"reach": reach, "grip": grip, "lift": lift, "carry": carry}
    return reach + grip + lift + carry, terms


# declared: {"name": "reach", "intent": "hand to the object", "sign": "\u00b1", "expected_range": [-0.2, 0.2]}
# declared: {"name": "grip", "intent": "close the fingers around it", "sign": "\u00b1", "expected_range": [-0.2, 0.2]}
# declared: {"name": "lift", "intent": "off the table", "sign": "\u00b1", "expected_range": [-0.5, 0.5]}
# declared: {"name": "carry", "intent": "object towards its goal", "sign": "\u00b1", "expected_range": [-1.5, 1.5]}
