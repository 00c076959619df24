"""Reads a SentencePiece file of byte-pair encoding as a fast tokenizer, without foreign code.

InternLM2 brings its vocabulary as ``tokenizer.model`` and a Python file that turns it into a
tokenizer. Here the file is read by the rules of its format (protocol buffers), and the merges are
those of the field: two pieces merge where their union is one, the likelier union first.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from densegym.errors import ProgressBackendError, require

FILE = "tokenizer.model"
_BPE = 2  # model type
_NORMAL = 1  # kind of pieces that text becomes; others are control, bytes, or taken whole


class Pieces(NamedTuple):
    """What a SentencePiece file says.

    Attributes:
        text: of every piece, by number.
        score: of every piece; the higher, the sooner it is merged.
        kind: of every piece, as the format numbers them.
        prefixed: whether a space stands before every text.
    """

    text: list[str]
    score: list[float]
    kind: list[int]
    prefixed: bool


def read_tokenizer(path: Path) -> Any:
    """Return the tokenizer of a folder: its ``tokenizer.json``, or its SentencePiece file.

    Tokens that ``tokenizer_config.json`` or ``added_tokens.json`` add have their numbers, also
    where these are numbers of unused pieces. Every text begins with ``<s>`` as in training.

    Raises:
        ProgressBackendError: missing, damaged, or not of byte-pair encoding.
    """
    transformers = require("transformers", extra="vision")
    if (path / "tokenizer.json").is_file():
        return transformers.PreTrainedTokenizerFast.from_pretrained(path, local_files_only=True)
    try:
        pieces = read_pieces((path / FILE).read_bytes())
        added = _added(path)
        made = _tokenizer(pieces, added)
    except (OSError, ValueError, KeyError, IndexError, struct.error) as error:
        raise ProgressBackendError(f"{path / FILE} cannot be read: {error!r}") from error
    special = [name for name in added.values() if name not in ("<unk>", "<s>", "</s>")]
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
        additional_special_tokens=special,
    )


def read_pieces(told: bytes) -> Pieces:
    """Return what a SentencePiece file says.

    Raises:
        ValueError: it is damaged, or not of byte-pair encoding.
    """
    text, score, kind = list[str](), list[float](), list[int]()
    model, prefixed = 1, True
    for field, value in _fields(told):
        if field == 1:
            piece = dict(_fields(value))
            text.append(piece[1].decode("utf-8"))
            score.append(float(struct.unpack("<f", piece.get(2, b"\0\0\0\0"))[0]))
            kind.append(int(piece.get(3, 1)))
        elif field == 2:
            model = dict(_fields(value)).get(3, 1)
        elif field == 3:
            prefixed = bool(dict(_fields(value)).get(3, 1))
    if model != _BPE or not text:
        raise ValueError(f"{len(text)} pieces of model type {model}; expected {_BPE}, BPE")
    return Pieces(text, score, kind, prefixed)


def _fields(told: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of every field of a message: a number, or bytes."""
    at = 0
    while at < len(told):
        key, at = _number(told, at)
        wire = key & 7
        if wire == 0:
            value, at = _number(told, at)
            yield key >> 3, value
            continue
        if wire == 2:
            size, at = _number(told, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > len(told):
            raise ValueError("the file ends within a field")
        yield key >> 3, told[at : at + size]
        at += size


def _number(told: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = told[at]
        at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value, at


def _added(path: Path) -> dict[int, str]:
    """Return the tokens that the folder adds, by number."""
    found: dict[int, str] = {}
    own = path / "added_tokens.json"
    if own.is_file():
        found |= {number: name for name, number in json.loads(own.read_text("utf-8")).items()}
    settings = path / "tokenizer_config.json"
    if settings.is_file():
        told = json.loads(settings.read_text("utf-8")).get("added_tokens_decoder", {})
        found |= {int(number): one["content"] for number, one in told.items()}
    return dict(sorted(found.items()))


def _tokenizer(pieces: Pieces, added: dict[int, str]) -> Any:
    tokenizers = require("tokenizers", extra="vision")
    names = list(pieces.text)
    for number, name in added.items():
        if number > len(names):
            raise ValueError(f"token {name} has number {number}, and nothing has {len(names)}")
        names[number : number + 1] = [name]
    vocab = {name: number for number, name in enumerate(names)}
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE(
            vocab,
            _merges(pieces, set(added)),
            unk_token=names[0],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    rules = [tokenizers.normalizers.Replace(" ", "▁")]
    if pieces.prefixed:
        rules.insert(0, tokenizers.normalizers.Prepend("▁"))
    made.normalizer = tokenizers.normalizers.Sequence(rules)
    decoders = tokenizers.decoders
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence([*steps, *([decoders.Strip(" ", 1)] * pieces.prefixed)])
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", vocab["<s>"])]
    )
    return made


def _merges(pieces: Pieces, renamed: set[int]) -> list[tuple[str, str]]:
    """Return the pairs that merge, the likeliest union first."""
    normal = [
        index for index, kind in enumerate(pieces.kind) if kind == _NORMAL and index not in renamed
    ]
    number = {pieces.text[index]: index for index in normal}
    found = []
    for index in normal:
        text, score = pieces.text[index], pieces.score[index]
        splits = [(text[:cut], text[cut:]) for cut in range(1, len(text))]
        whole = [pair for pair in splits if pair[0] in number and pair[1] in number]
        whole.sort(key=lambda pair: (number[pair[0]], number[pair[1]]))
        found += [(score, pair) for pair in whole]
    found.sort(key=lambda one: -one[0])
    return [pair for _, pair in found]
