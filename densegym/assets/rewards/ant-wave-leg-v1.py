# /// densegym-reward
# name = "ant-wave-leg"
# version = 1
# task = "DenseGym/AntWaveLeg-v0"
# author = "a language model, from the task card"
# date = 2026-11-20
# summary = "pays lifting the first leg, swinging it, and keeping the other three down"
# stops_at_success = false
# notes = "Positive at every step, so training episodes go on after success."
# ///
import numpy as np


def compute_reward(foot_height, foot_contact, joint_velocities, torso_quaternion, action):
    lift = np.clip(foot_height[:, 0] / 0.25, 0.0, 1.0)
    swing = 0.5 * lift * np.clip(np.abs(joint_velocities[:, 0]) / 4.0, 0.0, 1.0)
    stand = foot_contact[:, 1:].mean(axis=1)
    up = 1.0 - 2.0 * (np.square(torso_quaternion[:, 1]) + np.square(torso_quaternion[:, 2]))
    level = 0.3 * np.clip(up, 0.0, 1.0)
    effort = -0.05 * np.square(action[:, 2:]).sum(axis=1)
    return lift + swing + stand + level + effort, {
        "lift": lift,
        "swing": swing,
        "stand": stand,
        "level": level,
        "effort": effort,
    }
