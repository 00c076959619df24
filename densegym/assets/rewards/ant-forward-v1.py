# /// densegym-reward
# name = "ant-forward"
# version = 1
# task = "DenseGym/AntForward-v0"
# author = "a language model, from the task card"
# date = 2026-11-20
# summary = "pays forward speed up to 3 m/s, a level torso, and little effort"
# stops_at_success = false
# notes = "Positive at every step, so training episodes go on after success."
# ///
import numpy as np


def compute_reward(torso_velocity, torso_quaternion, torso_height, action):
    forward = np.clip(torso_velocity[:, 0], -1.0, 3.0)
    sideways = -0.2 * np.abs(torso_velocity[:, 1])
    up = 1.0 - 2.0 * (np.square(torso_quaternion[:, 1]) + np.square(torso_quaternion[:, 2]))
    level = 0.5 * up * (torso_height > 0.3)
    effort = -0.1 * np.square(action).sum(axis=1)
    return forward + sideways + level + effort, {
        "forward": forward,
        "sideways": sideways,
        "level": level,
        "effort": effort,
    }
