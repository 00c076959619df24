# /// densegym-reward
# name = "adroit-hand-hammer"
# version = 1
# task = "DenseGym/AdroitHandHammer-v0"
# author = "language model"
# date = 2026-11-29
# summary = "pays reach, hammer to nail, nail into the board"
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(
    palm_position,
    prev_palm_position,
    hammer_position,
    prev_hammer_position,
    nail_position,
    prev_nail_position,
):
    # Take the hammer.
    near = np.linalg.norm(palm_position - hammer_position, axis=1)
    prev_near = np.linalg.norm(prev_palm_position - prev_hammer_position, axis=1)
    reach = 10.0 * (prev_near - near)
    held_temperature = 0.1
    held = np.exp(-np.square(near / held_temperature))
    # Bring it to the nail; only what is near the palm counts.
    to_nail = nail_position - hammer_position
    gap = np.linalg.norm(to_nail, axis=1)
    prev_gap = np.linalg.norm(prev_nail_position - prev_hammer_position, axis=1)
    bring = 10.0 * held * (prev_gap - gap)
    # The nail gives way along the direction of the blow.
    blow = to_nail / np.maximum(gap, 1e-6)[:, None]
    drive = 200.0 * np.sum((nail_position - prev_nail_position) * blow, axis=1)
    return reach + bring + drive, {"reach": reach, "bring": bring, "drive": drive}


# declared: {"name": "reach", "intent": "palm to the hammer", "sign": "\u00b1", "expected_range": [-0.5, 0.5]}
# declared: {"name": "bring", "intent": "hammer to the nail", "sign": "\u00b1", "expected_range": [-0.5, 0.5]}
# declared: {"name": "drive", "intent": "nail into the board", "sign": "\u00b1", "expected_range": [-4, 4]}
