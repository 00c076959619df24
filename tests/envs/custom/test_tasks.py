import copy
import multiprocessing
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import densegym
from densegym.envs import tasks
from densegym.envs.checks import check_dense_env
from densegym.envs.custom import registry
from densegym.envs.custom.draft import draft
from densegym.envs.custom.files import read_card, to_toml
from densegym.envs.custom.register import keep_card, register_card, take_card
from densegym.envs.registration import bare_spec
from densegym.envs.tasks import task_card
from densegym.errors import DenseGymError, ResultsError, UnknownNameError
from densegym.reward_models.features import blank_steps, feature_names, reader
from tests.offers import Point

CART = "CartPole-v1"


def play(env: gym.Env[Any, Any], choose: Any, seed: int = 0) -> list[dict[str, Any]]:
    obs, info = env.reset(seed=seed)
    infos, ended = [info], False
    while not ended:
        obs, _, terminated, truncated, info = env.step(choose(obs))
        infos.append(info)
        ended = terminated or truncated
    return infos


def balance(obs: Any) -> int:
    return int(obs[2] + 0.3 * obs[3] > 0)


def right(obs: Any) -> int:
    return 1


def test_a_card_is_drafted_from_spaces_episodes_and_the_reward_threshold() -> None:
    found = registry.drafted(CART)
    assert [item.name for item in found.card.features] == [
        *(f"obs_{i}" for i in range(4)),
        "action",
    ]
    assert found.success == "return_env >= 475"
    assert found.card.gives == ("numbers", "pictures")
    assert "[" not in found.card.goal


def test_a_dict_observation_and_info_are_drafted_by_their_keys(stranger: str) -> None:
    card = registry.drafted(f"{stranger}:Stranger/Corridor-v0").card
    assert [item.name for item in card.features] == ["place", "goal", "action", "info_distance"]
    assert card.goal == "Walk to the goal."


def test_success_told_at_the_end_is_found_in_random_episodes(told: str) -> None:
    found = registry.drafted(told)
    assert found.success == "is_success"
    assert [item.shape for item in found.card.features] == [(12,), ()]


@pytest.mark.parametrize(
    ("rule", "choose", "succeeds"),
    [
        ("steps >= 100", balance, True),
        ("steps >= 100", right, False),
        ("terminated", right, True),
        ("truncated", right, False),
        ("truncated", balance, True),
        ("return_env >= 475", balance, True),
        ("abs(angle) < 0.01", balance, True),
        ("(np.abs(angle) > 0.1) & terminated", right, True),
        ("angle > 0.0 and position > 3.0", right, False),
    ],
)
def test_a_rule_says_what_success_is(rule: str, choose: Any, succeeds: bool) -> None:
    densegym.register_task(CART, features={"position": 0, "angle": (2, 3)}, success=rule)
    infos = play(densegym.make(CART), choose)
    assert infos[-1]["is_success"] == float(succeeds)
    latched = [info["is_success"] for info in infos]
    assert latched == sorted(latched)
    seen = densegym.evaluate(lambda obs, _: np.array([choose(o) for o in obs]), CART, episodes=1)
    assert bool(seen.success[0]) == succeeds


def test_success_told_by_the_world_is_latched_and_told_at_every_step(told: str) -> None:
    densegym.register_task(told)
    assert play(densegym.make(told), lambda obs: 1)[-1]["is_success"] == 1.0
    infos = play(densegym.make(told), lambda obs: 0)
    assert [info["is_success"] for info in infos] == [0.0] * 4


def test_a_world_may_have_no_success_where_its_card_says_so() -> None:
    densegym.register_task("Pendulum-v1", success="none")
    seen = densegym.evaluate(lambda obs, _: np.zeros((len(obs), 1)), "Pendulum-v1", episodes=1)
    assert seen.success_rate is None


class Awkward(gym.Env[Any, Any]):
    """Its names are Python's, a rule's, and each other's."""

    observation_space = spaces.Dict(
        {
            name: spaces.Box(0, 9, (1,), np.float32)
            for name in ("class", "steps", "a-b", "a_b", "3d")
        }
    )
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        return self.observation_space.sample(), 0.0, False, True, {"a b": 1.0, "a_b": 2.0}


def test_awkward_names_are_drafted_as_names_of_python() -> None:
    gym.register("Stranger/Awkward-v0", entry_point=Awkward)
    card = densegym.register_task("Stranger/Awkward-v0", success="(x_steps >= 0) & (steps == 1)")
    names = [item.name for item in card.features]
    gym.registry.pop("Stranger/Awkward-v0")
    assert names == [
        "x_3d",
        "a_b",
        "a_b_2",
        "x_class",
        "x_steps",
        "action",
        "info_a_b",
        "info_a_b_2",
    ]


def test_a_card_that_says_all_needs_no_random_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Awkward):
        def step(self, action: Any) -> Any:
            raise AssertionError("nobody asked for a step")

    gym.register("Stranger/Slow-v0", entry_point=Slow)
    densegym.register_task("Stranger/Slow-v0", features={}, success="steps >= 2")
    gym.registry.pop("Stranger/Slow-v0")


ANY = [CART, "Acrobot-v1", "FrozenLake-v1", "Pendulum-v1", "Taxi-v3", "Blackjack-v1"]


@pytest.mark.parametrize("env_id", ANY)
def test_environments_of_others_keep_the_contract_of_every_world(env_id: str) -> None:
    densegym.register_task(env_id, success="steps >= 20")
    check_dense_env(densegym.make(env_id, reward={"model": "env", "scale": 0.5}), steps=60)


@pytest.mark.parametrize("env_id", [*ANY, "corridor"])
def test_every_drafted_feature_is_read_from_live_and_from_blank_steps(
    env_id: str, stranger: str
) -> None:
    full = f"{stranger}:Stranger/Corridor-v0" if env_id == "corridor" else env_id
    card = densegym.register_task(full, success="none")
    shapes = {item.name: item.shape for item in card.features}
    names = [name for name in feature_names(card) if name != "terminated"]
    read: dict[str, Any] = {}

    def look(steps: Any) -> Any:
        read.update({name: reader(card, name)(steps) for name in names})
        return np.zeros(len(steps.slot))

    env = densegym.make(full, reward=look, seed=0)
    env.step(env.action_space.sample())
    assert read.keys() == set(names)
    for steps, count in ((None, 1), (blank_steps(card, 3), 3)):
        for name in names:
            value = read[name] if steps is None else reader(card, name)(steps)
            assert value.shape == (count, *shapes[name.removeprefix("prev_")]), name


def test_a_world_of_others_is_copied_in_the_middle_of_an_episode() -> None:
    densegym.register_task(CART, features={"angle": 2}, success="steps >= 4")
    env = densegym.make(CART, seed=0)
    env.step(1)
    twin = copy.deepcopy(env)
    for _ in range(3):
        mine, its = env.step(0), twin.step(0)
    assert mine[4]["is_success"] == its[4]["is_success"] == 1.0
    assert mine[1:4] == its[1:4]


def test_a_run_keeps_its_card_and_no_other_judges_it(tmp_path: Path) -> None:
    densegym.register_task(CART, success="steps >= 5")
    keep_card(CART, tmp_path)
    registry.forget_tasks()
    take_card(tmp_path)
    assert task_card(CART).success == "steps >= 5"
    keep_card(CART, tmp_path)
    densegym.register_task(CART, success="steps >= 6")
    with pytest.raises(ResultsError, match="begun under another task card"):
        keep_card(CART, tmp_path)
    with pytest.raises(ResultsError, match="judged under another task card"):
        take_card(tmp_path)


def test_a_draft_gives_way_to_the_card_of_a_run(tmp_path: Path) -> None:
    densegym.register_task(CART, success="steps >= 5")
    keep_card(CART, tmp_path)
    registry.forget_tasks()
    assert task_card(CART).success == "return_env >= 475"
    take_card(tmp_path)
    assert task_card(CART).success == "steps >= 5"


def test_hosts_tell_the_same_success(stranger: str) -> None:
    densegym.register_task(f"{stranger}:Stranger/Corridor-v0", success="terminated")
    env_id = f"{stranger}:Stranger/Corridor-v0"
    one = densegym.make(env_id, seed=3)
    many = densegym.make_vec(env_id, 2, seed=3)
    one.reset(seed=3)
    many.reset(seed=3)
    for _ in range(12):
        *_, info = one.step(np.ones(1, np.float32))
        *_, infos = many.step(np.ones((2, 1), np.float32))
        assert infos["is_success"][0] == info["is_success"]
        if info["is_success"]:
            return
    pytest.fail("the corridor is shorter")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("angle >", "it is no expression"),
        ("nothing > 1", '"nothing" is not defined'),
        ("__import__('os').system('true')", "system is not allowed"),
        ("angle.__class__", "angle"),
        ("both", "2 values where one is expected"),
        ("True", "reads no feature"),
        ("(lambda: angle)()", "success ="),
        ("[x for x in (1,) if angle > 0]", "success ="),
    ],
)
def test_a_rule_that_is_none_is_refused_in_one_sentence(rule: str, said: str) -> None:
    features = {"angle": 2, "both": (0, 2)}
    with pytest.raises(DenseGymError, match=said) as caught:
        densegym.register_task(CART, features=features, success=rule)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ({"a": 9}, r"columns \[9, 10\], but the array has shape \(4,\)"),
        ({"a": (2, 6)}, r"columns \[2, 6\]"),
        ({"a": "pole"}, "has no entries"),
        ({"a": (0, 1, 2)}, "a column such as 2"),
        ({"a b": 0}, "parameter's name"),
        ({"a": (3, 1)}, "shape"),
    ],
)
def test_features_that_are_not_there_are_refused(features: Any, said: str) -> None:
    with pytest.raises(DenseGymError, match=said) as caught:
        densegym.register_task(CART, features=features)
    assert "\n" not in str(caught.value)


def test_a_key_that_a_dict_lacks_is_refused_with_the_closest(stranger: str) -> None:
    with pytest.raises(DenseGymError, match='Did you mean "place"'):
        densegym.register_task(
            f"{stranger}:Stranger/Corridor-v0", features={"a": "plase"}, success="terminated"
        )


def test_an_environment_without_success_is_refused_with_what_to_type() -> None:
    with pytest.raises(
        DenseGymError, match="nothing says what success is in Pendulum-v1"
    ) as caught:
        task_card("Pendulum-v1")
    assert "densegym task draft Pendulum-v1 > card.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("env_id", "said"),
    [
        ("CartPol-v1", 'Did you mean "CartPole-v1"'),
        ("no_such_module:X-v0", "no_such_module could not be imported"),
        ("DenseGym/ButtonPress-v0", "has a card already"),
    ],
)
def test_ids_that_cannot_be_registered(env_id: str, said: str) -> None:
    with pytest.raises(DenseGymError, match=said):
        densegym.register_task(env_id)


def test_a_field_that_no_card_has_is_refused_with_the_closest() -> None:
    with pytest.raises(UnknownNameError, match='Did you mean "cameras"'):
        densegym.register_task(CART, camera="front")


def test_an_environment_that_breaks_is_named() -> None:
    def broken() -> gym.Env[Any, Any]:
        raise RuntimeError("no licence")

    with pytest.raises(DenseGymError, match=r"Broken-v0 broke .* no licence"):
        draft("Broken-v0", broken)


def test_a_card_survives_its_file(tmp_path: Path) -> None:
    found = registry.drafted(CART)
    path = tmp_path / "card.toml"
    path.write_text(to_toml(found.card, found.success))
    told = read_card(path)
    assert tuple(told["features"]) == found.card.features
    card = register_card(path)
    assert (card.goal, card.gives) == (found.card.goal, found.card.gives)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id = ", "cannot be read"),
        ('goal = "x"', "names no environment"),
        ('id = "CartPole-v1"\nsucces = "terminated"', 'Did you mean "success"'),
        ('id = "CartPole-v1"\nsuccess = 3', "success is a text"),
        ('id = "CartPole-v1"\ncameras = "a"', "a list of texts"),
        ('id = "CartPole-v1"\nfeatures = 3', r"\[\[features\]\]"),
        ('id = "CartPole-v1"\n[[features]]\ncolumns = [0, 1]', "has a name"),
        ('id = "CartPole-v1"\n[[features]]\nname = "a"\ncolums = [0, 1]', 'Did you mean "columns"'),
        ('id = "CartPole-v1"\n[[features]]\nname = "a"\ncolumns = [7, 8]', "has shape"),
        ('id = "CartPole-v1"\n[[features]]\nname = "a"\ncolumns = [0]', "pair"),
        ('id = "CartPole-v1"\n[[features]]\nname = "a"\ncolumns = 3', "pair"),
    ],
)
def test_a_file_that_is_no_card_is_refused_in_one_sentence(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "card.toml"
    path.write_text(text)
    with pytest.raises(DenseGymError, match=said) as caught:
        register_card(path)
    assert "\n" not in str(caught.value)


def test_the_spec_of_a_task_goes_through_json() -> None:
    densegym.register_task(CART, features={"angle": 2}, success="steps >= 5")
    spec = gym.envs.registration.EnvSpec.from_json(bare_spec(CART).to_json())
    assert play(gym.make(spec), right)[-1]["is_success"] == 1.0


def test_packages_offer_tasks_through_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    def offered() -> None:
        densegym.register_task(CART, success="steps >= 7", goal="Seven steps.")

    point = Point("seven", offered, "acme")
    chosen = {"densegym.tasks": [point]}
    monkeypatch.setattr(tasks, "entry_points", lambda group: chosen.get(group, []))
    monkeypatch.setattr(tasks, "_loaded", set())
    assert task_card(CART).goal == "Seven steps."


def _look(env_id: str) -> tuple[str, float]:
    return task_card(env_id).success, play(densegym.make(env_id), right)[-1]["is_success"]


def _registered(env_id: str) -> bool:
    return env_id in gym.registry


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_that_start_later_import_the_modules(method: str, stranger: str) -> None:
    registry.import_for_all(stranger)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(_registered, ("Stranger/Corridor-v0",))
    registry.forget_tasks()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_that_start_later_know_the_task(method: str) -> None:
    densegym.register_task(CART, success="steps >= 3")
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(_look, (CART,)) == ("steps >= 3", 1.0)
