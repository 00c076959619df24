# /// densegym-reward
# name = "point-maze"
# version = 1
# task = "DenseGym/PointMaze_Open-v0"
# also = ["DenseGym/PointMaze_UMaze-v0", "DenseGym/PointMaze_Medium-v0", "DenseGym/PointMaze_Large-v0"]
# author = "language model"
# date = 2026-11-29
# summary = "pays the ball's straight way to the goal, and a little speed"
# notes = "written once from the task card, with parts shared among like tasks; neither trained with nor revised"
# ///
import numpy as np


def compute_reward(achieved_goal, prev_achieved_goal, desired_goal, velocity):
    # The walls are not among the attributes, so the straight way is all that is known; speed is paid
    # a little, because a ball that rests at a wall learns nothing of the way round.
    gap = np.linalg.norm(achieved_goal - desired_goal, axis=1)
    prev_gap = np.linalg.norm(prev_achieved_goal - desired_goal, axis=1)
    approach = 10.0 * (prev_gap - gap)
    speed_temperature = 2.0
    speed = 0.01 * np.tanh(np.linalg.norm(velocity, axis=1) / speed_temperature)
    return approach + speed, {"approach": approach, "speed": speed}


# declared: {"name": "approach", "intent": "ball to the goal", "sign": "\u00b1", "expected_range": [-1, 1]}
# declared: {"name": "speed", "intent": "not resting at a wall", "sign": "+", "expected_range": [0, 0.01]}
