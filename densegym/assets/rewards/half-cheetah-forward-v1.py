# /// densegym-reward
# name = "half-cheetah-forward"
# version = 1
# task = "DenseGym/HalfCheetahForward-v0"
# author = "a language model, from the task card"
# date = 2026-11-20
# summary = "pays forward speed, staying on the feet, and little effort"
# stops_at_success = false
# notes = "Positive at every step, so training episodes go on after success."
# ///
import numpy as np


def compute_reward(velocity_x, torso_pitch, action):
    forward = velocity_x
    upright = -0.5 * np.square(np.clip(torso_pitch, -2.0, 2.0))
    effort = -0.1 * np.square(action).sum(axis=1)
    return forward + upright + effort, {"forward": forward, "upright": upright, "effort": effort}
