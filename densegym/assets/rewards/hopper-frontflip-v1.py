# /// densegym-reward
# name = "hopper-frontflip"
# version = 1
# task = "DenseGym/HopperFrontflip-v0"
# author = "a language model, from the task card and one failed training trial"
# date = 2026-11-20
# summary = "pays turning forward while the torso is high, rising, standing tall"
# stops_at_success = false
# notes = "Positive at every step, so training episodes go on after success."
# ///
import numpy as np


def compute_reward(pitch_rate, torso_height, torso_pitch, foot_contact, action):
    # Turning counts only with the torso high, so rolling over on the floor earns nothing.
    high = np.clip((torso_height - 0.5) / 0.5, 0.0, 1.0)
    spin = 0.5 * high * np.clip(pitch_rate, -4.0, 10.0)
    rise = np.clip(torso_height - 1.0, 0.0, 0.8) * (foot_contact[:, 0] < 0.5)
    tall = high * np.clip(np.cos(torso_pitch), 0.0, 1.0)
    fallen = -1.0 * (torso_height < 0.4)
    effort = -0.001 * np.square(action).sum(axis=1)
    return spin + rise + tall + fallen + effort, {
        "spin": spin,
        "rise": rise,
        "tall": tall,
        "fallen": fallen,
        "effort": effort,
    }
