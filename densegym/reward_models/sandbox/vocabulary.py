"""The words a reward program may use, as tables; what is not listed is refused."""

from __future__ import annotations

import ast
import math
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _by_arity(table: dict[int, str]) -> dict[str, int]:
    return {name: most for most, names in table.items() for name in names.split()}


KINDS: Final = ("compute_reward", "potential", "factors")

MAX_BYTES: Final = 20_000
MAX_NODES: Final = 4000
MAX_DEPTH: Final = 100  # the deepest nesting that `ast` and the compiler take without care
MAX_NUMBER: Final = 1e9
MAX_EXPONENT: Final = 8
MAX_RANGE: Final = 4096
MAX_INDEX: Final = 2048  # below the rows of the largest batch that every program is tried on
MAX_WORK: Final = 8000  # syntax nodes that one call evaluates
MAX_INTEGER: Final = 2**53
MAX_MEMORY: Final = 64
MAX_TERMS: Final = 64
MAX_TERM_CHARACTERS: Final = 64

BUILTINS: Final = _words(
    "abs min max float int bool len range sum round enumerate zip tuple list dict"
)
DTYPE_BUILTINS: Final = frozenset({"float", "int", "bool"})
LOOPS: Final = frozenset({"range", "zip", "enumerate"})
DICT_VIEWS: Final = frozenset({"items", "keys", "values"})
NAMESPACES: Final = frozenset({"np", "math"})
RESERVED: Final = BUILTINS | NAMESPACES | {"typing"}


MATH: Final = _by_arity(
    {
        1: "sqrt exp log1p sin cos tan asin acos atan sinh cosh tanh floor ceil fabs degrees "
        "radians isnan isfinite",
        2: "log atan2 hypot copysign",
    }
)
MATH_CONSTANTS: Final = frozenset({"pi", "e", "inf"})

NUMPY: Final = _by_arity(
    {
        1: "abs absolute fabs sign exp expm1 exp2 log log2 log10 log1p sqrt cbrt square reciprocal "
        "negative positive sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh "
        "degrees radians deg2rad rad2deg floor ceil trunc rint isnan isfinite isinf signbit "
        "logical_not nan_to_num array asarray zeros ones zeros_like ones_like column_stack hstack "
        "vstack ravel diff",
        2: "add subtract multiply divide true_divide floor_divide mod remainder fmod power "
        "float_power maximum minimum fmax fmin arctan2 hypot copysign heaviside logaddexp "
        "logical_and logical_or logical_xor greater greater_equal less less_equal equal not_equal "
        "round around sum mean min max amin amax prod std var any all argmin argmax cumsum "
        "cumprod count_nonzero nansum nanmean nanmin nanmax stack concatenate expand_dims squeeze "
        "reshape transpose sort cross dot matmul full_like",
        3: "where clip interp select arange linalg.norm",
        4: "isclose",
    }
)
"""Most positional arguments of every NumPy function: ``out`` and ``dtype`` come after them."""
PARAMETRISED: Final = _words(
    "sum mean min max amin amax prod std var any all argmin argmax cumsum cumprod count_nonzero "
    "nansum nanmean nanmin nanmax stack concatenate expand_dims squeeze transpose sort round "
    "around linalg.norm"
)
"""Functions whose second positional argument says how, not with what, so it is written out."""
PLAIN_KEYWORDS: Final = _words("axis keepdims ddof ord decimals ndigits strict equal_nan")
"""Keywords that say how, for the same."""
NUMPY_CONSTANTS: Final = frozenset({"pi", "e", "inf", "nan", "newaxis"})
CONSTANT_VALUES: Final = {
    "pi": math.pi,
    "e": math.e,
    "inf": math.inf,
    "nan": math.nan,
    "newaxis": None,
}
DTYPES: Final = frozenset({"float64", "float32", "int64", "int32", "bool_"})

METHODS: Final = _by_arity(
    {
        0: "copy flatten ravel items keys values",
        1: "sum mean min max std var any all argmin argmax prod cumsum round dot squeeze astype",
        2: "clip get",
        8: "reshape",
    }
)
PROPERTIES: Final = frozenset({"T", "shape", "ndim", "size"})

KEYWORDS: Final = _words(
    "axis keepdims dtype ddof ord initial decimals ndigits default start strict rtol atol "
    "equal_nan nan posinf neginf a_min a_max min max"
)

INSTEAD: Final = {
    "np.full": "np.full_like(feature, value)",
    "np.tile": "broadcasting",
    "np.repeat": "broadcasting",
    "np.broadcast_to": "broadcasting",
    "np.einsum": "np.sum(a * b, axis=1)",
    "np.outer": "broadcasting",
    "np.vectorize": "array operations",
    "np.random": "a rule without chance: programs are pure",
    "out": "the value that is returned",
    "where": "np.where",
}
"""What to write in place of names that language models often try."""

CONSTANT_NODES: Final[frozenset[type[ast.AST]]] = frozenset(
    {ast.BinOp, ast.UnaryOp, ast.Constant, ast.Name, ast.Attribute, ast.Tuple, ast.Load}
    | set(ast.operator.__subclasses__())
    | set(ast.unaryop.__subclasses__())
)
"""What the value of a module constant is made of."""

NODES: Final[frozenset[type[ast.AST]]] = CONSTANT_NODES | {
    ast.Assign,
    ast.AugAssign,
    ast.For,
    ast.If,
    ast.Return,
    ast.Pass,
    ast.Break,
    ast.Continue,
    ast.IfExp,
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.Compare,
    ast.Call,
    ast.keyword,
    ast.Subscript,
    ast.Slice,
    ast.List,
    ast.Dict,
    ast.Store,
    *ast.cmpop.__subclasses__(),
}
"""What the body of a function is made of."""

_COMPREHENSION = "comprehensions are not allowed; use array operations or a for loop"
_PLAIN = "only plain functions are allowed; return the value instead"
_SCOPE = "functions share no variables; pass a parameter, or return the value"
ADVICE: Final[dict[type[ast.AST], str]] = {
    ast.While: "while loops are not allowed; use for over range(...) with a literal bound",
    ast.Try: "try is not allowed; guard with np.where or np.maximum",
    ast.TryStar: "try is not allowed; guard with np.where or np.maximum",
    ast.Raise: "raise is not allowed; guard with np.where or np.maximum",
    ast.Assert: "assert is not allowed; leave it out",
    ast.With: "with is not allowed; leave it out",
    ast.ClassDef: "classes are not allowed; use plain functions",
    ast.FunctionDef: "functions inside functions are not allowed; move it to the top level",
    ast.Lambda: "lambda is not allowed; write the expression out, or define a function",
    ast.ListComp: _COMPREHENSION,
    ast.SetComp: _COMPREHENSION,
    ast.DictComp: _COMPREHENSION,
    ast.GeneratorExp: _COMPREHENSION,
    ast.JoinedStr: "f-strings are not allowed; write term names as plain text",
    ast.Starred: "* is not allowed here; list the values one by one",
    ast.Set: "sets are not allowed; use a tuple",
    ast.Global: _SCOPE,
    ast.Nonlocal: _SCOPE,
    ast.NamedExpr: ":= is not allowed; assign on a line of its own",
    ast.Delete: "del is not allowed; leave it out",
    ast.Await: _PLAIN,
    ast.AsyncFunctionDef: _PLAIN,
    ast.AsyncFor: _PLAIN,
    ast.AsyncWith: _PLAIN,
    ast.Yield: _PLAIN,
    ast.YieldFrom: _PLAIN,
    ast.Match: "match is not allowed; use if, or np.where",
    ast.Import: "this import is not allowed; np and math are there without one",
    ast.ImportFrom: "this import is not allowed; np and math are there without one",
    ast.Expr: "a value that is not used; assign it to a name, or leave the line out",
}
"""What to write in place of a construct."""
