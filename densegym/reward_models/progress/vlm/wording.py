"""The texts a judge asks with: a prompt file's, a released repository's, or our own paraphrase.

Released models were trained on one text each, which is not ours to ship. A file of a user's, or
their own copy of the released repository, supplies it; without either, a judge asks in our words,
and its label says ``paraphrase``.

A prompt file is text in sections, each below a line ``=== name ===``; a file without such lines is
its judge's first section. The newline before the next such line, or at the end of the file, does
not count. ``[[name]]`` stands for a picture or a word; pictures are shown in the order of their
places.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from densegym import assets
from densegym.errors import RewardError, unknown
from densegym.reward_models.progress.remarks import PARAPHRASE, Source
from densegym.reward_models.progress.vlm.template import Template

Released: TypeAlias = Callable[[Path], Mapping[str, str]]
"""Reads the sections of a judge from a copy of its released repository."""
_HEAD = re.compile(r"^=== ([a-z ]+) ===\n", re.MULTILINE)


class Wording:
    """Sections of a prompt by name.

    Args:
        sections: by name.
        source: where they come from.
        where: file or folder, for messages.
    """

    def __init__(self, sections: Mapping[str, Template], source: Source, where: str) -> None:
        self._sections, self.source, self._where = dict(sections), source, where

    def __contains__(self, name: str) -> bool:
        """Return whether there is a section."""
        return name in self._sections

    def __getitem__(self, name: str) -> Template:
        """Return a section.

        Raises:
            RewardError: there is none; says what to write.
        """
        if name not in self._sections:
            raise RewardError(
                f'{self._where} has no section "{name}", which is asked for here. Write it below a '
                f"line: === {name} ==="
            )
        return self._sections[name]

    def text(self, name: str) -> str:
        """Return a section without places, or an empty text where there is none."""
        return self._sections[name].text if name in self._sections else ""


def find_wording(
    judge: str,
    main: str,
    *,
    prompt_file: str | None = None,
    release: str | None = None,
    released: Released | None = None,
    needs: Mapping[str, tuple[str, ...]] | None = None,
) -> Wording:
    """Return a judge's texts.

    Args:
        judge: whose; ``assets/prompts/progress/<judge>.txt`` is our own wording.
        main: section that is asked for first.
        prompt_file: a file of the user's, instead.
        release: folder with the released repository, instead.
        released: reads it.
        needs: places that a section must have, by section.

    Raises:
        RewardError: both are given, one cannot be read, or a place is missing or not known.
    """
    own = read_sections(assets.text(f"prompts/progress/{judge}.txt"), main)
    if prompt_file is not None and release is not None:
        raise RewardError("prompt_file and release both give the prompt; leave one out")
    if prompt_file is not None:
        given, where = _read(Path(prompt_file), main), prompt_file
        source: Source = "prompt file"
    elif release is not None and released is not None:
        if not Path(release).is_dir():
            raise RewardError(f"release names a folder with the released repository; no {release}")
        given, where, source = dict(released(Path(release))), release, "release"
    else:
        given, where, source = own, judge, PARAPHRASE
    _check(given, own, where, needs or {})
    made = {name: Template(text, f"{where}, {name}") for name, text in given.items()}
    return Wording(made, source, where)


def read_sections(text: str, main: str) -> dict[str, str]:
    """Return the sections of a prompt file, by name; a file without any is ``main``."""
    pieces = _HEAD.split(text if text.endswith("\n") else text + "\n")
    if len(pieces) == 1:
        return {main: pieces[0][:-1]}
    return {
        name: told.removesuffix("\n") for name, told in zip(pieces[1::2], pieces[2::2], strict=True)
    }


def _read(path: Path, main: str) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RewardError(f"the prompt {path} cannot be read: {error}") from error
    return read_sections(text, main)


def _check(
    given: Mapping[str, str],
    own: Mapping[str, str],
    where: str,
    needs: Mapping[str, tuple[str, ...]],
) -> None:
    for name, text in given.items():
        if name not in own:
            raise unknown(f"section of prompt {where}", name, own)
        known = Template(own[name], name).places
        places = Template(text, where).places
        for place in sorted(places - known):
            raise unknown(f"place of prompt {where}", place, known)
        lacking = [place for place in needs.get(name, ()) if place not in places]
        if lacking:
            raise RewardError(
                f'the section "{name}" of {where} has no place [[{lacking[0]}]], without which '
                "the model would not be shown what it is asked about"
            )
