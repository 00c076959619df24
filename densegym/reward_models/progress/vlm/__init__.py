"""Asking vision-language models: prompts, replies, endpoints, checkpoints."""
