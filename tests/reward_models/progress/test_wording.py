"""The texts judges ask with: files of users, released repositories, our own, and the label."""

from __future__ import annotations

import json
import textwrap

import pytest

from densegym.errors import RewardError, UnknownNameError
from densegym.reward_models.options import build
from densegym.reward_models.progress.judges import grm, vlac
from densegym.reward_models.progress.judges.released import READERS
from densegym.reward_models.progress.vlm.wording import find_wording, read_sections
from densegym.reward_models.registry import reward_entries
from densegym.reward_models.spec import label
from densegym.reward_models.types import TaskCard

CARD = TaskCard(id="Toy-v0", goal="open")
TRAINED = ("grm", "roboreward", "robometer", "rynnvalue", "vlac")
REACHED = {"base_url": "http://127.0.0.1:9/v1", "served": "m"}


def test_sections_keep_every_character_but_the_last_newline():
    told = "=== critic ===\n\n a\n\n=== done ===\nb"
    assert read_sections(told, "critic") == {"critic": "\n a\n", "done": "b"}
    assert read_sections("\nwhole ===\n\n", "critic") == {"critic": "\nwhole ===\n"}


def test_a_prompt_file_takes_the_place_of_ours(tmp_path):
    own = tmp_path / "own.txt"
    own.write_text("[[before]] then [[after]]: [[task]]\n")
    needs = {"critic": ("before", "after")}
    made = find_wording("vlac", "critic", prompt_file=str(own), needs=needs)
    assert made.source == "prompt file"
    assert made["critic"].text == "[[before]] then [[after]]: [[task]]"
    assert made.text("system") == "", "a file without a system message has none"
    with pytest.raises(RewardError, match="=== done ==="):
        made["done"]
    own.write_text("[[befor]] [[after]]")
    with pytest.raises(UnknownNameError, match="before"):
        find_wording("vlac", "critic", prompt_file=str(own), needs=needs)
    own.write_text("[[after]]")
    with pytest.raises(RewardError, match=r"no place \[\[before\]\]"):
        find_wording("vlac", "critic", prompt_file=str(own), needs=needs)
    own.write_text("=== critik ===\n[[before]][[after]]")
    with pytest.raises(UnknownNameError, match="critic"):
        find_wording("vlac", "critic", prompt_file=str(own), needs=needs)
    with pytest.raises(RewardError, match="cannot be read"):
        find_wording("vlac", "critic", prompt_file=str(tmp_path / "none.txt"))
    with pytest.raises(RewardError, match="leave one out"):
        find_wording("vlac", "critic", prompt_file=str(own), release=str(tmp_path))


def test_letters_need_a_place_for_them(tmp_path):
    own = tmp_path / "own.txt"
    own.write_text("[[before]][[after]]")
    with pytest.raises(RewardError, match="Leave soft out"):
        build(vlac.build, "p", {**REACHED, "soft": True, "prompt_file": str(own)}, task=CARD)


@pytest.mark.parametrize("name", TRAINED)
def test_labels_say_paraphrase_until_the_released_text_is_named(name):
    model = f"progress/{name}"
    assert label({"model": model, **REACHED}, task=CARD).startswith(f"{model} (paraphrase){{")
    for told in ({"prompt_file": "a.txt"}, {"release": "VLAC"}):
        spec = {"model": model, **REACHED, **told}
        assert label(spec, task=CARD) == model + json.dumps({**REACHED, **told}, sort_keys=True)


def test_every_trained_judge_reads_its_release_and_no_other_is_called_a_paraphrase():
    entries = {entry.name: entry for entry in reward_entries()}
    marked = {name for name, entry in entries.items() if entry.remark is not None}
    assert marked == {f"progress/{name}" for name in TRAINED}
    assert sorted(READERS) == sorted(TRAINED)


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("raise SystemExit('foreign code ran')\n" + textwrap.dedent(text))


def fake_vlac(folder):
    write(
        folder,
        "evo/utils/model_utils.py",
        """
        class Model:
            def __init__(self):
                self.system_prompt = None
                self.client.prompt_templete["v3"] = "A <image>\\nB <image>\\nof {} </x>"
                self.client.prompt_templete["v3_think"] = "0% <image>\\n<image>\\n<image> {}"
            def set_system_prompt(self):
                self.system_prompt = "You see."
        """,
    )
    write(
        folder,
        "evo/utils/data_processing_vlm.py",
        """
        TEXTS = {"v3": "old", "think": " Think.", "task_done": "1 is yes: {} <done>",
                 "context_task_done": "<goal> {} <image>\\n<image> {} <done>"}
        """,
    )
    return {
        "system": "You see.",
        "critic": "A [[before]]\nB [[after]]\nof [[task]] </x>",
        "critic after a reference": "[[reference]]0% [[start]]\n[[before]]\n[[after]] [[task]]",
        "think": " Think.",
        "done": "[[image]]1 is yes: [[task]] <done>",
        "done with a goal": "<goal> [[task]] [[goal]]\n[[image]] [[task]] <done>",
    }


def fake_grm(folder):
    shown = "".join(f"{letter} <image>\n" for letter in "abcdefgh")
    write(
        folder, "examples/inference.py", f'SYSTEM_PROMPT = """\n`{{task}}` {{{{x}}}}\n{shown}"""\n'
    )
    names = ["reference start", "reference end"]
    names += [f"{m} {v}" for m in ("before", "after") for v in ("front", "left", "right")]
    told = "".join(f"{c} [[{n}]]\n" for c, n in zip("abcdefgh", names, strict=True))
    return {"compare": f"\n`[[task]]` {{x}}\n{told}"}


def fake_robometer(folder):
    write(
        folder,
        "robometer/data/collators/rbm_heads.py",
        '''
        class Collator:
            def _process_preference_batch(self, sample):
                prompt = f"Which is better at {sample.task}?"
            def _process_progress_batch(self, sample):
                """How it is done."""
                prompt = f"How far is '{sample.trajectory.task}', in [0, 1]?"
        ''',
    )
    return {"head": "How far is '[[task]]', in [0, 1]?"}


def fake_rynnvalue(folder):
    write(
        folder,
        "value/conversations.py",
        '''
        def _meta_block(robot_description, camera_description):
            """A block."""
            told = []
            if robot_description is not None:
                told.append(f"It is {robot_description}.")
            if camera_description is not None:
                told.append(f"Seen by {camera_description}.")
            return [{"type": "text", "text": " ".join(told)}]
        def _analysis_block(description=None, match_answer=None, success_answer=None):
            lines = [f"- Film: {description}", f"- Fits: {match_answer}"]
            lines.append(f"- Ends: {success_answer}")
            text = {"type": "text", "text": "\\n".join(lines)}
            return [{"type": "text", "text": "Said: \\n"}, text]
        class Base:
            PROGRESS_QUESTION = "How long?"
            def _instruction_block(self, instruction):
                return [{"type": "text", "text": f"It does {instruction}."}]
            def build_progress(self): ...
        class History(Base):
            RELATIVE_DISTANCE_QUESTION = (
                "How much later?"
            )
            def _build_analysis_prompt(has_description):
                lines = ["Look."]
                if has_description:
                    lines.append("- Film: what.")
                lines.append("- Fits: whether.")
                lines.append("- Ends: whether.")
                return "\\n".join(lines)
            def build_progress(self, n):
                content = [{"type": "text", "text": f"Q: {self.RELATIVE_DISTANCE_QUESTION}"}]
                content.append({"type": "text", "text": f"Q: {self.PROGRESS_QUESTION}"})
                return content
        ''',
    )
    match = "Look.\n- Film: what.\n- Fits: whether.\n- Ends: whether.Said: \n- Fits:"
    return {
        "head": "It does [[task]].Q: How much later?Q: How long?",
        "robot": "It is [[robot]].",
        "camera": "Seen by [[camera]].",
        "match": match,
        "success": f"{match} Yes\n- Ends:",
    }


def fake_roboreward(folder):
    write(
        folder,
        "evals/baselines/roboreward.py",
        '''
        class Judge:
            def _build_prompt(self, task_description):
                """Grade it."""
                prompt = """Grade, 1 to 5.
        Task: {task}""".format(task=task_description)
                return prompt
        ''',
    )
    return {"score": "[[frames]]Grade, 1 to 5.\nTask: [[task]]"}


@pytest.mark.parametrize("name", TRAINED)
def test_the_released_text_is_read_without_running_anything(tmp_path, name):
    wanted = globals()[f"fake_{name}"](tmp_path)
    assert READERS[name](tmp_path) == wanted
    main = next(key for key in ("critic", "compare", "head", "score") if key in wanted)
    made = find_wording(name, main, release=str(tmp_path), released=READERS[name])
    assert made.source == "release"
    assert made[main].text == wanted[main]


@pytest.mark.parametrize("name", TRAINED)
def test_a_folder_that_is_no_release_says_what_to_type(tmp_path, name):
    with pytest.raises(RewardError, match=r"git clone https://github\.com/\w+"):
        READERS[name](tmp_path)
    with pytest.raises(RewardError, match=r"no .*nowhere"):
        find_wording(name, "x", release=str(tmp_path / "nowhere"), released=READERS[name])
    globals()[f"fake_{name}"](tmp_path)
    for path in tmp_path.rglob("*.py"):
        path.write_text("SYSTEM_PROMPT = _build_prompt = 1\n")
    with pytest.raises(RewardError, match="give prompt_file"):
        READERS[name](tmp_path)


def test_another_number_of_pictures_is_refused(tmp_path):
    write(tmp_path, "inference.py", 'SYSTEM_PROMPT = "<image> {task} <image>"\n')
    options = {**REACHED, "release": str(tmp_path)}
    with pytest.raises(RewardError, match="2 pictures; expected 8"):
        build(grm.build, "progress/grm", options, task=CARD)
