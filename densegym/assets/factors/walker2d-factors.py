# /// densegym-reward
# name = "walker2d-factors"
# version = 1
# task = "DenseGym/Walker2dForward-v0"
# author = "language model, from the task card's feature table"
# date = 2026-11-25
# summary = "speed, effort, height, lean of a walker"
# notes = "what a decoder may weigh; nothing here says what is good"
# ///
import numpy as np


def factors(velocity_x, prev_velocity_x, velocity_z, torso_height, torso_pitch, action):
    return {
        "speed": velocity_x,
        "speed_before": prev_velocity_x,
        "rise": velocity_z,
        "effort": np.square(action).sum(axis=1),
        "height": torso_height,
        "lean": np.abs(torso_pitch),
    }
