"""Settings of training runs that take a second."""

SMALL = [
    "n_steps=64",
    "batch_size=64",
    "n_epochs=1",
    "n_envs=2",
    "eval_every=128",
    "eval_episodes=2",
    "final_episodes=2",
    "checkpoint_every=128",
]
