"""Random reward programs over the allow-list's own grammar, sound and hostile constructs mixed.

Every word of the vocabulary can appear. Most expressions have the shape that their place needs,
so that many programs pass; the rest are what a program might try: to look at other rows, to count
them, to branch on values, to grow without end.
"""

from __future__ import annotations

from random import Random

from densegym.reward_models.sandbox import vocabulary

VECTORS = ("height", "told", "prev_height")
MATRICES = ("position", "prev_position")
UNARY = sorted(
    name
    for name, most in vocabulary.NUMPY.items()
    if most == 1
    and name
    not in {
        "zeros",
        "ones",
        "array",
        "asarray",
        "column_stack",
        "hstack",
        "vstack",
        "diff",
        "ravel",
    }
)
BINARY = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "floor_divide",
    "mod",
    "remainder",
    "fmod",
    "power",
    "float_power",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "arctan2",
    "hypot",
    "copysign",
    "heaviside",
    "logaddexp",
    "greater",
    "less_equal",
    "equal",
    "not_equal",
]
REDUCTIONS = [
    "sum",
    "mean",
    "min",
    "max",
    "amin",
    "amax",
    "prod",
    "std",
    "var",
    "any",
    "all",
    "count_nonzero",
    "nansum",
    "nanmean",
    "nanmin",
    "nanmax",
]
OPERATORS = ("+", "-", "*", "/", "//", "%")


class Writer:
    """Writes one program.

    Args:
        seed: of the program.
        wild: chance that a construct is a hostile one.
    """

    def __init__(self, seed: int, wild: float = 0.06) -> None:
        self.rng = Random(seed)
        self.wild = wild
        self.memory = 0
        self.helpers: list[str] = []
        self.locals: list[str] = []
        self.constants: list[str] = []

    def program(self) -> str:
        """Return the text of a program."""
        rng = self.rng
        kind = rng.choice(("compute_reward",) * 6 + ("potential", "factors"))
        self.memory = rng.randint(1, 4) if kind == "compute_reward" and rng.random() < 0.3 else 0
        lines = [f"MEMORY = {self.memory}"] if self.memory else []
        for i in range(rng.randint(0, 2)):
            self.constants.append(f"C{i}")
            values = rng.choice((self.number(), f"({self.number()}, {self.number()})"))
            lines.append(f"C{i} = {values}")
        memory, self.memory = self.memory, 0
        for i in range(rng.randint(0, 2)):
            lines += [f"def help{i}(x, c={self.number()}):"]
            lines += [f"    {line}" for line in self.helper()]
            self.helpers.append(f"help{i}")
        self.memory = memory
        parameters = [*VECTORS, *MATRICES, "push", "terminated"] + ["memory"] * bool(memory)
        lines.append(f"def {kind}({', '.join(parameters)}):")
        body = [line for _ in range(rng.randint(1, 5)) for line in self.statement()]
        lines += [f"    {line}" for line in [*body, *self.ending(kind)]]
        return "\n".join(lines)

    def helper(self) -> list[str]:
        rng = self.rng
        if self.helpers and rng.random() < self.wild:
            name = rng.choice(self.helpers)
            return [f"return {name}(x) + {name}(x)"]
        return [
            rng.choice(
                (
                    "return np.exp(-np.square(x) / 0.5) + c",
                    "return np.tanh(x / 0.7)",
                    "y = np.abs(x)\n    return np.where(y > c, y, 0.0)",
                    "return x * c if c > 0 else x",
                    "return x - np.mean(x)" if rng.random() < self.wild else "return x - c",
                )
            )
        ]

    def ending(self, kind: str) -> list[str]:
        terms = [self.vector(2) for _ in range(self.rng.randint(1, 3))]
        named = ", ".join(f"'t{i}': {term}" for i, term in enumerate(terms))
        if kind == "potential":
            return [f"return {terms[0]}"]
        if kind == "factors":
            return [f"return {{{named}}}"]
        lines = [f"terms = {{{named}}}"]
        if self.rng.random() < 0.3:
            lines += ["total = 0.0 * height", "for name, value in terms.items():"]
            lines += ["    total = total + value"]
        else:
            lines += ["total = " + " + ".join(f"terms['t{i}']" for i in range(len(terms)))]
        if not self.memory:
            return [*lines, "return total, terms"]
        columns = [self.kept(i) for i in range(self.memory)]
        return [*lines, f"return total, terms, np.stack([{', '.join(columns)}], axis=1)"]

    def kept(self, column: int) -> str:
        old = f"memory[:, {column}]"
        return self.rng.choice(
            (
                f"{old} + 1.0",
                f"np.maximum({old}, height)",
                f"0.9 * {old} + 0.1 * told",
                f"np.where(terminated, 0.0, {old} + height)",
                f"np.clip({old} + {self.vector(1)}, -9, 9)",
            )
        )

    # statements

    def statement(self, depth: int = 2) -> list[str]:
        rng = self.rng
        if rng.random() < self.wild:
            return self.hostile_statement()
        choice = rng.random()
        if choice < 0.6 or depth == 0:
            name = f"v{rng.randint(0, 3)}"
            line = f"{name} = {self.vector(2)}"
            self.locals.append(name)
            return [line]
        if choice < 0.7 and self.locals:
            return [f"{rng.choice(self.locals)} {rng.choice('+-*')}= {self.vector(1)}"]
        if choice < 0.8:
            test = rng.choice(("2 > 1", "len((1, 2)) == 2", "not 0", "1 < 2 < 3", "True and 1"))
            inner = self.statement(depth - 1)
            return [f"if {test}:", *(f"    {line}" for line in inner)]
        first = [f"v9 = {self.vector(1)}"]
        self.locals.append("v9")
        head = rng.choice(
            (
                f"for i in range({rng.randint(1, 6)}):",
                "for i, w in enumerate((0.1, 0.5)):",
                "for i, w in zip((0, 1, 2), (0.1, 0.5, 0.2)):",
                "for i, w in zip(range(2), [1.0, -1.0]):",
            )
        )
        step = rng.choice(
            (
                "v9 = v9 + position[:, i % 3]",
                "v9 = v9 * 0.5 + 0.1 * i",
                "v9 += np.abs(push[:, i % 2])",
                "v9 = np.where(height > 0.1 * i, v9, -v9)",
            )
        )
        jump = rng.choice(
            ([], [], ["    if i == 1:", "        continue"], ["    if i > 2:", "        break"])
        )
        return [*first, head, *jump, f"    {step}"]

    def hostile_statement(self) -> list[str]:
        rng, v = self.rng, self.vector(1)
        big = rng.choice((10, 64, 4096))
        return rng.choice(
            (
                [f"if {v}.max() > {self.number()}:", "    height = height + 1.0"],
                ["if len(height) == 5:", "    told = told * 2.0"],
                ["if len(height) > 8 and height[0] > 0:", f"    told = told + {self.number()}"],
                ["x0 = 1 if height.shape[0] < 9 else 2", "told = told * x0"],
                [
                    f"for i in range({big}):",
                    f"    for j in range({big}):",
                    "        told = told + 1.0",
                ],
                ["l0 = [1]", "for i, y in enumerate(l0):", "    l0 += [y]"],
                ["l0 = [height]", f"for i in range({big}):", "    l0 = l0 + l0"],
                ["n0 = 7", f"for i in range({big}):", "    n0 = n0 * n0"],
                ["n0 = len(height)", f"for i in range({big}):", "    n0 = n0 * n0"],
                ["t0 = ()", f"for i in range({big}):", "    t0 = (t0,)", "d0 = {t0: 1}"],
                ["t0 = []", f"for i in range({big}):", "    t0 = [t0]", "b0 = t0 == [t0]"],
                ["for h in zip(height):", "    told = told + h[0]"],
                ["for k in {'%d': 1}.keys():", "    s0 = k % height", "told = told + len(s0)"],
                ["for k in {'ab': 1}.keys():", f"    s0 = k * {big}", "told = told + len(s0)"],
                ["x0 = height", f"for i in range({big}):", "    x0 = np.concatenate([x0, x0])"],
                ["x0 = height", f"for i in range({big}):", "    x0 = x0[..., None] * height"],
                ["x0 = position", f"for i in range({big}):", "    x0 = x0 @ position.T @ position"],
                [f"x0 = np.zeros(({big}, {big}, {big}))"],
                [f"x0 = [0.0] * {10 ** rng.randint(1, 9)}"],
                ["x0 = np.zeros(int(height.max() * 1000))"],
                ["x0 = height[height > 0.0]", "told = told + x0.sum()"],
                ["height[0] = 3.0"],
                [
                    "x0 = np.zeros(len(height))",
                    f"x0[{rng.randint(-3, 3)}] = 1.0",
                    "told = told + x0",
                ],
                [
                    "x0 = {}",
                    f"for i in range({big}):",
                    "    x0[i] = height",
                    "l0 = list(x0.items())",
                ],
                ["x0 = [1]", "x0[0] = x0", "b0 = x0 == x0"],
                ["x0 = 1", f"x0 = x0 << {10 ** rng.randint(0, 8)}"],
                ["x0 = round(12345, -1000000)"],
                [
                    f"x0 = np.{rng.choice(sorted(vocabulary.NUMPY))}"
                    f"({self.anything()}, {self.anything()})"
                ],
                [
                    f"x0 = {self.anything()}.{rng.choice(sorted(vocabulary.METHODS))}"
                    f"({self.anything()})"
                ],
                [f"x0 = math.{rng.choice(sorted(vocabulary.MATH))}({self.anything()})"],
                [
                    f"x0 = {rng.choice(sorted(vocabulary.BUILTINS))}({self.anything()})",
                    "told = told * x0",
                ],
            )
        )

    # expressions

    def number(self) -> str:
        return self.rng.choice(
            (
                "0.0",
                "1.0",
                "0.5",
                "-1.0",
                "2",
                "3",
                "0.1",
                "10.0",
                "1e-6",
                "30.0",
                "1e3",
                "-0.25",
                str(round(self.rng.uniform(-3, 3), 2)),
            )
        )

    def anything(self) -> str:
        return self.rng.choice(
            (
                self.vector(1),
                self.matrix(0),
                self.number(),
                "len(height)",
                "height.shape",
                "None",
                "(1, 2)",
                "[height, told]",
                "{'a': height}",
                "{1: 2}.items()",
                "position.shape[1]",
                "range(3)",
                "zip((1, 2), (3, 4))",
                "-1",
                "True",
                "height.ndim",
                "()",
                "np.nan",
                "100000",
            )
        )

    def vector(self, depth: int) -> str:
        """An expression of shape (N,), in most cases."""
        rng = self.rng
        if rng.random() < self.wild / 2:
            return self.coupled(depth)
        if depth <= 0 or rng.random() < 0.15:
            leaves = [
                *VECTORS,
                f"position[:, {rng.randint(0, 2)}]",
                f"push[:, {rng.randint(0, 1)}]",
            ]
            leaves += [f"memory[:, {rng.randrange(self.memory)}]"] if self.memory else []
            leaves += [*self.locals, "1.0 * terminated"]
            return rng.choice(leaves)
        v, w = self.vector(depth - 1), self.vector(depth - 1)
        m, b, c = self.matrix(depth - 1), self.truth(depth - 1), self.number()
        return rng.choice(
            (
                f"np.{rng.choice(UNARY)}({v})",
                f"np.{rng.choice(BINARY)}({v}, {w})",
                f"({v} {rng.choice(OPERATORS)} {w})",
                f"({v} {rng.choice(OPERATORS)} {c})",
                f"({c} {rng.choice(OPERATORS)} {v})",
                f"np.where({b}, {v}, {w})",
                f"np.clip({v}, -1.0, {c})",
                f"np.{rng.choice(REDUCTIONS)}({m}, axis=1)",
                f"{m}.{rng.choice(('sum', 'mean', 'max', 'min', 'std', 'prod'))}(axis=1)",
                f"np.linalg.norm({m}, axis=1)",
                f"np.stack([{v}, {w}], axis=1).max(axis=1)",
                f"np.stack([{v}, {w}]).{rng.choice(('sum', 'min', 'mean'))}(axis=0)",
                f"({v}) ** {rng.randint(-2, 4)}",
                f"np.interp({v}, (-1.0, 0.0, 1.0), (0.0, {c}, 1.0))",
                f"np.select([{b}], [{v}], 0.0)",
                f"np.array((1.0, {c}, 3.0))[np.argmax({m}, axis=1)]",
                f"(np.zeros(len(height)) + {v})",
                f"np.full_like({v}, {c})",
                f"np.cumsum({m}, axis=1)[:, -1]",
                f"np.diff({m}, axis=1)[:, 0]",
                f"({v}).reshape(-1, 1)[:, 0]",
                f"np.sort({m}, axis=1)[:, 0]",
                f"{m}.dot(np.array((1.0, {c}, 0.5)))",
                f"({m} @ np.array((1.0, -1.0, {c})))",
                f"np.cross({m}, position)[:, 0]",
                f"sum([{v}, {w}])",
                f"({b}).astype(float)",
                f"np.isclose({v}, {w}, atol=0.1)",
                f"(lambda_free * {v})".replace("lambda_free", c),
                f"{rng.choice(self.helpers)}({v})" if self.helpers else v,
                f"({v} if {c} > 0 else {w})",
                f"{v} * {rng.choice(self.constants)}" if self.constants else v,
                f"np.round({v}, 2)",
                f"np.nan_to_num({v}, nan=0.0, posinf=1.0, neginf=-1.0)",
            )
        )

    def coupled(self, depth: int) -> str:
        """An expression that looks at other rows, or tries to."""
        v, c, k = self.vector(depth - 1), self.number(), self.rng.randint(0, 9)
        return self.rng.choice(
            (
                f"({v} - np.mean({v}))",
                f"({v} - ({v}).max())",
                f"np.sort({v})",
                f"np.cumsum({v})",
                f"({v})[::-1]",
                f"({v} + np.arange(len(height)))",
                f"({v} * ({v})[0])",
                f"({v} + 0.5 * (np.max({v}) > {c}))",
                f"({v} + np.sum(({v})[{k}:{k + 1}]))",
                f"({v} + (({v}).sum() > {c}) * 1.0)",
                "np.matmul(position, position.T)[:, 0]",
                "position.reshape(3, -1)[0]",
                "np.squeeze(position)[..., 0]",
                "position.T[0]",
                f"np.concatenate([{v}, {v}])[:len(height)]",
                f"({v} / len(height))",
                f"({v} * height.shape[0])",
                f"({v} + height.size)",
                f"({v} + np.count_nonzero({v} > {c}))",
                "np.ravel(position)[:len(height)]",
                f"({v} + np.argmax({v}))",
                f"({v} + np.any({v} > 9.0))",
                f"({v} + float(({v})[0]))",
                f"({v} + min({v}))",
                f"({v} + max(height, told))",
                f"np.diff({v}, axis=0)",
                f"np.transpose(position)[0] * {v}",
                f"({v})[np.arange(len(height)) - 1]",
                f"np.linalg.norm(position, axis=0)[0] * {v}",
                "np.dot(height, told) + height",
                f"np.cumprod({v})",
                f"np.where(np.all({v} < {c}), {v}, 0.0)",
                f"np.std({v}) + {v}",
                f"np.linalg.norm({v}) * height",
                f"({v})[:1] + {v}",
                f"({v})[-1:] * {v}",
                f"np.min([{v}, {v}])  + {v}",
                f"np.clip({v}, np.min({v}), 1.0)",
                f"np.interp({v}, np.sort({v}), {v})",
                f"({v} + 0.1 * (len(height) < 512))",
            )
        )

    def matrix(self, depth: int) -> str:
        """An expression of shape (N, 3), in most cases."""
        rng = self.rng
        if depth <= 0 or rng.random() < 0.4:
            return rng.choice(MATRICES)
        one, other = self.matrix(depth - 1), self.matrix(depth - 1)
        v, w = self.vector(depth - 1), self.vector(depth - 1)
        return rng.choice(
            (
                f"({one} {rng.choice('+-*')} {other})",
                f"np.{rng.choice(UNARY)}({one})",
                f"np.stack([{v}, {w}, height], axis=1)",
                f"np.column_stack([{v}, {w}, {v}])",
                f"(({v})[:, None] * np.array((1.0, 2.0, 3.0)))",
                f"({one} - (0.1, 0.2, {self.number()}))",
                f"np.sort({one}, axis=1)",
                f"np.concatenate([push, ({v})[:, None]], axis=1)",
                f"np.where(({one}) > 0.0, {other}, 0.0)",
                f"({one})[:, ::-1]",
                f"({one})[:, (0, 2, 1)]",
            )
        )

    def truth(self, depth: int) -> str:
        """An expression of shape (N,) and bool, in most cases."""
        v, c = self.vector(depth - 1), self.number()
        return self.rng.choice(
            (
                f"({v} > {c})",
                f"({v} <= {self.vector(depth - 1)})",
                "terminated",
                "(~terminated)",
                f"(({v} > 0.0) & ({v} < {c}))",
                f"np.logical_or(terminated, {v} > {c})",
                f"np.any(position > {c}, axis=1)",
                f"({v} == {c})",
                f"np.isfinite({v})",
            )
        )
