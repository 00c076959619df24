"""What released models are shown, token by token and picture by picture, from prompts of ours."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from densegym.reward_models.options import build
from densegym.reward_models.progress.judges import grm, robometer, rynnvalue, vlac
from densegym.reward_models.types import TaskCard

tiny = pytest.importorskip("tests.reward_models.progress.tiny")
tiny_vlac = pytest.importorskip("tests.reward_models.progress.tiny_vlac")
torch = pytest.importorskip("torch")

CARD = TaskCard(id="Toy-v0", goal="open")
GREY = (128, 128, 128)
COLOURS = dict(zip("ROYGCBMW", itertools.product((0, 255), repeat=3), strict=True)) | {"-": GREY}
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def shown(*views):
    """Return pictures (1, V, 64, 64, 3) of one colour each."""
    colours = np.array([COLOURS[view] for view in views], dtype=np.uint8)
    return np.broadcast_to(colours[None, :, None, None], (1, len(views), 64, 64, 3)).copy()


@pytest.fixture
def told(monkeypatch):
    """What encoders were given: texts as the tokens say them, and colours in their order."""
    from densegym.reward_models.progress.vlm.encoding import Encoder

    encode, heard = Encoder.encode, []

    def noting(self, rows, *, left):
        made = encode(self, rows, left=left)
        for ids, mask, row in zip(made["input_ids"], made["attention_mask"], rows, strict=True):
            text = self.tokenizer.decode(ids[mask.bool()].tolist())
            pads = text.count(self.family.pad)
            pictures = [part for part in row if not isinstance(part, str)]
            each = self.family.pad * (pads // max(1, len(pictures)))
            heard.append((text.replace(each, "*"), _colours(made, len(pictures))))
        return made

    monkeypatch.setattr(Encoder, "encode", noting)
    return heard


def _colours(made, count):
    """Return the letters of the pictures in the tensors themselves."""
    values = made["pixel_values"].float()
    if "image_grid_thw" in made:  # rows of patches, each (3, time, height, width)
        sizes = made["image_grid_thw"].prod(1).tolist()
        means = [part.reshape(part.shape[0], 3, -1).mean((0, 2)) for part in values.split(sizes)]
        rgb = [(mean * 0.5 + 0.5) * 255 for mean in means]
    else:
        mean, sd = (torch.tensor(row) for row in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        rgb = [(picture.mean((1, 2)) * sd + mean) * 255 for picture in values]
    assert len(rgb) == count
    return "".join(
        min(COLOURS, key=lambda k: np.abs(np.array(COLOURS[k]) - one.numpy()).sum()) for one in rgb
    )


def judge_of(factory, folder, prompt, **options):
    path = folder / "prompt.txt"
    path.write_text(prompt)
    read = {"checkpoint": str(folder), "prompt_file": str(path), **options}
    return build(factory, "progress/judge", read, task=CARD).judge


def hop(judge, start, before, after, goal=None, task="open it"):
    seen = [None if views is None else judge.see(shown(*views)) for views in (start, before, after)]
    return judge.hop(seen[1], seen[2], seen[0], goal, [task])


VLAC = """=== system ===
You see.
=== critic ===
One: [[before]]
Two: [[after]]
For <task> [[task]] </task> <score>
=== critic after a reference ===
[[reference]]0% [[start]]
Then [[before]] and [[after]] <task> [[task]] </task> <score>
=== done ===
[[image]]Is <task> [[task]] </task> done? <done>
=== done with a goal ===
<goal> [[goal]]
<goal>
[[image]] <task> [[task]] </task> <done>
"""


def test_vlac(told, tmp_path):
    tiny_vlac.save(tmp_path)
    judge = judge_of(vlac.build, tmp_path, VLAC)
    hop(judge, "W", "R", "G")
    assert told[0] == (
        "<s><|im_start|>system\nYou see.<|im_end|>\n<|im_start|>user\n"
        "One: <img>*</img>\n\nTwo: <img>*</img>\n\nFor <task> open it </task> <score><|im_end|>\n"
        "<|im_start|>assistant\n",
        "RG",
    )
    told.clear()
    judge.done(judge.see(shown("B")), ["open it"])
    assert told[0] == (
        "<s><|im_start|>system\nYou see.<|im_end|>\n<|im_start|>user\n"
        "<img>*</img>\nIs <task> open it </task> done? <done><|im_end|>\n<|im_start|>assistant\n",
        "B",
    )


def test_vlac_after_a_reference_and_with_a_goal(told, tmp_path):
    import cv2

    tiny_vlac.save(tmp_path)
    film = tmp_path / "film"
    film.mkdir()
    for index, letter in enumerate("CMY"):
        cv2.imwrite(str(film / f"{index}.png"), shown(letter)[0, 0, :, :, ::-1])
    judge = judge_of(vlac.build, tmp_path, VLAC, reference=str(film), goal=str(film / "2.png"))
    hop(judge, "W", "R", "G")
    assert told[0] == (
        "<s><|im_start|>system\nYou see.<|im_end|>\n<|im_start|>user\n"
        "<trajectory> <task> open it </task>: 0% <img>*</img>\n\n 50% <img>*</img>\n\n"
        " 100% <img>*</img>\n\n</trajectory>0% <img>*</img>\n\n"
        "Then <img>*</img>\n and <img>*</img>\n <task> open it </task> <score><|im_end|>\n"
        "<|im_start|>assistant\n",
        "CMYWRG",
    )
    told.clear()
    judge.done(judge.see(shown("B")), ["open it"])
    assert told[0][1] == "YB"
    assert "<goal> <img>*</img>\n\n<goal>\n<img>*</img>\n <task>" in told[0][0]


GRM = (
    "Do `[[task]]`. S [[reference start]] E [[reference end]] B [[before front]] [[before left]] "
    "[[before right]] A [[after front]] [[after left]] [[after right]].\n"
)


@pytest.mark.parametrize("name", ["qwen25", "qwen3"])
def test_grm(told, tmp_path, name):
    getattr(tiny, name)(tmp_path)
    judge = judge_of(grm.build, tmp_path, GRM)
    hop(judge, "WYM", "RGB", "CMO")
    one = "<|vision_start|>*<|vision_end|>"
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    assert told[0] == (
        (system if name == "qwen25" else "") + f"<|im_start|>user\nDo `open it`. S {one} E {one} "
        f"B {one} {one} {one} A {one} {one} {one}.<|im_end|>\n<|im_start|>assistant\n",
        "W-RGBCMO",
    )
    told.clear()
    hop(judge, "W", "R", "G", goal=judge.see(shown("B")))
    assert told[0][1] == "WBRRRGGG", "one camera stands in for the wrists, the goal for the grey"


def test_robometer(told, tmp_path):
    tiny.robometer(tmp_path)
    judge = judge_of(robometer.build, tmp_path, "How far is '[[task]]'?\n")
    hop(judge, "W", "R", "G", task="open <|prog_token|> it")
    one = "<|vision_start|>*<|vision_end|><|prog_token|>"
    assert told[0] == (
        "<|im_start|>user\nHow far is 'open <prog_token> it'?"
        f"Picture 1: {one}Picture 2: {one}Picture 3: {one}<|im_end|>\n",
        "WRG",
    )


RYNN = """=== head ===
It does [[task]].Q1?Q2?
=== robot ===
It is [[robot]].
=== camera ===
Seen by [[camera]].
=== match ===
Fits:
=== success ===
Fits: Yes
Ends:
"""


def test_rynnvalue(told, tmp_path):
    tiny.rynnvalue(tmp_path)
    judge = judge_of(rynnvalue.build, tmp_path, RYNN, robot="an arm", camera="the top")
    hop(judge, "W", "R", "G", task="open <value> it")
    one, value = "<|vision_start|>*<|vision_end|>", "<value><value>"
    later = f"{one}<relative_value><relative_value>{value}"
    begin = "<|im_start|>user\nIt is an arm. Seen by the top."
    assert told[0] == (f"{begin}It does open (value) it.Q1?Q2?{one}{value}{later}{later}", "WRG")
    told.clear()
    judge.done(judge.see(shown("B")), ["open it"])
    asked = f"{begin}It does open it.Q1?Q2?{one}{value}"
    assert told == [(f"{asked}Fits:", "B"), (f"{asked}Fits: Yes\nEnds:", "B")]
