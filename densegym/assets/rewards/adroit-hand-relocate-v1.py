# /// densegym-reward
# name = "adroit-hand-relocate"
# version = 1
# task = "DenseGym/AdroitHandRelocate-v0"
# author = "language model"
# date = 2026-11-29
# summary = "pays reach, lift, the ball's way to the target"
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(palm_from_ball, prev_palm_from_ball, ball_from_target, prev_ball_from_target):
    near = np.linalg.norm(palm_from_ball, axis=1)
    reach = 10.0 * (np.linalg.norm(prev_palm_from_ball, axis=1) - near)
    # A ball that is held goes up first; only what is near the palm counts.
    held_temperature = 0.08
    held = np.exp(-np.square(near / held_temperature))
    lift = 20.0 * held * (ball_from_target[:, 2] - prev_ball_from_target[:, 2])
    carry = 50.0 * (
        np.linalg.norm(prev_ball_from_target, axis=1) - np.linalg.norm(ball_from_target, axis=1)
    )
    return reach + lift + carry, {"reach": reach, "lift": lift, "carry": carry}


# declared: {"name": "reach", "intent": "palm to the ball", "sign": "\u00b1", "expected_range": [-0.5, 0.5]}
# declared: {"name": "lift", "intent": "ball off the table", "sign": "\u00b1", "expected_range": [-0.5, 0.5]}
# declared: {"name": "carry", "intent": "ball to the target", "sign": "\u00b1", "expected_range": [-2, 2]}
