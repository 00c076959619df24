# /// densegym-reward
# name = "ant-lie-down"
# version = 1
# task = "DenseGym/AntLieDown-v0"
# author = "a language model, from the task card"
# date = 2026-11-20
# summary = "pays a low, level and still torso"
# stops_at_success = false
# notes = "Positive at every step, so training episodes go on after success."
# ///
import numpy as np


def compute_reward(torso_height, torso_quaternion, torso_velocity, joint_velocities):
    low = np.exp(-np.square(np.maximum(torso_height - 0.28, 0.0) / 0.15))
    up = 1.0 - 2.0 * (np.square(torso_quaternion[:, 1]) + np.square(torso_quaternion[:, 2]))
    level = 0.5 * np.clip(up, 0.0, 1.0)
    speed = np.linalg.norm(torso_velocity, axis=1)
    still = 0.5 * low * np.exp(-np.square(speed / 0.2))
    calm = -0.002 * np.square(joint_velocities).sum(axis=1)
    return low + level + still + calm, {"low": low, "level": level, "still": still, "calm": calm}
