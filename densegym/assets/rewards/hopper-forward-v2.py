# /// densegym-reward
# name = "hopper-forward"
# version = 2
# task = "DenseGym/HopperForward-v0"
# author = "eureka search by language model by mailbox"
# date = 2026-11-21
# summary = "pays alive, bounce, effort, forward; the best of a search over reward programs"
# stops_at_success = false
# notes = "candidate 00-03; F on fresh seeds after 122880 steps: [0.276329, 0.482022, 1.0524]; while selecting: 0.286267"
# ///
import numpy as np


def compute_reward(velocity_x, velocity_z, torso_height, foot_height, action):
    forward = 1.5 * np.clip(velocity_x, -1.0, 4.0)
    alive = 1.0 * (torso_height > 0.8)
    bounce = 0.5 * np.clip(foot_height[:, 0], 0.0, 0.2) * (velocity_x > 0.3)
    effort = -0.002 * np.square(action).sum(axis=1)
    return forward + alive + bounce + effort, {
        "forward": forward,
        "alive": alive,
        "bounce": bounce,
        "effort": effort,
    }


# declared: {"name": "forward", "intent": "speed", "sign": "\u00b1", "expected_range": [-1.5, 6.0]}
# declared: {"name": "alive", "intent": "stay up", "sign": "+", "expected_range": [0.0, 1.0]}
# declared: {"name": "bounce", "intent": "leave the floor", "sign": "+", "expected_range": [0.0, 0.1]}
# declared: {"name": "effort", "intent": "cost", "sign": "-", "expected_range": [-0.006, 0.0]}
