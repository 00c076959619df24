"""Training, evaluation on the world's outcome, benchmark suites and tables."""
