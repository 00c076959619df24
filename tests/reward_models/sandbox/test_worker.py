"""The worker process: equal to this process bit for bit, confined, and gone when it should be."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densegym.envs.tasks import worlds
from densegym.errors import RewardError
from densegym.reward_models.sandbox import vocabulary
from densegym.reward_models.sandbox.allowlist import Inspection, inspect_words
from densegym.reward_models.sandbox.namespace import load_entry
from densegym.reward_models.sandbox.process import SandboxError, Worker
from densegym.reward_models.sandbox.status import Status
from tests.reward_models.sandbox.corpus import body
from tests.reward_models.sandbox.test_allowlist import REWARDS, WIDE, parameters

WIDTHS = {
    **{
        feature.name: feature.shape[0]
        for world in worlds()
        for feature in world.card.features
        if len(feature.shape) == 1
    },
    "position": 3, "hand_position": 3, "object_position": 3, "goal_position": 3,
    "torso_velocity": 3, "torso_quaternion": 4, "joint_velocities": 8, "foot_height": 4,
    "foot_contact": 4, "action": 8, "achieved_goal": 3, "desired_goal": 3,
}  # fmt: skip
MEMORY = """
MEMORY = 2
def compute_reward(height, memory):
    best = np.maximum(memory[:, 1], height)
    return best, {"best": best}, np.stack([memory[:, 0] + 1.0, best], axis=1)
"""
FACTORS = "def factors(height, position):\n    return {'h': height, 'x': position[:, 0]}"
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture(scope="module")
def worker():
    with Worker() as shared:
        yield shared


def batch(names, rows: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)

    def feature(name: str) -> np.ndarray:
        if name == "terminated":
            return rng.random(rows) < 0.3
        width = WIDTHS.get(name.removeprefix("prev_"))
        values = rng.normal(size=rows if width is None else (rows, width))
        values[rng.random(values.shape) < 0.05] = rng.choice([0.0, -0.0, np.nan, np.inf, 1e300])
        return values

    return {name: feature(name) for name in names}


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def checked(source: str, known) -> Inspection:
    inspection = inspect_words(source, known=known)
    assert inspection.status is Status.OK, inspection.feedback
    return inspection


# Potentials and programs with a memory are called in other ways; they have tests of their own.
STATELESS = {path.stem: path.read_text() for path in REWARDS}
STATELESS = {
    stem: source
    for stem, source in STATELESS.items()
    if "def compute_reward" in source and "MEMORY" not in source
}
PROGRAMS = STATELESS | {"wide": WIDE}


@pytest.mark.parametrize("name", PROGRAMS)
def test_shipped_programs_score_as_in_this_process_bit_for_bit(name, worker):
    names = parameters(PROGRAMS[name]) if name != "wide" else ["position", "height", "terminated"]
    inspection = checked(PROGRAMS[name], names)
    entry = load_entry(inspection)
    worker.load(inspection)

    @settings(max_examples=8)
    @given(rows=st.integers(1, 70), seed=st.integers(0, 2**32 - 1))
    def agree(rows, seed):
        features = batch(names, rows, seed)
        with np.errstate(all="ignore"):
            total, parts = entry(*(features[name] for name in names))
        outcome = worker.call(features)
        assert same(outcome.total, total)
        assert list(outcome.parts) == list(parts)
        assert all(same(outcome.parts[term], parts[term]) for term in parts)

    agree()


ARGUMENTS = (
    "height",
    "height, height",
    "position, position",
    "position.T, position",
    "position, axis=1",
    "position, (3, 6)",
    "(height, height)",
    "height, 0",
    "height > 0, height, 0.0",
    "height, 0.0, 1.0",
    "[height > 0], [height]",
    "height, [0.0, 1.0], [1.0, 2.0]",
    "3",
)


def try_here(source: str, features) -> tuple[Inspection, np.ndarray] | None:
    inspection = inspect_words(source, known=["height", "position"])
    if inspection.status is not Status.OK:
        return None
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return inspection, load_entry(inspection)(**features)["r"]
        except (TypeError, ValueError, AttributeError):
            return None


METHOD_ARGUMENTS = ("", "axis=1", "float", "-1", "0.0, 1.0", "position.T")
OF_DICTS = {
    "items": "{{1: 2.0}}",
    "keys": "{{1: 2.0}}",
    "values": "{{1: 2.0}}",
    "get": "{{0.0: 2.0}}",
}
CALLS = {f"np.{name}": (f"np.{name}({{}})", ARGUMENTS) for name in vocabulary.NUMPY} | {
    f".{name}": (f"{OF_DICTS.get(name, 'position')}.{name}({{}})", METHOD_ARGUMENTS)
    for name in vocabulary.METHODS
}
USES = ("np.array(value, dtype=float)", "np.array(list(value), dtype=float)")


@pytest.mark.parametrize("name", CALLS)
def test_every_allowed_function_works_in_the_confined_process(name, worker):
    call, arguments = CALLS[name]
    features = {"height": np.linspace(-1, 1, 6), "position": np.linspace(-2, 2, 18).reshape(6, 3)}
    frame = (
        "def factors(height, position):\n    value = {}\n"
        "    return {{'r': {}.sum() + 0.0 * height}}"
    )
    programs = [frame.format(call.format(given), use) for given in arguments for use in USES]
    tried = [found for source in programs if (found := try_here(source, features)) is not None]
    assert tried, f"no arguments fit {name}"
    for inspection, expected in tried:
        worker.load(inspection)
        assert same(worker.call(features).parts["r"], expected)


def test_factors_have_no_total_and_a_potential_no_parts(worker):
    features = batch(["height", "position"], 5, 0)
    worker.load(checked(FACTORS, ["height", "position"]))
    outcome = worker.call(features)
    assert list(outcome.parts) == ["h", "x"]
    assert same(outcome.parts["x"], features["position"][:, 0].copy())
    assert not outcome.total.any()
    worker.load(checked("def potential(height):\n    return height", ["height"]))
    outcome = worker.call(features)
    assert same(outcome.total, features["height"])
    assert (outcome.parts, outcome.memory) == ({}, None)


def test_memory_goes_in_and_out(worker):
    worker.load(checked(MEMORY, ["height"]))
    first = worker.call({"height": np.array([1.0, -2.0])})
    assert first.memory.tolist() == [[1, 1], [1, 0]]
    second = worker.call({"height": np.array([0.0, 5.0])}, first.memory)
    assert second.memory.tolist() == [[2, 1], [2, 5]]
    assert second.total.tolist() == [1, 5]
    with pytest.raises(RewardError, match=r"memory has shape \(2, 3\)"):
        worker.call({"height": np.zeros(2)}, np.zeros((2, 3)))


def test_any_numbers_any_layout_and_no_rows(worker):
    worker.load(checked("def potential(height, terminated):\n    return height + terminated",
                        ["height", "terminated"]))  # fmt: skip
    strided = np.arange(12, dtype=np.int32).reshape(2, 6)[:, ::2].T[:, 0]
    outcome = worker.call({"height": strided, "terminated": np.array([True, False, True])})
    assert outcome.total.tolist() == [1, 2, 5]
    outcome.total[0] = 7.0  # the caller's own
    assert worker.call({"height": [], "terminated": []}).total.shape == (0,)


def test_what_a_caller_gets_wrong(worker):
    with Worker() as idle, pytest.raises(RewardError, match="no program is loaded"):
        idle.call({})
    worker.load(checked(FACTORS, ["height", "position"]))
    with pytest.raises(RewardError, match="reads position; given: height"):
        worker.call({"height": np.zeros(2)})
    with pytest.raises(RewardError, match="differ in their number of rows"):
        worker.call({"height": np.zeros(2), "position": np.zeros((3, 3))})
    with pytest.raises(SandboxError, match="static_reject: line 1"):
        worker.load(inspect_words("import os", known=[]))


def test_errors_survive_pickling():
    error = pickle.loads(pickle.dumps(SandboxError(Status.OOM, "why")))
    assert (error.status, error.feedback, str(error)) == (Status.OOM, "why", "oom: why")


def test_batches_beyond_its_memory_are_refused():
    with Worker(memory_bytes=400 << 20) as small:
        small.load(checked("def potential(height):\n    return height", ["height"]))
        with pytest.raises(SandboxError) as caught:
            small.call({"height": np.zeros(60_000_000)})
        assert caught.value.status is Status.OOM
        assert small.call({"height": np.ones(2)}).total.tolist() == [1, 1]


def test_a_worker_goes_on_with_its_program_after_a_failure():
    source = body("x = 1", "for i in range(3):", "    x = np.zeros(int(height[0])).sum()",
                  "return height + x, {}")  # fmt: skip
    with Worker() as worker:
        worker.load(checked(source, ["position", "height"]))
        features = {"position": np.zeros((2, 3)), "height": np.array([1e9, 0.0])}
        with pytest.raises(SandboxError, match="oom: line 4"):
            worker.call(features)
        features["height"] = np.array([3.0, 4.0])
        assert worker.call(features).total.tolist() == [3, 4]


def test_an_interrupted_call_leaves_no_half_frame(worker, monkeypatch):
    worker.load(checked("def potential(height):\n    return height", ["height"]))

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("densegym.reward_models.sandbox.channel.Channel.receive", interrupt)
        with pytest.raises(KeyboardInterrupt):
            worker.call({"height": np.ones(2)})
    assert worker.call({"height": np.full(2, 5.0)}).total.tolist() == [5, 5]


# Confinement. These programs stand for ones that got past the static check.

ESCAPED = """
def factors(height):
    for kind in ().__class__.__base__.__subclasses__():
        if kind.__name__ == "_wrap_close":
            os = kind.__init__.__globals__
    modules = os["sys"].modules
    libc = modules["ctypes"].CDLL(None)
    port = (height[0].item().__int__()).to_bytes(2, "big")
    address = b"\\x02\\x00" + port + b"\\x7f\\x00\\x00\\x01" + b"\\x00" * 8

    def fork():
        if os["fork"]() == 0:
            os["_exit"](0)

    def connect():
        if libc.connect(libc.socket(2, 1, 0), address, 16) != 0:
            1 / 0

    resource = modules["resource"]
    attempts = {
        "read": lambda: os["open"]("/etc/passwd", 0),
        "read_up": lambda: os["open"]("../../../../etc/passwd", 0),
        "list": lambda: 1 / len(os["listdir"]("/")),
        "write": lambda: os["open"]("/densegym-was-here", 65),
        "write_here": lambda: os["open"]("densegym-was-here", 65),
        "execute": lambda: os["execv"]("/bin/true", ["true"]),
        "fork": fork,
        "connect": connect,
        "become_root": lambda: os["setuid"](0),
        "more_memory": lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
        "more_processes": lambda: resource.setrlimit(resource.RLIMIT_NPROC, (9, 9)),
        "import": lambda: modules["builtins"].__import__("socketserver"),
        "environment": lambda: os["environ"]["PATH"],
    }
    done = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            done[name] = 1.0 + 0.0 * height
        except:
            done[name] = 0.0 * height
    return done
"""


@linux
def test_a_program_that_escapes_finds_nothing(worker):
    if not worker.isolation.startswith("ast+process+ns"):
        pytest.skip("this system lets nobody have a namespace")
    lines = tuple(range(1, ESCAPED.count("\n") + 2))
    escaped = Inspection(
        status=Status.OK, kind="factors", parameters=("height",), code=ESCAPED, lines=lines
    )
    with socket.create_server(("127.0.0.1", 0)) as server, Worker() as worker:
        worker.load(escaped)
        height = np.full(3, float(server.getsockname()[1]))
        done = {name: column[0] for name, column in worker.call({"height": height}).parts.items()}
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert done == dict.fromkeys(done, 0.0)
    assert len(done) == 13


def process_of(worker: Worker) -> Path:
    return Path(f"/proc/{worker._channel.pid}")


@linux
def test_limits_are_set_and_the_network_is_cut(worker):
    worker.load(checked("def potential(height):\n    return height", ["height"]))
    worker.call({"height": np.ones(2)})
    limits = {
        line[:26].strip(): line[26:].split()[:2]
        for line in (process_of(worker) / "limits").read_text().splitlines()[1:]
    }
    assert limits["Max address space"] == [str(2 << 30)] * 2
    for name, value in (
        ("file size", 0),
        ("core file size", 0),
        ("processes", 0),
        ("open files", 16),
    ):
        assert limits[f"Max {name}"] == [str(value)] * 2
    assert int(limits["Max cpu time"][0]) <= 60
    status = (process_of(worker) / "status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status
    assert "Threads:\t1" in status
    own = os.readlink("/proc/self/ns/net")
    cut = os.readlink(process_of(worker) / "ns/net") != own
    assert worker.isolation == ("ast+process+ns" if cut else "ast+process")
    assert os.getpgid(worker._channel.pid) == os.getsid(worker._channel.pid) == worker._channel.pid


@linux
def test_a_deaf_owner_has_a_worker_that_hears():
    """NetHack leaves SIGHUP and SIGXCPU ignored in its process, and children inherit that."""
    before = signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    try:
        with Worker() as worker:
            lines = (process_of(worker) / "status").read_text().splitlines()
    finally:
        signal.signal(signal.SIGXCPU, before or signal.SIG_DFL)
    ignored = int(next(line for line in lines if line.startswith("SigIgn")).split()[1], 16)
    assert not ignored & (1 << (signal.SIGXCPU - 1))


# Ends.


def gone(pid: int, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@linux
def test_closing_and_forgetting_end_the_process():
    closed = Worker()
    pid = closed._channel.pid
    closed.close()
    closed.close()
    assert not Path(f"/proc/{pid}").exists()
    forgotten = Worker()
    pid = forgotten._channel.pid
    del forgotten
    gc.collect()
    assert not Path(f"/proc/{pid}").exists()


@linux
def test_a_fork_of_the_owner_leaves_the_worker_alone(worker):
    worker.load(checked("def potential(height):\n    return height", ["height"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of threads
        child = os.fork()
    if child == 0:
        worker.close()
        os._exit(0)
    os.waitpid(child, 0)
    pid = worker._channel.pid
    assert worker.call({"height": np.ones(2)}).total.tolist() == [1, 1]
    assert worker._channel.pid == pid


@linux
def test_a_worker_of_a_thread_that_ended_is_replaced():
    hired = []
    thread = threading.Thread(target=lambda: hired.append(Worker()))
    thread.start()
    thread.join()
    assert gone(hired[0]._channel.pid)
    with hired[0] as worker:
        worker.load(checked("def potential(height):\n    return height", ["height"]))
        assert worker.call({"height": np.ones(2)}).total.tolist() == [1, 1]


OWNER = """
import sys
import numpy as np
from densegym.reward_models.sandbox.allowlist import inspect_words
from densegym.reward_models.sandbox.process import Worker
worker = Worker(timeout_s=60.0)
worker.load(inspect_words(sys.argv[1], known=["height"]))
print(worker._channel.pid, flush=True)
worker.call({"height": np.ones(2)})
print("answered", flush=True)
if sys.argv[2] == "wait":
    sys.stdin.read()
"""
IDLE = "def potential(height):\n    return height"
ENDLESS = "def potential(height):\n    x = 0\n" + "".join(
    "    " * (i + 1) + f"for i{i} in range(4096):\n" for i in range(3)
) + "    " * 4 + "x += 1\n    return height"  # fmt: skip


def start_owner(source: str, then: str, temporary: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", OWNER, source, then],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    )


@linux
@pytest.mark.parametrize("source", [IDLE, ENDLESS], ids=["idle", "busy"])
def test_nothing_outlives_an_owner_that_is_killed(source, tmp_path):
    with start_owner(source, "wait", tmp_path) as owner:
        pid = int(owner.stdout.readline())
        if source is IDLE:
            assert owner.stdout.readline() == "answered\n"
        else:
            time.sleep(0.2)
        owner.send_signal(signal.SIGKILL)
        owner.communicate()
    assert gone(pid)
    assert [*tmp_path.iterdir()] == []


@linux
def test_nothing_outlives_an_owner_that_forgets_to_close(tmp_path):
    with start_owner(IDLE, "leave", tmp_path) as owner:
        out, err = owner.communicate(timeout=60)
    assert owner.returncode == 0, err
    assert err == ""
    assert gone(int(out.split()[0]), within_s=0.5)
    assert [*tmp_path.iterdir()] == []


def test_a_batch_of_4096_costs_at_most_a_microsecond_per_transition(worker):
    names = ["hand_position", "object_position", "prev_hand_position", "prev_object_position",
             "grip", "terminated"]  # fmt: skip
    source = """
def compute_reward(hand_position, object_position, prev_hand_position, prev_object_position,
                   grip, terminated):
    before = np.linalg.norm(prev_hand_position - prev_object_position, axis=1)
    after = np.linalg.norm(hand_position - object_position, axis=1)
    terms = {"reach": 10.0 * (before - after), "near": np.exp(-after),
             "hold": 0.5 * np.tanh(grip), "end": -1.0 * terminated}
    return terms["reach"] + terms["near"] + terms["hold"] + terms["end"], terms
"""
    worker.load(checked(source, names))
    features = batch(names, 4096, 0)
    times = []
    for _ in range(30):
        started = time.perf_counter()
        worker.call(features)
        times.append(time.perf_counter() - started)
    assert min(times) / 4096 < 1e-6
