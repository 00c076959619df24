# /// densegym-reward
# name = "swimmer-factors"
# version = 1
# task = "Swimmer-v5"
# author = "language model, from the task card's feature table"
# date = 2026-11-25
# summary = "speed of the front along and across, turning, effort of a swimmer"
# notes = "what a decoder may weigh; nothing here says what is good"
# ///
import numpy as np


def factors(
    tip_velocity,
    prev_tip_velocity,
    tip_angle,
    prev_tip_angle,
    joint_angles,
    prev_joint_angles,
    tip_rate,
    joint_rates,
    action,
):
    # The middle of three equal links lies behind the tip by where the links point.
    second = tip_angle + joint_angles[:, 0]
    third = second + joint_angles[:, 1]
    second_rate = tip_rate + joint_rates[:, 0]
    third_rate = second_rate + joint_rates[:, 1]
    return {
        "speed": tip_velocity[:, 0],
        "speed_before": prev_tip_velocity[:, 0],
        "swing_first": np.sin(tip_angle) * tip_rate,
        "swing_second": np.sin(second) * second_rate,
        "swing_third": np.sin(third) * third_rate,
        "turn_first": np.cos(tip_angle) - np.cos(prev_tip_angle),
        "turn_second": np.cos(second) - np.cos(prev_tip_angle + prev_joint_angles[:, 0]),
        "turn_third": np.cos(third)
        - np.cos(prev_tip_angle + prev_joint_angles[:, 0] + prev_joint_angles[:, 1]),
        "effort": np.square(action).sum(axis=1),
    }
