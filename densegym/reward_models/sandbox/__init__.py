"""Running reward programs that nobody has vetted: allow-list, worker process, limits."""
