"""Authors of reward programs: with a language model, and the controls without one."""
