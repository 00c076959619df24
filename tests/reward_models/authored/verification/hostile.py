"""Reward programs that would do harm where they run, by kind, each with the verdicts it may get.

All of them pass a check of their words alone, and most a check on one batch of a thousand rows.
Features are those of ``tests.toys.CARD``.
"""

from __future__ import annotations

from typing import NamedTuple

from densegym.reward_models.sandbox.status import Status

STATIC, SHAPE, RUNTIME = Status.STATIC_REJECT, Status.BAD_SHAPE, Status.RUNTIME_ERROR
TIMEOUT, OOM, UNSTABLE = Status.TIMEOUT, Status.OOM, Status.UNSTABLE
CONSTANT = Status.CONSTANT


class Hostile(NamedTuple):
    kind: str
    source: str
    statuses: tuple[Status, ...]


def reward(*lines: str, result: str = "r") -> str:
    head = "def compute_reward(height, position, push, told):\n"
    body = [*lines, f"return {result}, {{'r': {result}}}"]
    return head + "\n".join(f"    {line}" for line in body)


def remembering(*lines: str, memory: str = "memory + 1.0") -> str:
    body = [*lines, f"return r, {{'r': r}}, {memory}"]
    head = "MEMORY = 1\ndef compute_reward(height, memory, told):\n    age = memory[:, 0]\n"
    return head + "\n".join(f"    {line}" for line in body)


LOOPS = (
    "for i in range(4096):\n        for j in range(4096):\n            r = r + 1.0",
    "for i in range(100):\n        for j in range(100):\n            r = r * 0.9",
    "for i in range(4096):\n        r = np.sin(r)",
    "l = [1.0]\n    for i, x in enumerate(l):\n        l += [x]",
    "l = [1.0]\n    for x, y in zip(l, l):\n        l += [x, y]",
    "for i, x in enumerate(list(range(4096)) + list(range(4096))):\n        r = r + 1.0",
    "for i in range(64):\n        for j in range(64):\n            for k in range(64):\n"
    "                r = r + 1.0",
    "d = {}\n    for i in range(4000):\n        d[i] = r\n    for x in d.values():\n"
    "        r = r + x",
    "x = sum(list(range(4096)) * 4)",
    "x = max(tuple(range(4096)) * 4)",
)
BRANCHES = (
    "len(height) == 8",
    "len(height) > 4096",
    "height.shape[0] < 512",
    "height.size == 5",
    "height[0] > 3.7",
    "height.max() > 1e6",
    "np.any(height > 50.0)",
    "not np.all(height < 9.0)",
    "height[0] > 0 and told[0] > 0",
    "len(height) % 7 == 0",
    "0.0 < height[0] < 1.0",
    "(height > 0).sum() > 3",
    "np.argmax(height)",
    "height.ndim == len(height)",
    "position.shape == height.shape",
    "np.sum(height)",
    "height[-1]",
    "len(position) - 1",
    "np.count_nonzero(told)",
    "told.std() > 2.0",
)
COUPLED = (
    "height - height.mean()",
    "height / height.max()",
    "(height - height.min()) * 2.0",
    "np.sort(height)",
    "np.cumsum(height)",
    "height[::-1]",
    "height + height[0]",
    "height + height[-1:]",
    "height * height.sum()",
    "height + 1.0 * (height.max() > 40.0)",
    "height + 0.01 * np.arange(len(height))",
    "height + np.sum(height[600:601])",
    "height + np.sum(height[2000:])",
    "height + np.mean(position)",
    "position.T[0] + position.sum()",
    "np.concatenate([height[1:], height[:1]])",
    "height - np.mean(height, axis=0)",
    "height + np.linalg.norm(told)",
    "position.reshape(3, -1)[0]",
    "np.cumprod(height)",
    "height * np.argmax(height)",
    "np.matmul(position, position.T)[0]",
    "height + np.dot(told, told)",
    "np.where(np.all(height > -200.0), height, told)",
    "height + np.any(told > 90.0)",
    "height + (np.std(told) > 1.0)",
    "height + np.prod(np.tanh(told))",
    "np.diff(height, axis=0)",
    "height + np.min([height, told])",
    "np.clip(height, np.min(told), 9.0)",
    "height - np.max(told, axis=0)",
    "np.interp(height, np.sort(told), told)",
    "np.squeeze(position)[..., 0]",
    "np.ravel(position)[:len(height)]",
    "height + np.count_nonzero(told > 3.0)",
    "height[np.arange(len(height)) - 1]",
    "height + (told == np.max(told))",
    "np.maximum(height, told.mean())",
    "height + np.sum(told > 99.0)",
    "np.cross(position, position[::-1])[:, 0]",
    "height + np.nanmax(told) * 1e-3",
)
ROW_COUNTS = (
    "height / len(height)",
    "height * height.shape[0]",
    "height + height.size",
    "height + float(len(height))",
    "height - np.log(len(height))",
    "height + (len(height) < 512)",
    "np.where(len(height) > 8, height, told)",
    "height * (1.0 / len(position))",
    "height + position.shape[0]",
    "height + np.sqrt(position.size)",
    "height + abs(len(told))",
    "height ** 2 / told.shape[0]",
)
MEMORY_HOGS = (
    "x = np.zeros((100000, 100000))",
    "x = np.ones((4096, 4096))",
    "x = [0.0] * 1000000000",
    "x = (1,) * 100000000",
    "x = np.arange(1000000000)",
    "x = np.arange(0.0, 1.0, 1e-9)",
    "x = np.zeros((len(height), len(height), len(height)))",
    "x = np.zeros(len(height) * 1000000)",
    "x = height[:, None, None] * height[:, None] * height",
    "x = r\n    for i in range(40):\n        x = np.concatenate([x, x])",
    "x = r\n    for i in range(6):\n        x = x[..., None] * height",
    "x = [r]\n    for i in range(40):\n        x = x + x",
    "x = (r,)\n    for i in range(40):\n        x = x + x",
    "x = np.zeros((2000, 1)) * np.zeros((1, 2000)) * np.zeros((2000, 1, 1))",
    "x = np.zeros(int(height[0] * 1e9))",
    "x = np.zeros(height.astype(int))",
    "x = height[height > 50.0]\n    y = x[:, None, None] * x[:, None] * x",
    "x = [1.0] * len(height) * 1000000",
    "x = [[0] * 4000] * 4000",
    "x = np.array([[0.0] * 4096] * 4096)",
    "x = np.stack([r] * 4096)[:, None] * height[:, None]",
    "x = [0.0] * np.argmax(height)",
    "x = np.reshape(r, (4096, 4096, 4096))",
    "x = np.zeros((99, 99, 99, 99))",
)
NUMBERS = (
    "x = 9\n    for i in range(64):\n        x = x * x",
    "x = 1 << 1000000000",
    "x = ((((9 ** 8) ** 8) ** 8) ** 8) ** 8",
    "x = round(5, -1000000000)",
    "x = 3\n    for i in range(64):\n        x **= 8",
    "x = len(height)\n    for i in range(64):\n        x = x * x",
    "x = position.shape[1]\n    for i in range(64):\n        x = x * x",
    "x = int(np.inf)",
    "x = 1\n    for i in range(2000):\n        x = x << 64",
    "x = (position.shape[1] == 3) * 9\n    for i in range(64):\n        x = x * x",
    "x = height.ndim ** 8",
    "x = (-8.0) ** 0.5",
    "x = -len(height)\n    for i in range(64):\n        x = x * x",
    "x = math.ceil(1e9) * math.ceil(1e9)",
)
DEEP = (
    "t = ()\n    for i in range(4000):\n        t = (t,)\n    d = {t: 1}",
    "t = ()\n    for i in range(900):\n        t = (t,)\n    d = {t: 1}",
    "t = []\n    for i in range(900):\n        t = [t]\n    b = t == [t]",
    "t = []\n    for i in range(900):\n        t = [t]\n    x = np.array(t)",
    "x = [1]\n    x[0] = x\n    b = x == x",
    "x = [1]\n    x[0] = x\n    y = np.array(x)",
    "d = {(1, 2): r}",
    "d = {1: {2: {3: {4: {5: {6: r}}}}}}\n    x = np.array([d])",
    "b = (1, 2) in ((1, 2), (3, 4))",
    "b = (r, 1) < (told, 2)",
    "b = [r] == [told]",
    "d = {height[0]: 1}",
    "d = dict(zip(height, told))",
    "b = max([(1, 2), (3, 4)])",
)
TEXT = (
    "for k in {'%d': 1}.keys():\n        x = k % height",
    "for k in {'a': 1}.keys():\n        x = k * 1000000000",
    "for k in {'%1000000000d': 1}.keys():\n        x = k % 5",
    "for k in {'%s': 1}.keys():\n        r = r + len(k % {})",
    "for k in {'1': 1}.keys():\n        r = r + float(k)",
    "for k in {'9': 1}.keys():\n        r = r + int(k)",
    "for k in {'%r': 1}.keys():\n        r = r + len(k % zip((1,), (2,)))",
    "for k in {'a': 1}.keys():\n        x = np.array([k, k])",
    "for k, v in {'ab': 1}.items():\n        k += k",
    "x = list({'a': 1})\n    y = np.array(x)",
    "x = max({'a': 1})\n    y = x + x",
    "for k in {'a': 1}.keys():\n        r = r + (k < height)",
    "x = tuple({'a': 1})\n    r = r * x[0]",
    "x = sum({'a': 1})",
)
ROWS = (
    "for h in zip(height):\n        r = r + h[0]",
    "for i, h in enumerate(height):\n        r = r + h",
    "for a, b in zip(height, told):\n        r = r + a * b",
    "x = list(height)",
    "x = tuple(position)",
    "x = sum(height)",
    "x = max(height)",
    "x = min(height, told)",
    "x = float(height)",
    "x = int(height[0])",
    "x = bool(height[0])",
    "x = round(height[0])",
    "x = math.exp(height[0])",
    "x = math.floor(told)",
)
SLOW = (
    "x = position\n    for i in range(30):\n        x = x @ position.T @ position",
    "x = height[:, None] * told\n    y = x @ x",
    "x = np.sort(height[:, None] * told, axis=1)",
    "x = r\n    for i in range(300):\n        x = np.exp(np.sin(x[:, None] * height))[:, 0]",
)
EPISODES = (
    ("r = height + (age > 40.0) * height.mean()",),
    ("r = height * (age.max() + 1.0)",),
    ("r = np.where(age == 41.0, told.mean(), height)",),
    ("r = height + (age > 400.0) * told.max()",),
    ("r = height - age.mean() * told",),
    ("if memory[0, 0] > 40:", "    r = told", "r = height"),
    ("r = np.tanh(height)", "memory = 1.05 * memory + 1.0"),
    ("r = height + (age > 41.0) * np.sort(told)",),
    ("r = height + (age.sum() > 100.0)",),
    ("r = height + np.cumsum(age)",),
)


def _cases() -> list[Hostile]:
    runaway = [Hostile("loops", reward("r = 1.0 * height", text), (STATIC,)) for text in LOOPS]
    hogs = [
        Hostile("memory", reward("r = 1.0 * height", text), (STATIC, OOM, RUNTIME, TIMEOUT))
        for text in MEMORY_HOGS
    ]
    tables = {"numbers": NUMBERS, "deep": DEEP, "text": TEXT, "rows": ROWS}
    said = [
        Hostile(kind, reward("r = 1.0 * height", text), (STATIC,))
        for kind, texts in tables.items()
        for text in texts
    ]
    branches = [
        Hostile("branches", reward("r = 1.0 * height", f"if {test}:", "    r = told"), (STATIC,))
        for test in BRANCHES
    ]
    chosen = [
        Hostile("branches", reward(f"r = height if {test} else told"), (STATIC,))
        for test in BRANCHES[:6]
    ]
    coupled = [
        Hostile("coupled", reward(f"r = {text}"), (SHAPE, RUNTIME, STATIC, CONSTANT))
        for text in COUPLED
    ]
    counts = [Hostile("row counts", reward(f"r = {text}"), (STATIC,)) for text in ROW_COUNTS]
    slow = [Hostile("slow", reward("r = 1.0 * height", text), (TIMEOUT, OOM)) for text in SLOW]
    episodes = [
        Hostile(
            "episodes",
            remembering(*lines, memory="memory" if "1.05" in lines[-1] else "memory + 1.0"),
            (SHAPE, STATIC, UNSTABLE),
        )
        for lines in EPISODES
    ]
    return [*runaway, *branches, *chosen, *coupled, *counts, *hogs, *said, *slow, *episodes]


CASES = _cases()
