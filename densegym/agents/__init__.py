"""Training, evaluation on the world's outcome, benchmark suites and tables, on Stable-Baselines3."""
