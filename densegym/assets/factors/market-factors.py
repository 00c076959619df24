# /// densegym-reward
# name = "market-factors"
# version = 1
# task = "DenseGym/Market-PublicGoods-v0"
# also = ["DenseGym/Market-TrustDilemma-v0", "DenseGym/Market-PartnerHoldUp-v0", "DenseGym/Market-PlatformEcosystem-v0", "DenseGym/Market-DynamicPartnerSelection-v0", "DenseGym/Market-RecoveryRace-v0", "DenseGym/Market-SynergySearch-v0", "DenseGym/Market-SLCD-v0", "DenseGym/Market-RenaultNissan-v0", "DenseGym/Market-CooperativeNegotiation-v0", "DenseGym/Market-ReputationMarket-v0", "DenseGym/Market-TeamProduction-v0", "DenseGym/Market-LoyaltyTeam-v0", "DenseGym/Market-CoalitionFormation-v0", "DenseGym/Market-ApacheProject-v0", "DenseGym/Market-ReciprocalDilemma-v0", "DenseGym/Market-GiftExchange-v0", "DenseGym/Market-IndirectReciprocity-v0", "DenseGym/Market-GraduatedSanction-v0", "DenseGym/Market-AppleAppStore-v0"]
# author = "by hand, from the task card's feature table"
# date = 2026-11-29
# summary = "effort, effort squared, more than others, below what is expected, trust, above half"
# notes = "what a decoder may weigh; nothing here says what is good"
# ///
import numpy as np


def factors(effort, mean_effort, baseline, trust):
    return {
        "effort": effort,
        "effort_squared": np.square(effort),
        "more_than_others": effort - mean_effort,
        "below_baseline": 1.0 * (effort < baseline),
        "trust": trust,
        "above_half": np.maximum(effort - 0.5, 0.0),
    }
