"""Lets a checkpoint write its replies, greedily, a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from densegym.errors import require
from densegym.reward_models.llm.types import LLMError, Reply
from densegym.reward_models.progress.vlm.encoding import harmless
from densegym.reward_models.progress.vlm.loading import Opened
from densegym.reward_models.progress.vlm.question import Arrived, Question


class CheckpointAsker:
    """Answers questions with a checkpoint on this machine.

    Args:
        opened: the checkpoint.
        batch: questions at a time.
    """

    def __init__(self, opened: Opened, batch: int) -> None:
        self._model, self._encoder = opened.model, opened.encoder
        self._batch, self.who = batch, opened.who
        self.spent = {"calls": 0.0, "usd": 0.0}

    def batch(self) -> AbstractContextManager[None]:
        """Do nothing: a checkpoint is waited for."""
        return nullcontext()

    def ask(self, questions: Sequence[Question], arrived: Arrived) -> list[Reply | LLMError]:
        """Return every reply; nothing is ever late."""
        self.spent["calls"] += len(questions)
        said: list[Reply | LLMError] = [LLMError("not asked")] * len(questions)
        limits = {(one.max_tokens, one.alternatives) for one in questions}
        for limit in sorted(limits):
            rows = [
                row
                for row, one in enumerate(questions)
                if (one.max_tokens, one.alternatives) == limit
            ]
            for begin in range(0, len(rows), self._batch):
                chunk = rows[begin : begin + self._batch]
                written = self._write([questions[row] for row in chunk], *limit)
                for row, reply in zip(chunk, written, strict=True):
                    said[row] = reply
        return said

    def close(self) -> None:
        """Hold nothing but memory."""

    def _write(
        self, questions: Sequence[Question], max_tokens: int, alternatives: int
    ) -> list[Reply]:
        torch = require("torch", extra="agents")
        encoder, began = self._encoder, time.monotonic()
        rows = [encoder.chat(harmless(one.parts), one.system) for one in questions]
        inputs = encoder.encode(rows, left=True)
        if "pixel_values" in inputs:
            inputs["pixel_values"] = inputs["pixel_values"].to(self._model.dtype)
        with torch.inference_mode():
            made = self._model.generate(
                **inputs,
                max_new_tokens=max_tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                eos_token_id=encoder.end_id,
                pad_token_id=encoder.tokenizer.pad_token_id or encoder.end_id,
                return_dict_in_generate=True,
                output_logits=alternatives > 0,
            )
        sent = inputs["input_ids"].shape[1]
        replies = []
        for row, new in enumerate(made.sequences[:, sent:].tolist()):
            written = new[: new.index(encoder.end_id)] if encoder.end_id in new else new
            replies.append(
                Reply(
                    text=encoder.tokenizer.decode(written, skip_special_tokens=True),
                    finish="stop" if encoder.end_id in new else "length",
                    tokens_in=int(inputs["attention_mask"][row].sum()),
                    tokens_out=len(written),
                    usd=0.0,
                    latency_s=time.monotonic() - began,
                    model=self.who,
                    alternatives=self._likely(made, row, alternatives),
                )
            )
        return replies

    def _likely(self, made: Any, row: int, count: int) -> tuple[dict[str, float], ...]:
        """Return the log-probabilities of the likely first tokens."""
        if count == 0:
            return ()
        scores, tokens = made.logits[0][row].float().log_softmax(-1).topk(count)
        likely: dict[str, float] = {}
        for token, score in zip(tokens.tolist(), scores.tolist(), strict=True):
            likely.setdefault(self._encoder.tokenizer.decode([token]), score)
        return (likely,)
