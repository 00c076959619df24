"""What several verbs share: options, and what is shown while they work."""
