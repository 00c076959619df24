"""What worlds hold: how upstream's envs are made, what they remember, and its sets of tasks."""
