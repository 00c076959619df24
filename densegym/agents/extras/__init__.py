"""Additions to on-policy learners: two-level advantages, entropy terms, self-imitation."""
