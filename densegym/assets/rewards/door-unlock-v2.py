# /// densegym-reward
# name = "door-unlock"
# version = 2
# task = "DenseGym/DoorUnlock-v0"
# author = "eureka search by language model by mailbox"
# date = 2026-11-21
# summary = "pays reach, touch, turn; the best of a search over reward programs"
# stops_at_success = true
# notes = "candidate 02-01; F on fresh seeds after 122880 steps: [1.0, 1.0, 1.0]; while selecting: 1.0"
# ///
import numpy as np


def compute_reward(
    hand_position, prev_hand_position, object_position, prev_object_position, goal_position
):
    before = np.linalg.norm(prev_hand_position - prev_object_position, axis=1)
    after = np.linalg.norm(hand_position - object_position, axis=1)
    reach = 10.0 * (before - after)
    turn = 40.0 * (
        np.abs(prev_object_position[:, 0] - goal_position[:, 0])
        - np.abs(object_position[:, 0] - goal_position[:, 0])
    )
    contact_temperature = 0.04
    touch = 0.5 * (
        np.exp(-np.square(after / contact_temperature))
        - np.exp(-np.square(before / contact_temperature))
    )
    return reach + turn + touch, {"reach": reach, "turn": turn, "touch": touch}


# declared: {"name": "reach", "intent": "approach", "sign": "\u00b1", "expected_range": [-0.35, 0.15]}
# declared: {"name": "turn", "intent": "close the gap along x", "sign": "\u00b1", "expected_range": [-0.3, 1.2]}
# declared: {"name": "touch", "intent": "last centimetres", "sign": "\u00b1", "expected_range": [-0.4, 0.4]}
