# The defect of AdroitHandDoor's dense reward in Gymnasium-Robotics 1.4.2, in our interface: the
# distance between palm and handle is added, not subtracted.
import numpy as np


def compute_reward(palm_position, handle_position, door_angle, hand_joints):
    reach = 0.1 * np.linalg.norm(palm_position - handle_position, axis=1)
    swing = -0.1 * np.square(door_angle - 1.57)
    calm = -1e-5 * np.square(hand_joints).sum(axis=1)
    opened = 2.0 * (door_angle > 0.2) + 8.0 * (door_angle > 1.0) + 10.0 * (door_angle > 1.35)
    return reach + swing + calm + opened, {
        "reach": reach,
        "swing": swing,
        "calm": calm,
        "opened": opened,
    }
