# /// densegym-reward
# name = "shop-subgoals"
# version = 1
# task = "DenseGym/Shop-v0"
# also = ["DenseGym/ShopChoice-v0"]
# variant = true
# author = "hand-written"
# date = 2026-11-25
# summary = "each sub-goal once, when first reached, then the purchase (privileged: reads the goal)"
# notes = "At most 0.5 for sub-goals, up to 1 for the purchase; not policy-invariant."
# ///
import numpy as np

MEMORY = 5


def compute_reward(type_shown, type, attributes, options, price, outcome, memory):
    right = np.where(type >= 0.5, 1.0, 0.0)
    bought = np.where(outcome > 0.0, 1.0, 0.0)
    held = np.stack([type_shown, right, right * attributes, right * options, right * price], axis=1)
    best = np.maximum(memory, held * (1.0 - bought)[:, None])  # buying reaches nothing new
    gained = 0.1 * (best - memory)
    terms = {
        "found": gained[:, 0],
        "opened": gained[:, 1],
        "attributes": gained[:, 2],
        "options": gained[:, 3],
        "price": gained[:, 4],
        "outcome": outcome,
    }
    return gained.sum(axis=1) + outcome, terms, best
