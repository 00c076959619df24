# /// densegym-reward
# name = "hopper-frontflip"
# version = 1
# task = "DenseGym/HopperFrontflip-v0"
# author = "a language model, from the task card"
# date = 2026-11-20
# summary = "pays turning forward, rising, and standing tall when upright"
# stops_at_success = false
# notes = "Positive at every step, so training episodes go on after success."
# ///
import numpy as np


def compute_reward(pitch_rate, torso_height, torso_pitch, foot_contact, velocity_x, action):
    spin = 0.4 * np.clip(pitch_rate, -4.0, 8.0)
    airborne = foot_contact[:, 0] < 0.5
    rise = np.clip(torso_height - 0.9, 0.0, 0.8) * airborne
    phase = np.cos(torso_pitch)
    tall = np.where(phase > 0.5, np.clip(torso_height - 0.6, 0.0, 0.6), 0.0)
    drift = -0.05 * np.abs(velocity_x)
    effort = -0.001 * np.square(action).sum(axis=1)
    return spin + rise + tall + drift + effort, {
        "spin": spin,
        "rise": rise,
        "tall": tall,
        "drift": drift,
        "effort": effort,
    }
