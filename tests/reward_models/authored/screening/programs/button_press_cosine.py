# The same test on the button, whose travel points away from the origin: it holds in every state.
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
