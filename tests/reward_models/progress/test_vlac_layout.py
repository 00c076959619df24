"""VLAC as it is released, InternVL chat with InternLM2: weights, tokenizer, refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest

from densegym.errors import ProgressBackendError
from densegym.reward_models.options import build
from densegym.reward_models.progress.judges import vlac
from densegym.reward_models.types import TaskCard

tiny = pytest.importorskip("tests.reward_models.progress.tiny_vlac")
torch = pytest.importorskip("torch")

CARD = TaskCard(id="Toy-v0", goal="open")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vlac")
    return folder, tiny.save(folder)


def opened(folder):
    from densegym.reward_models.progress.vlm.loading import open_checkpoint

    return open_checkpoint(str(folder), vlac.ARCHITECTURES, "cpu", "auto")


def test_the_converted_network_is_the_same_to_the_last_weight(released):
    folder, network = released
    made = opened(folder)
    own, wanted = made.model.state_dict(), network.state_dict()
    assert own.keys() == wanted.keys()
    assert all(torch.equal(own[name], wanted[name]) for name in wanted)
    pictures = np.random.default_rng(0).integers(0, 255, (2, 56, 56, 3), dtype=np.uint8)
    inputs = made.encoder.encode([["a ", pictures[0], "b", pictures[1]]], left=True)
    with torch.inference_mode():
        said, true = made.model(**inputs).logits, network(**inputs).logits
    assert torch.allclose(said, true, atol=1e-5)
    assert said.std() > 0.1


def test_internlm2s_matrix_attends_as_its_parts_do(released):
    """The fused matrix by InternLM2's own rule, against the parts that were made of it."""
    folder, _ = released
    from densegym.reward_models.progress.vlm.internvl import converted_weights

    config = json.loads((folder / "config.json").read_text())
    heads, groups, width = tiny.HEADS, tiny.GROUPS, tiny.HIDDEN // tiny.HEADS
    fused = torch.randn((heads + 2 * groups) * width, tiny.HIDDEN)
    name = "language_model.model.layers.0.attention.wqkv.weight"
    parts = dict(converted_weights({name: fused}, config))
    x = torch.randn(5, tiny.HIDDEN)
    together = (x @ fused.T).reshape(5, groups, heads // groups + 2, width)
    q, k, v = (
        x @ parts[f"model.language_model.layers.0.self_attn.{c}_proj.weight"].T for c in "qkv"
    )
    assert torch.allclose(together[:, :, :-2].reshape(5, -1), q, atol=1e-5)
    assert torch.allclose(together[:, :, -2].reshape(5, -1), k, atol=1e-5)
    assert torch.allclose(together[:, :, -1].reshape(5, -1), v, atol=1e-5)


def test_the_judge_runs_from_the_released_folder(released):
    folder, _ = released
    judge = build(vlac.build, "progress/vlac", {"checkpoint": str(folder)}, task=CARD).judge
    shown = np.random.default_rng(1).integers(0, 255, (2, 1, 48, 48, 3), dtype=np.uint8)
    seen = judge.see(shown)
    verdict = judge.hop(seen[[0]], seen[[1]], seen[[0]], None, ["open <img> the drawer"])
    assert verdict.value.shape == (1,)
    assert judge.counts["asked"] >= 1


def test_the_tokenizer_is_read_from_the_sentencepiece_file(released):
    from densegym.reward_models.progress.vlm.sentencepieces import read_tokenizer

    words = read_tokenizer(released[0])
    names = {text: number for number, (text, _, _) in enumerate(tiny.pieces())}
    ids = words("<|im_start|>the hat é<|im_end|>")["input_ids"]
    count = len(names)
    told = [1, count - 1, names["the"], names["▁"], names["h"], names["a"], names["t"]]
    told += [names["▁"], names["<0xC3>"], names["<0xA9>"], count - 2]
    assert ids == told, "a start, likelier unions first, bytes of what no piece holds, added tokens"
    assert words.decode(ids[2:-1]) == "the hat é"
    assert words.convert_tokens_to_ids("<IMG_CONTEXT>") == count + 2
    assert len(words) == count + 3


def test_a_space_stands_before_a_text_where_the_file_says_so(tmp_path):
    from densegym.reward_models.progress.vlm.sentencepieces import read_tokenizer

    (tmp_path / "tokenizer.model").write_bytes(tiny.sentencepiece(prefixed=True))
    words = read_tokenizer(tmp_path)
    assert words.convert_ids_to_tokens(words("the")["input_ids"]) == ["<s>", "▁the"]
    assert words.decode(words("the")["input_ids"][1:]) == "the"


@pytest.mark.parametrize("told", [b"", b"\xff" * 40, tiny.sentencepiece()[:-3], b"no file"])
def test_a_damaged_tokenizer_is_named(tmp_path, told):
    from densegym.reward_models.progress.vlm.sentencepieces import read_tokenizer

    (tmp_path / "tokenizer.model").write_bytes(told)
    with pytest.raises(ProgressBackendError, match=r"tokenizer\.model cannot be read"):
        read_tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(tiny.sentencepiece(model=1))
    with pytest.raises(ProgressBackendError, match="expected 2, BPE"):
        read_tokenizer(tmp_path)


def test_another_language_model_and_a_missing_weight_are_named(tmp_path):
    tiny.save(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    config["llm_config"]["architectures"] = ["Qwen2ForCausalLM"]
    path.write_text(json.dumps(config))
    with pytest.raises(ProgressBackendError, match=r"Qwen2ForCausalLM; InternLM2ForCausalLM"):
        opened(tmp_path)
    config["llm_config"]["architectures"] = ["InternLM2ForCausalLM"]
    config["llm_config"]["num_hidden_layers"] = tiny.LAYERS + 1
    path.write_text(json.dumps(config))
    with pytest.raises(ProgressBackendError, match="weights are missing"):
        opened(tmp_path)
