# /// densegym-reward
# name = "ant-factors"
# version = 1
# task = "DenseGym/AntForward-v0"
# author = "language model, from the task card's feature table"
# date = 2026-11-25
# summary = "speed along the way and across it, effort, height, tilt of an ant"
# notes = "what a decoder may weigh; nothing here says what is good"
# ///
import numpy as np


def factors(torso_velocity, prev_torso_velocity, torso_height, torso_quaternion, action):
    return {
        "speed": torso_velocity[:, 0],
        "speed_before": prev_torso_velocity[:, 0],
        "drift": np.abs(torso_velocity[:, 1]),
        "effort": np.square(action).sum(axis=1),
        "height": torso_height,
        "tilt": 1.0 - 2.0 * (np.square(torso_quaternion[:, 1]) + np.square(torso_quaternion[:, 2])),
    }
