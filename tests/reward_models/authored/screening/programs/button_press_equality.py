# Text2Reward's published button-press reward, in our interface: a weight of 100 on an equality of
# two floats, which never holds.
import numpy as np


def compute_reward(hand_position, object_position, goal_position, action):
    reach = -np.linalg.norm(hand_position - goal_position, axis=1)
    press = -np.linalg.norm(object_position - goal_position, axis=1)
    reached = 100.0 * (hand_position[:, 1] == goal_position[:, 1])
    effort = -0.01 * np.linalg.norm(action, axis=1)
    return reach + press + reached + effort, {
        "reach": reach,
        "press": press,
        "reached": reached,
        "effort": effort,
    }
