# /// densegym-reward
# name = "shop-gates"
# version = 1
# task = "DenseGym/Shop-v0"
# also = ["DenseGym/ShopChoice-v0"]
# variant = true
# author = "hand-written"
# date = 2026-11-25
# summary = "the purchase in ordered gates: type, attributes, options, price (privileged)"
# notes = "After hierarchical reward modelling: a term pays only where every term before it is met."
# ///
import numpy as np


def compute_reward(terminated, type, attributes, options, price):
    bought = np.where(terminated, 1.0, 0.0)
    typed = np.where(type >= 0.5, 1.0, 0.0)
    described = typed * np.where(attributes > 0.999, 1.0, 0.0)
    chosen = described * np.where(options > 0.999, 1.0, 0.0)
    terms = {
        "type": 0.25 * bought * type,
        "attributes": 0.25 * bought * typed * attributes,
        "options": 0.25 * bought * described * options,
        "price": 0.25 * bought * chosen * price,
    }
    return terms["type"] + terms["attributes"] + terms["options"] + terms["price"], terms
