"""What labels say of judges whose model was trained on a text that is not ours to ship."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

Source: TypeAlias = Literal["paraphrase", "prompt file", "release"]
"""Where the text a judge asks with comes from."""
PARAPHRASE: Source = "paraphrase"


def remark(options: Mapping[str, Any]) -> str:
    """Return that a judge asks in our words, unless its options name the released text."""
    told = options.get("prompt_file") or options.get("release")
    return "" if told else PARAPHRASE
