# Text2Reward's published door-unlock reward, in our interface: a bonus of 100 for a cosine distance
# between two positions below 0.01. With Meta-World v3's placements that holds a few steps before
# success, so the bonus drowns every other term.
import numpy as np


def compute_reward(hand_position, object_position, goal_position, action):
    reach = -np.linalg.norm(hand_position - object_position, axis=1)
    move = -np.linalg.norm(object_position - goal_position, axis=1)
    lengths = np.linalg.norm(object_position, axis=1) * np.linalg.norm(goal_position, axis=1)
    cosine_distance = 1.0 - (object_position * goal_position).sum(axis=1) / (lengths + 1e-9)
    solved = 100.0 * (cosine_distance < 0.01)
    effort = -0.1 * np.square(action).sum(axis=1)
    return reach + move + solved + effort, {
        "reach": reach,
        "move": move,
        "solved": solved,
        "effort": effort,
    }
