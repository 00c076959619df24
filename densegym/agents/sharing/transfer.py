"""Pushes a finished run to a folder or to the Hugging Face Hub, and pulls it from there.

Only files of the kinds that a run has are copied, and none of them is code or is unpickled:
``model.zip`` and ``vecnormalize.pkl`` stay behind, and the checkpoint has all that they have.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from densegym.agents.sharing.card import model_card
from densegym.agents.training import checkpoint
from densegym.agents.training.config import TrainConfig
from densegym.agents.training.folders import SAVED, run_folder
from densegym.agents.training.load import load_config
from densegym.agents.training.results import Run, load_run
from densegym.envs.custom.register import CARD_FILE
from densegym.errors import DenseGymError, ResultsError, require

HUB = "hf:"
CARD = "README.md"
_NEEDED = ("config.toml", "meta.json", "final.json", "eval.jsonl", SAVED)
_MEDIA = (".png", ".mp4", ".gif", ".webm")
_PATTERNS = (*_NEEDED, CARD, CARD_FILE, *(f"media/*{suffix}" for suffix in _MEDIA))


def push(run: Path, target: str, *, private: bool = False) -> str:
    """Share a finished run.

    Args:
        run: its folder.
        target: ``hf:owner/name``, or a folder that does not exist or is empty.
        private: whether a repository that is made on the Hub is private.

    Returns:
        Where it lies: an address, or the folder.

    Raises:
        ResultsError: the folder holds no finished run.
        DenseGymError: the target is taken, or the Hub has no token or refuses it.
    """
    loaded = load_run(run)
    if not (run / SAVED).is_file():
        raise ResultsError(f"{run} has no {SAVED}, so nobody could load its agent")
    if target.startswith(HUB):
        with tempfile.TemporaryDirectory() as folder:
            _gather(loaded, Path(folder))
            return _upload(Path(folder), target, private)
    _put(loaded, Path(target))
    return target


def pull(source: str, out: Path, *, revision: str | None = None) -> Path:
    """Fetch a shared run, check it, and put it where ``densegym report`` finds it.

    Args:
        source: ``hf:owner/name``, or a folder.
        out: results folder, in which the run lies as if it had been trained there.
        revision: branch, tag or commit on the Hub.

    Returns:
        Folder of the run.

    Raises:
        ResultsError: it is no run, is damaged, or is there already.
        DenseGymError: the Hub cannot be reached, or has no such repository.
    """
    if source.startswith(HUB):
        with tempfile.TemporaryDirectory() as folder:
            _download(source, Path(folder), revision)
            return _settle(Path(folder), out, source)
    if revision is not None:
        raise DenseGymError(f"--revision is for {HUB}owner/name; given the folder {source}")
    return _settle(Path(source), out, source)


def files_named(config: TrainConfig) -> list[str]:
    """Return files that the reward of a run names, which do not travel with it."""
    return sorted(
        {text for text in _texts(config.reward) if os.sep in text and Path(text).exists()}
    )


def _texts(spec: Any) -> Iterator[str]:
    if isinstance(spec, str):
        yield spec
    elif isinstance(spec, dict):
        for value in spec.values():
            yield from _texts(value)
    elif isinstance(spec, list | tuple):
        for value in spec:
            yield from _texts(value)


def _gather(run: Run, folder: Path) -> None:
    _copy(run.folder, folder)
    media = sorted(path.relative_to(folder) for path in folder.glob("media/*"))
    (folder / CARD).write_text(model_card(run, media), encoding="utf-8")


def _copy(source: Path, folder: Path) -> None:
    for pattern in _PATTERNS:
        for path in sorted(source.glob(pattern)):
            if path.is_file() and not path.is_symlink():
                copy = folder / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)


def _put(run: Run, target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DenseGymError(f"{target} is there already; name a folder that is new or empty")
    with _beside(target) as folder:
        _gather(run, folder)


def _settle(source: Path, out: Path, name: str) -> Path:
    missing = [needed for needed in _NEEDED if not (source / needed).is_file()]
    if missing:
        raise ResultsError(f"{name} is no shared run: it lacks {', '.join(missing)}")
    config = load_config(source)
    checkpoint.load(source / SAVED, config)
    load_run(source)
    target = run_folder(out, config)
    if target.exists():
        raise ResultsError(f"{target} is there already; choose another --out, or remove it")
    with _beside(target) as folder:
        _copy(source, folder)
    return target


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Make a folder that gets its name when all is in it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield folder
        folder.chmod(0o755)
        if target.is_dir():
            target.rmdir()
        os.replace(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _repository(name: str) -> str:
    owner, slash, rest = name.removeprefix(HUB).partition("/")
    if not owner or not slash or not rest or "/" in rest:
        raise DenseGymError(f'given "{name}"; a repository of the Hub is {HUB}owner/name')
    return f"{owner}/{rest}"


def _upload(folder: Path, target: str, private: bool) -> str:
    name = _repository(target)
    hub = require("huggingface_hub", extra="hub")
    if hub.get_token() is None:
        raise DenseGymError(
            "the Hugging Face Hub asks who pushes, and there is no token. Set HF_TOKEN, or type: "
            "hf auth login. A folder needs none: densegym push RUN FOLDER"
        )
    with _hub_errors(name):
        hub.create_repo(name, private=private, exist_ok=True)
        hub.upload_folder(repo_id=name, folder_path=folder, commit_message="Add a run")
    return f"{hub.HfApi().endpoint}/{name}"


def _download(source: str, folder: Path, revision: str | None) -> None:
    name = _repository(source)
    hub = require("huggingface_hub", extra="hub")
    with _hub_errors(name):
        hub.snapshot_download(
            name, revision=revision, local_dir=folder, allow_patterns=list(_PATTERNS)
        )


@contextmanager
def _hub_errors(name: str) -> Iterator[None]:
    errors: Any = require("huggingface_hub.errors", extra="hub")
    unanswered: Any = errors.HfHubHTTPError.__mro__[1]  # of whichever library it asks with
    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise DenseGymError(f"{HUB}{name} has no such revision") from error
    except errors.RepositoryNotFoundError as error:
        raise DenseGymError(
            f"the Hub shows no repository {name}: it is named otherwise, or hidden from your token"
        ) from error
    except (errors.LocalEntryNotFoundError, unanswered) as error:
        told = str(error).strip().splitlines()[0]
        raise DenseGymError(f"the Hub did not answer as hoped for {name}: {told}") from error
