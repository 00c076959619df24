"""Markets of rivals who need each other: one batched NumPy core behind every interface."""
