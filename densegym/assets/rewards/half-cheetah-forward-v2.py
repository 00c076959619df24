# /// densegym-reward
# name = "half-cheetah-forward"
# version = 2
# task = "DenseGym/HalfCheetahForward-v0"
# author = "eureka search by language model by mailbox"
# date = 2026-11-21
# summary = "pays calm, effort, forward, level; the best of a search over reward programs"
# stops_at_success = false
# notes = "candidate 01-01; F on fresh seeds after 122880 steps: [2.57538, 2.6911, 4.09451]; while selecting: 3.84147"
# ///
import numpy as np


def compute_reward(velocity_x, torso_pitch, pitch_rate, action):
    forward = 1.0 * velocity_x
    level = -0.2 * np.square(np.clip(torso_pitch, -1.5, 1.5))
    calm = -0.005 * np.square(np.clip(pitch_rate, -6.0, 6.0))
    effort = -0.02 * np.square(action).sum(axis=1)
    return forward + level + calm + effort, {
        "forward": forward,
        "level": level,
        "calm": calm,
        "effort": effort,
    }


# declared: {"name": "forward", "intent": "speed", "sign": "\u00b1", "expected_range": [-3.0, 5.0]}
# declared: {"name": "level", "intent": "torso level", "sign": "-", "expected_range": [-0.45, 0.0]}
# declared: {"name": "calm", "intent": "no rocking", "sign": "-", "expected_range": [-0.18, 0.0]}
# declared: {"name": "effort", "intent": "cost", "sign": "-", "expected_range": [-0.12, 0.0]}
