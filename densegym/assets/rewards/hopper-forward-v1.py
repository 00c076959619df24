# /// densegym-reward
# name = "hopper-forward"
# version = 1
# task = "DenseGym/HopperForward-v0"
# author = "a language model, from the task card"
# date = 2026-11-20
# summary = "pays forward speed up to 2 m/s, standing tall, and little effort"
# stops_at_success = false
# notes = "Positive at every step, so training episodes go on after success."
# ///
import numpy as np


def compute_reward(velocity_x, torso_height, torso_pitch, action):
    forward = np.clip(velocity_x, -1.0, 2.0)
    tall = np.clip((torso_height - 0.7) / 0.5, 0.0, 1.0) * np.exp(-np.square(torso_pitch / 0.3))
    effort = -0.001 * np.square(action).sum(axis=1)
    return forward + tall + effort, {"forward": forward, "tall": tall, "effort": effort}
