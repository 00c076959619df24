"""What a training run is made of: presets per family in TOML, overrides, one frozen result."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from densegym import assets
from densegym.agents.extras.settings import ExtraSettings, extra_settings
from densegym.agents.training.algorithms import find_algorithm
from densegym.envs.protocols import OWN, Terms
from densegym.envs.registration import check_arguments
from densegym.envs.tasks import task_card
from densegym.envs.terms import changed_terms, check_terms
from densegym.errors import DenseGymError, unknown
from densegym.reward_models.spec import RewardSpec
from densegym.reward_models.spec import check as check_reward
from densegym.values import LARGEST_SEED, check_values

_SECTIONS = ("run", "algorithm", "policy", "env", "eval", "extra")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How a run is carried out, whatever learns."""

    steps: int = 100_000
    """Environment steps, over all lanes."""
    n_envs: int = 4
    """Worlds stepped side by side in one process; one of several agents has a lane for each."""
    episode_steps: int | None = None
    """Time limit of training episodes; None keeps the world's own."""
    normalize_obs: bool = False
    """Standardise observations with running moments (VecNormalize)."""
    normalize_reward: bool = False
    """Scale rewards by the running deviation of the return; in training only."""
    her: bool = False
    """Hindsight relabelling, for goal-conditioned worlds and off-policy learners."""
    relabel: str = "auto"
    """How off-policy learners are paid whole episodes: auto, patch, commit or lazy."""
    eval_every: int = 16_384
    """Steps between evaluations."""
    eval_episodes: int = 20
    """Deterministic episodes per evaluation."""
    final_episodes: int = 100
    """Episodes of the final evaluation, deterministic and stochastic each."""
    checkpoint_every: int = 32_768
    """Steps between checkpoints."""
    threads: int = 1
    """Torch threads; two are slower than one on small networks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A resolved training run.

    Attributes:
        env: environment id.
        reward: reward specification, JSON-friendly.
        algo: learner.
        seed: seed of everything.
        run: how the run is carried out.
        algorithm: hyper-parameters of the learner.
        policy: ``policy_kwargs`` of the learner.
        env_kwargs: constructor arguments of the world.
        extra: additions to an on-policy learner; see ``extras.settings.ExtraSettings``.
        eval_kwargs: those that are others in evaluation, such as the part of the goals.
        protocol: limit, ending and success rule of episodes, in training and in evaluation.
    """

    env: str
    reward: Any = "env"
    algo: str = "ppo"
    seed: int = 0
    run: RunSettings = field(default_factory=RunSettings)
    algorithm: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    eval_kwargs: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = OWN

    def as_dict(self) -> dict[str, Any]:
        """Return nested plain values, as written to ``config.toml``."""
        values = dataclasses.asdict(self)
        # The fingerprint of runs without stays what it was, and their records mean what they did.
        if not self.eval_kwargs:
            del values["eval_kwargs"]
        if self.protocol == OWN:
            del values["protocol"]
        return values

    def check_protocol(self) -> None:
        """Refuse settings that contradict the protocol.

        Raises:
            UnknownNameError: no such protocol; names the closest.
            DenseGymError: it does not fit the world, or a setting contradicts it.
        """
        check_terms(self.env, self.protocol, self._in_evaluation(), self.run.episode_steps)

    def terms(self) -> Terms:
        """Return what the run is evaluated under: its protocol, with what settings change of it."""
        return changed_terms(self.env, self.protocol, self._in_evaluation())

    def _in_evaluation(self) -> dict[str, Any]:
        return {**self.env_kwargs, **self.eval_kwargs}

    def fingerprint(self) -> str:
        """Return a hash of everything that decides the numbers of this run."""
        canonical = json.dumps(self.as_dict(), sort_keys=True, default=str)
        return hashlib.sha256(canonical.encode()).hexdigest()


def resolve(
    env: str,
    *,
    reward: RewardSpec = "env",
    algo: str = "ppo",
    seed: int = 0,
    steps: int | None = None,
    protocol: str = OWN,
    overrides: Iterable[str] = (),
) -> TrainConfig:
    """Merge the preset of the env's family and learner with overrides.

    Args:
        env: environment id.
        reward: reward specification.
        algo: learner.
        seed: seed of everything.
        steps: environment steps; None keeps the preset's.
        protocol: limit, ending and success rule of episodes; the preset's limit of training
            episodes holds for the worlds' own protocol alone.
        overrides: ``key=value`` texts as typed after ``--set``; see ``apply_override``.

    Raises:
        UnknownNameError: an unknown id, learner, protocol or key; names the closest.
        DenseGymError: a value of the wrong type, or a setting that the protocol rules out.
    """
    card = task_card(env)
    if not 0 <= seed <= LARGEST_SEED:
        raise DenseGymError(f"a seed is a whole number from 0 to {LARGEST_SEED}; given {seed}")
    check_reward(reward, task=card)
    find_algorithm(algo)
    sections = _preset(card.family, algo)
    if protocol != OWN:
        sections["run"].pop("episode_steps", None)
    if steps is not None:
        sections["run"]["steps"] = steps
    typed = [apply_override(sections, text, algo) for text in overrides]
    _check_algorithm_keys(sections["algorithm"], algo)
    find_algorithm(algo).check_values(sections["algorithm"], sections["policy"])
    for section, prefix in (("env", "env."), ("eval", "eval.")):
        chosen = {key: sections[section][key] for kind, key in typed if kind == section}
        check_arguments(env, chosen, prefix=prefix)
    extra_settings(sections["extra"])
    config = TrainConfig(
        env=env,
        reward=reward,
        algo=algo,
        seed=seed,
        run=_settings(sections["run"]),
        algorithm=sections["algorithm"],
        policy=sections["policy"],
        env_kwargs=sections["env"],
        extra=sections["extra"],
        eval_kwargs=sections["eval"],
        protocol=protocol,
    )
    config.check_protocol()
    return config


def from_dict(data: Mapping[str, Any]) -> TrainConfig:
    """Rebuild what ``TrainConfig.as_dict`` returned.

    Raises:
        UnknownNameError: an unknown key.
        DenseGymError: a value of the wrong type.
    """
    known = {item.name for item in dataclasses.fields(TrainConfig)}
    for key in data:
        if key not in known:
            raise unknown("configuration key", key, known)
    return TrainConfig(**{**data, "run": _settings(data.get("run", {}))})


def apply_override(sections: dict[str, dict[str, Any]], text: str, algo: str) -> tuple[str, str]:
    """Apply one ``key=value`` to the sections of a configuration; return section and key.

    ``n_envs=8`` sets a run setting, ``learning_rate=1e-4`` a hyper-parameter of the learner,
    ``policy.net_arch=[64,64]``, ``env.camera=corner2``, ``eval.split=dev`` and
    ``extra.self_imitation=0.5`` an entry of that section; values as ``read_pair`` reads them.
    """
    key, value = read_pair(text, "--set", "learning_rate=1e-4")
    section, dot, name = key.partition(".")
    if not dot or section not in _SECTIONS:
        name = key
        if key in _run_keys():
            section = "run"
        elif key in find_algorithm(algo).parameters():
            section = "algorithm"
        else:
            section = ""
    if section:
        sections[section][name] = value
    else:
        sections_of = ("policy.<key>", "env.<key>", "eval.<key>")
        known = [*_run_keys(), *find_algorithm(algo).parameters(), *sections_of]
        known += [f"extra.{item.name}" for item in dataclasses.fields(ExtraSettings)]
        raise unknown(f"setting of {algo}", key, known)
    return section, name


def read_pair(text: str, option: str, example: str) -> tuple[str, Any]:
    """Return the key and the value of ``key=value``, as typed after an option.

    Values are TOML; anything that is not stays text.

    Raises:
        DenseGymError: no key or no ``=``; gives the example.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not key:
        raise DenseGymError(f'{option} takes key=value, e.g. {option} {example}; given "{text}"')
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def _run_keys() -> list[str]:
    return [item.name for item in dataclasses.fields(RunSettings)]


def _preset(family: str, algo: str) -> dict[str, dict[str, Any]]:
    sections: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
    for name in ("default", family):
        if name and assets.path(f"presets/{name}.toml").is_file():
            table = tomllib.loads(assets.text(f"presets/{name}.toml"))
            for layer in (table.get("all", {}), table.get(algo, {})):
                for section in _SECTIONS:
                    sections[section].update(layer.get(section, {}))
    return sections


def _check_algorithm_keys(given: Mapping[str, Any], algo: str) -> None:
    known = find_algorithm(algo).parameters()
    for key in given:
        if key not in known:
            raise unknown(f"hyper-parameter of {algo}", key, known)


def _settings(given: Mapping[str, Any]) -> RunSettings:
    check_values(given, get_type_hints(RunSettings), what="run setting")
    settings = RunSettings(**given)
    for key in ("steps", "n_envs", "eval_every", "eval_episodes", "final_episodes", "threads"):
        if getattr(settings, key) < 1:
            raise DenseGymError(f"{key} is at least 1; given {getattr(settings, key)}")
    return settings


def to_toml(data: Mapping[str, Any]) -> str:
    """Return nested plain values as TOML; None entries are left out, TOML having no null."""
    lines: list[str] = []
    _toml_table(data, (), lines)
    return "\n".join(lines) + "\n"


def _toml_table(table: Mapping[str, Any], path: Sequence[str], lines: list[str]) -> None:
    nested = {k: v for k, v in table.items() if isinstance(v, Mapping) and not _is_inline(k)}
    if path:
        lines += ["", f"[{'.'.join(path)}]"]
    for key, value in table.items():
        if key not in nested and value is not None:
            lines.append(f"{_toml_key(key)} = {toml_value(value)}")
    for key, value in nested.items():
        _toml_table(value, (*path, _toml_key(key)), lines)


def _is_inline(key: str) -> bool:
    return key == "reward"


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)


def toml_value(value: Any) -> str:
    """Return one plain value as TOML."""
    if isinstance(value, Mapping):
        pairs = (f"{_toml_key(k)} = {toml_value(v)}" for k, v in value.items() if v is not None)
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    # JSON's escapes are TOML's, but for surrogate pairs and an escape for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
