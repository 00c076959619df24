# /// densegym-reward
# name = "adroit-hand-door"
# version = 1
# task = "DenseGym/AdroitHandDoor-v0"
# author = "language model"
# date = 2026-11-29
# summary = "pays reach, latch, door"
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(
    palm_from_handle,
    prev_palm_from_handle,
    latch_angle,
    prev_latch_angle,
    door_angle,
    prev_door_angle,
    hand_joints,
    prev_hand_joints,
):
    # Palm to the handle, then the latch, then the door: each worth more than what comes before.
    reach = 10.0 * (
        np.linalg.norm(prev_palm_from_handle, axis=1) - np.linalg.norm(palm_from_handle, axis=1)
    )
    at_temperature = 0.1
    at_handle = np.exp(-np.square(np.linalg.norm(palm_from_handle, axis=1) / at_temperature))
    turn = 10.0 * at_handle * (latch_angle - prev_latch_angle)
    swing = 40.0 * (door_angle - prev_door_angle)
    smooth = -0.01 * np.sum(np.square(hand_joints - prev_hand_joints), axis=1)
    terms = {"reach": reach, "turn": turn, "swing": swing, "smooth": smooth}
    return reach + turn + swing + smooth, terms


# declared: {"name": "reach", "intent": "palm to the handle", "sign": "\u00b1", "expected_range": [-0.5, 0.5]}
# declared: {"name": "turn", "intent": "latch turned", "sign": "\u00b1", "expected_range": [-2, 2]}
# declared: {"name": "swing", "intent": "door opened", "sign": "\u00b1", "expected_range": [-3, 3]}
# declared: {"name": "smooth", "intent": "no jerks", "sign": "-", "expected_range": [-0.1, 0]}
