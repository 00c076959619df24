"""Runs shared as folders with a model card, on disk or on the Hugging Face Hub."""
