# /// densegym-reward
# name = "adroit-hand-pen"
# version = 1
# task = "DenseGym/AdroitHandPen-v0"
# author = "language model"
# date = 2026-11-29
# summary = "pays the pen's turn towards the target and staying near it"
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(
    pen_direction,
    prev_pen_direction,
    desired_direction,
    prev_desired_direction,
    pen_from_target,
    prev_pen_from_target,
):
    # Towards the wanted direction, without letting the pen fall.
    cosine = np.sum(pen_direction * desired_direction, axis=1)
    prev_cosine = np.sum(prev_pen_direction * prev_desired_direction, axis=1)
    turn = 10.0 * (cosine - prev_cosine)
    gap = np.linalg.norm(pen_from_target, axis=1)
    hold = 20.0 * (np.linalg.norm(prev_pen_from_target, axis=1) - gap)
    return turn + hold, {"turn": turn, "hold": hold}


# declared: {"name": "turn", "intent": "pen towards the wanted direction", "sign": "\u00b1", "expected_range": [-3, 3]}
# declared: {"name": "hold", "intent": "pen stays where it should be", "sign": "\u00b1", "expected_range": [-1, 1]}
