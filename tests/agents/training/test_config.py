import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from densegym.agents.training import config
from densegym.agents.training.algorithms import algorithm_names, find_algorithm
from densegym.errors import DenseGymError, UnknownNameError

BUTTON = "DenseGym/ButtonPress-v0"


def test_the_sawyer_preset_is_the_published_bundle() -> None:
    made = config.resolve(BUTTON, reward="expert")
    assert dict(made.algorithm) == {
        "n_steps": 1024,
        "batch_size": 256,
        "n_epochs": 10,
        "gamma": 0.99,
        "learning_rate": 3e-4,
    }
    assert dict(made.policy) == {"net_arch": [128, 128], "log_std_init": -0.5}
    run = made.run
    assert (run.n_envs, run.episode_steps, run.normalize_obs, run.normalize_reward) == (
        4,
        120,
        True,
        True,
    )


def test_overrides_reach_their_section() -> None:
    texts = ["n_envs=8", "learning_rate=1e-4", "policy.net_arch=[32, 32]", "env.camera=corner2"]
    made = config.resolve(BUTTON, overrides=[*texts, "run.threads=1"])
    assert made.run.n_envs == 8
    assert made.algorithm["learning_rate"] == 1e-4
    assert made.policy["net_arch"] == [32, 32]
    assert made.env_kwargs == {"camera": "corner2"}


@pytest.mark.parametrize(
    ("kwargs", "error", "says"),
    [
        (
            {"overrides": ["n_env=8"]},
            UnknownNameError,
            'Unknown setting of ppo "n_env". Did you mean "n_envs"',
        ),
        ({"overrides": ["learning_rat=1"]}, UnknownNameError, 'mean "learning_rate"'),
        ({"overrides": ["n_envs"]}, DenseGymError, 'key=value.*given "n_envs"'),
        ({"overrides": ["n_envs=many"]}, DenseGymError, "n_envs takes int; given 'many'"),
        ({"overrides": ["n_envs=true"]}, DenseGymError, "n_envs takes int; given True"),
        ({"overrides": ["normalize_obs=1"]}, DenseGymError, "normalize_obs takes bool"),
        ({"overrides": ["run.n_enfs=1"]}, UnknownNameError, 'mean "n_envs"'),
        ({"steps": 0}, DenseGymError, "steps is at least 1; given 0"),
        ({"algo": "pppo"}, UnknownNameError, 'Unknown algorithm "pppo". Did you mean "ppo"'),
    ],
    ids=str,
)
def test_wrong_settings_say_what_to_type(kwargs, error, says) -> None:
    with pytest.raises(error, match=says):
        config.resolve(BUTTON, **kwargs)


def test_every_preset_names_only_what_its_learner_takes() -> None:
    from densegym.envs.tasks import worlds

    for env in {world.card.family: world.card.id for world in worlds()}.values():
        for algo in algorithm_names():
            made = config.resolve(env, algo=algo)
            assert set(made.algorithm) <= set(find_algorithm(algo).parameters())


@pytest.mark.parametrize(
    "reward",
    [
        "env",
        {"model": "authored", "scale": 0.5, "clip": [-1, 1]},
        ["env", {"model": "expert", "mode": "add"}],
    ],
)
def test_a_configuration_survives_its_toml(reward) -> None:
    made = config.resolve(
        BUTTON, reward=reward, overrides=["env.camera=corner2", "episode_steps=90"]
    )
    again = config.from_dict(tomllib.loads(config.to_toml(made.as_dict())))
    assert again.fingerprint() == made.fingerprint()
    assert again.as_dict() == made.as_dict()


PLAIN = (
    st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)


@given(
    st.dictionaries(
        st.text(min_size=1), PLAIN | st.lists(PLAIN) | st.dictionaries(st.text(min_size=1), PLAIN)
    )
)
def test_any_plain_table_survives_toml(table) -> None:
    assert tomllib.loads(config.to_toml(table)) == table


def test_the_fingerprint_tells_runs_apart() -> None:
    one = config.resolve(BUTTON)
    assert one.fingerprint() == config.resolve(BUTTON).fingerprint()
    for other in ({"seed": 1}, {"reward": "expert"}, {"steps": 7}, {"overrides": ["gamma=0.9"]}):
        assert config.resolve(BUTTON, **other).fingerprint() != one.fingerprint()


def test_unknown_configuration_keys_are_refused() -> None:
    with pytest.raises(UnknownNameError, match='Did you mean "seed"'):
        config.from_dict({"env": BUTTON, "sed": 1})
