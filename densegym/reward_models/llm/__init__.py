"""Asking language models: client, record and replay, budget, mailbox."""
