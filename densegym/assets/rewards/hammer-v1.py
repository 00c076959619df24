# /// densegym-reward
# name = "hammer"
# version = 1
# task = "DenseGym/Hammer-v0"
# author = "language model"
# date = 2026-11-29
# summary = "pays reach, grip, hammer to nail, nail into the wall"
# stops_at_success = true
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(
    hand_position,
    prev_hand_position,
    object_position,
    prev_object_position,
    second_object_position,
    prev_second_object_position,
    goal_position,
    action,
):
    # Take hold of the tool.
    near = np.linalg.norm(hand_position - object_position, axis=1)
    prev_near = np.linalg.norm(prev_hand_position - prev_object_position, axis=1)
    reach = 10.0 * (prev_near - near)
    grip_temperature = 0.06
    at_tool = np.exp(-np.square(near / grip_temperature))
    effort = np.clip(action[:, 3], -1.0, 1.0)
    grip = 0.05 * (at_tool * effort - (1.0 - at_tool) * np.maximum(effort, 0.0))
    # Bring the hammer to the nail; only what is held counts.
    bring = (
        20.0
        * at_tool
        * (
            np.linalg.norm(prev_object_position - prev_second_object_position, axis=1)
            - np.linalg.norm(object_position - second_object_position, axis=1)
        )
    )
    # What the tool is for.
    work = 100.0 * (
        np.linalg.norm(prev_second_object_position - goal_position, axis=1)
        - np.linalg.norm(second_object_position - goal_position, axis=1)
    )
    terms = {"reach": reach, "grip": grip, "bring": bring, "work": work}
    return reach + grip + bring + work, terms


# declared: {"name": "reach", "intent": "hand to the tool", "sign": "\u00b1", "expected_range": [-0.2, 0.2]}
# declared: {"name": "grip", "intent": "close the fingers around it", "sign": "\u00b1", "expected_range": [-0.2, 0.2]}
# declared: {"name": "bring", "intent": "tool to what it works on", "sign": "\u00b1", "expected_range": [-0.4, 0.4]}
# declared: {"name": "work", "intent": "what it works on towards its goal", "sign": "\u00b1", "expected_range": [-1.5, 1.5]}
