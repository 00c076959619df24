"""The parent against workers that lie: lengths, garbage, silence, half a frame, early ends."""

from __future__ import annotations

import json
import struct
import sys
import time

import numpy as np
import pytest

from densegym.reward_models.sandbox import channel, process
from densegym.reward_models.sandbox.allowlist import inspect_source
from densegym.reward_models.sandbox.frames import Tag
from densegym.reward_models.sandbox.process import SandboxError, Worker
from densegym.reward_models.sandbox.status import Status

PROGRAM = inspect_source(
    "def compute_reward(height):\n    return height, {'r': height}", known=["height"]
)
FEATURES = {"height": np.arange(4.0)}
HEADER = struct.Struct("<4sIIQ")


def frame(tag: int, text: object, body: bytes = b"", announced: int | None = None) -> bytes:
    encoded = text if isinstance(text, bytes) else json.dumps(text).encode()
    size = len(body) if announced is None else announced
    return HEADER.pack(b"DGsb", tag, len(encoded), size) + encoded + body


READY = frame(Tag.READY, {"isolation": "ast"})
LOADED = frame(Tag.RESULT, [])
GOOD = frame(Tag.RESULT, ["r"], np.arange(8.0).tobytes())


def say(*answers: bytes, then: str = "read(); time.sleep(60)") -> str:
    """A worker that answers each request with what it is told, whatever is asked."""
    return (
        "import os, struct, time\n"
        "def read():\n"
        "    size = struct.unpack('<4sIIQ', os.read(0, 20))\n"
        "    os.read(0, size[2] + size[3])\n"
        f"answers = {answers!r}\n"
        "for i, answer in enumerate(answers):\n"
        "    if i: read()\n"
        "    while answer: answer = answer[os.write(1, answer):]\n"
        f"{then}\n"
    )


@pytest.fixture
def hire(monkeypatch):
    """Start a worker whose process runs other code."""
    hired = []

    def start(code: str, timeout_s: float = 2.0) -> Worker:
        monkeypatch.setattr(
            channel, "worker_command", lambda _: [sys.executable, "-I", "-S", "-c", code]
        )
        hired.append(Worker(timeout_s=timeout_s))
        return hired[-1]

    yield start
    for worker in hired:
        worker.close()


def test_an_honest_stranger_is_understood(hire):
    worker = hire(say(READY, LOADED, GOOD))
    worker.load(PROGRAM)
    outcome = worker.call(FEATURES)
    assert outcome.total.tolist() == [0, 1, 2, 3]
    assert outcome.parts["r"].tolist() == [4, 5, 6, 7]
    assert worker.isolation == "ast"


DEEP = b"[" * 60_000
BEGINNINGS = {
    "garbage": b"Traceback (most recent call last)",
    "wrong_magic": b"GET " + READY[4:],
    "unknown_tag": frame(99, {"isolation": "ast"}),
    "other_tag": frame(Tag.RESULT, {"isolation": "ast"}),
    "giant_text": HEADER.pack(b"DGsb", Tag.READY, 2**32 - 1, 0),
    "giant_body": frame(Tag.READY, {"isolation": "ast"}, announced=2**64 - 1),
    "no_level": frame(Tag.READY, {}),
    "level_is_no_text": frame(Tag.READY, {"isolation": ["ast"]}),
    "no_json": frame(Tag.READY, b"{"),
    "no_utf8": frame(Tag.READY, b"\xff\xfe"),
    "deep_json": frame(Tag.READY, DEEP),
    "long_number": frame(Tag.READY, b"9" * 60_000),
    "list": frame(Tag.READY, [1]),
    "pickle": b"\x80\x04\x95cos\nsystem\n(S'touch densegym-was-here'\ntR.",
}


@pytest.mark.parametrize("name", BEGINNINGS)
def test_a_bad_beginning_is_an_error(name, hire):
    with pytest.raises(SandboxError) as caught:
        hire(say(BEGINNINGS[name]))
    assert caught.value.status is Status.RUNTIME_ERROR
    assert caught.value.feedback.isprintable()


def test_a_truncated_beginning_an_early_end_and_silence(hire, monkeypatch):
    for code in (say(READY[:10], then=""), say(READY[:24], then=""), "raise SystemExit(3)"):
        with pytest.raises(SandboxError) as caught:
            hire(code)
        assert caught.value.status is Status.RUNTIME_ERROR
        assert "ended" in caught.value.feedback
    monkeypatch.setattr(process, "START_S", 0.3)
    with pytest.raises(SandboxError) as caught:
        hire("import time; time.sleep(60)")
    assert caught.value.status is Status.TIMEOUT


def result(terms: object, values: int, announced: int | None = None) -> bytes:
    return frame(Tag.RESULT, terms, np.zeros(values).tobytes(), announced)


def failed(status: object, feedback: object, body: bytes = b"") -> bytes:
    return frame(Tag.FAILED, {"status": status, "feedback": feedback}, body)


ANSWERS = {
    "giant_body": result(["r"], 8, announced=2**62),
    "largest_body": result(["r"], 8, announced=2**64 - 1),
    "short_body": result(["r"], 4),
    "long_body": result(["r"], 9),
    "uneven_body": frame(Tag.RESULT, ["r"], b"x" * 63),
    "many_terms": result([str(i) for i in range(65)], 4 * 66),
    "repeated_terms": result(["r", "r"], 12),
    "terms_no_list": result({"r": 1}, 8),
    "terms_text": result("r", 8),
    "terms_numbers": result([1], 8),
    "terms_lists": result([["r"]], 8),
    "terms_empty_name": result([""], 8),
    "terms_long_name": result(["r" * 65], 8),
    "terms_control": result(["\x1b[2J"], 8),
    "terms_surrogate": result(["\ud800"], 8),
    "failure_unknown": failed("explosion", "x"),
    "failure_ok": failed("ok", "x"),
    "failure_timeout": failed("timeout", "x"),
    "failure_unhashable": failed(["oom"], "x"),
    "failure_no_text": failed("oom", 7),
    "failure_with_body": failed("oom", "x", b"12345678"),
    "failure_list": frame(Tag.FAILED, ["oom", "x"]),
    "wrong_tag": frame(Tag.READY, {"isolation": "ast"}),
    "garbage": b"\x00" * 64,
    "giant_text": HEADER.pack(b"DGsb", Tag.RESULT, 2**31, 0),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_bad_answer_is_an_error_and_the_next_worker_is_sound(name, hire, monkeypatch):
    worker = hire(say(READY, LOADED, ANSWERS[name]))
    worker.load(PROGRAM)
    with pytest.raises(SandboxError) as caught:
        worker.call(FEATURES)
    assert caught.value.status is Status.RUNTIME_ERROR
    assert "cannot be understood" in caught.value.feedback
    monkeypatch.setattr(
        channel,
        "worker_command",
        lambda _: [sys.executable, "-I", "-S", "-c", say(READY, LOADED, GOOD)],
    )
    assert worker.call(FEATURES).total.tolist() == [0, 1, 2, 3]


def test_a_bad_answer_to_a_load_is_an_error(hire):
    with pytest.raises(SandboxError):
        hire(say(READY, frame(Tag.RESULT, [], b"12345678"))).load(PROGRAM)


def test_what_a_worker_reports_is_one_short_line(hire):
    worker = hire(say(READY, LOADED, failed("bad_shape", "a\n\x1b[2J\u202eb" + "c" * 9000)))
    worker.load(PROGRAM)
    with pytest.raises(SandboxError) as caught:
        worker.call(FEATURES)
    assert caught.value.feedback.startswith("a [2J bc")
    assert len(caught.value.feedback) == 500
    assert caught.value.status is Status.BAD_SHAPE


@pytest.mark.parametrize(
    ("then", "status"),
    [
        ("read(); time.sleep(60)", Status.TIMEOUT),
        (
            "read()\nfor byte in answer_: os.write(1, bytes([byte])); time.sleep(0.05)",
            Status.TIMEOUT,
        ),
        ("read(); os.write(1, answer_[:30])", Status.RUNTIME_ERROR),
        ("read(); os.write(1, answer_[:21]); time.sleep(60)", Status.TIMEOUT),
        ("read(); os.close(1); time.sleep(60)", Status.RUNTIME_ERROR),
        ("read(); os._exit(0)", Status.RUNTIME_ERROR),
        ("read(); os.kill(os.getpid(), 9)", Status.OOM),
        (
            "read(); import signal; signal.signal(24, signal.SIG_DFL); os.kill(os.getpid(), 24)",
            Status.TIMEOUT,
        ),
        ("read(); os.kill(os.getpid(), 11)", Status.RUNTIME_ERROR),
    ],
)
def test_a_late_or_missing_answer_has_its_status(then, status, hire):
    code = say(READY, LOADED, then=f"answer_ = {GOOD!r}\n{then}")
    worker = hire(code, timeout_s=0.5)
    worker.load(PROGRAM)
    started = time.monotonic()
    with pytest.raises(SandboxError) as caught:
        worker.call(FEATURES)
    assert caught.value.status is status, caught.value.feedback
    assert time.monotonic() - started < 2.5


def test_a_worker_that_does_not_read_is_stopped(hire):
    worker = hire(say(READY, LOADED, then="time.sleep(60)"), timeout_s=0.3)
    worker.load(PROGRAM)
    with pytest.raises(SandboxError) as caught:
        worker.call({"height": np.zeros(2_000_000)})
    assert caught.value.status is Status.TIMEOUT
