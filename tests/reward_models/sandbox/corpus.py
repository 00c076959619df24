"""Hostile and broken reward programs, each with the verdicts it may get.

Whoever wrote them has read the sandbox. ``MARK`` names the file the ones after a file system want
to leave behind. Features: position (N, 3), height (N,), push (N, 2), terminated (N,) bool.
"""

from __future__ import annotations

from typing import NamedTuple

from densegym.reward_models.sandbox.status import Status

MARK = "densegym-was-here"
PARSE, STATIC = Status.PARSE_ERROR, Status.STATIC_REJECT
RUNTIME, TIMEOUT, OOM, SHAPE = (
    Status.RUNTIME_ERROR,
    Status.TIMEOUT,
    Status.OOM,
    Status.BAD_SHAPE,
)


class Case(NamedTuple):
    name: str
    source: object
    statuses: tuple[Status, ...]


def body(*lines: str) -> str:
    return "def compute_reward(position, height):\n" + "\n".join(f"    {line}" for line in lines)


def expression(text: str) -> str:
    """A program whose only interesting part is one expression."""
    return body(f"r = {text}", "return height, {'r': height}")


def _refused() -> dict[str, object]:
    """What the static check must stop."""
    walks = {
        "class_hierarchy": "().__class__.__base__.__subclasses__()",
        "function_globals": "np.mean.__globals__",
        "function_builtins": "np.mean.__builtins__",
        "function_code": "compute_reward.__code__",
        "function_as_value": "compute_reward",
        "builtin_as_value": "sum",
        "builtin_as_key": "{sum: 1}",
        "module_as_value": "np",
        "module_as_key": "{np: 1}",
        "module_in_index": "height[np]",
        "method_as_value": "height.sum",
        "numpy_function_as_value": "np.exp",
        "array_class": "height.__class__",
        "array_interface": "height.__array_interface__['data']",
        "array_ctypes": "height.ctypes.data",
        "array_ctypes_as": "height.ctypes.data_as(0)",
        "array_base": "height.base",
        "array_data": "height.data",
        "array_view": "height.view(float)",
        "array_tofile": f"height.tofile('{MARK}')",
        "array_dump": f"height.dump('{MARK}')",
        "array_setflags": "height.setflags(1)",
        "array_setflags_named": "height.setflags(write=True)",
        "array_resize": "height.resize(10)",
        "array_put": "height.put(0, 1)",
        "array_sort_in_place": "height.sort()",
        "array_fill": "height.fill(0)",
        "array_item": "height.item(0)",
        "numpy_load": f"np.load('{MARK}')",
        "numpy_save": f"np.save('{MARK}', height)",
        "numpy_savetxt": f"np.savetxt('{MARK}', height)",
        "numpy_fromfile": "np.fromfile('/etc/passwd')",
        "numpy_genfromtxt": "np.genfromtxt('/etc/passwd')",
        "numpy_memmap": f"np.memmap('{MARK}', mode='w+', shape=(4,))",
        "numpy_ctypeslib": "np.ctypeslib.as_array(height)",
        "numpy_f2py": "np.f2py.compile('')",
        "numpy_lib": "np.lib.npyio.DataSource()",
        "numpy_testing": "np.testing.rundocs()",
        "numpy_random": "np.random.rand(3)",
        "numpy_core": "np._core.multiarray",
        "numpy_os": "np.lib.os.system('id')",
        "numpy_linalg_module": "np.linalg",
        "numpy_linalg_svd": "np.linalg.svd(position)",
        "numpy_frompyfunc": "np.frompyfunc(abs, 1, 1)",
        "numpy_vectorize": "np.vectorize(abs)(height)",
        "numpy_apply": "np.apply_along_axis(abs, 0, height)",
        "numpy_piecewise": "np.piecewise(height, [height > 0], [abs])",
        "numpy_fromfunction": "np.fromfunction(abs, (3,))",
        "numpy_full": "np.full((4, 4), 0.0)",
        "numpy_tile": "np.tile(height, 1000000)",
        "numpy_einsum": "np.einsum('i->', height)",
        "numpy_errstate": "np.seterr(all='raise')",
        "ufunc_reduce": "np.add.reduce(height)",
        "ufunc_at": "np.add.at(height, 0, 1)",
        "ufunc_outer": "np.add.outer(height, height)",
        "ufunc_out_keyword": "np.exp(height, out=height)",
        "ufunc_out_position": "np.exp(height, height)",
        "ufunc_out_third": "np.add(height, 1.0, height)",
        "sum_out_position": "np.sum(position, 1, None, height)",
        "ufunc_where": "np.exp(height, where=height > 0)",
        "method_out": "position.sum(axis=1, out=height)",
        "clip_out": "np.clip(height, 0, 1, height)",
        "nan_to_num_in_place": "np.nan_to_num(height, copy=False)",
        "object_dtype_text": "np.array([1], dtype='O')",
        "object_dtype_position": "np.array([1], object)",
        "object_dtype_name": "np.array([1], dtype=object)",
        "object_dtype_class": "np.zeros(3, dtype=dict)",
        "object_dtype_class_position": "np.zeros(3, dict)",
        "object_astype": "height.astype(object)",
        "object_astype_text": "height.astype('O')",
        "object_astype_class": "height.astype(dict)",
        "dtype_of_value": "np.zeros(3, dtype=height.T)",
        "dtype_function": "np.zeros(3, dtype=np.exp)",
        "dtype_constructor": "np.dtype([('f', float)])",
        "string_type": "np.str_(1)",
        "format_attribute": "'{0.__class__}'.format(height)",
        "format_map": "'{x}'.format_map({'x': height})",
        "format_percent": "'%s' % height",
        "format_builtin": "format(height, '{}')",
        "f_string": "f'{height.__class__}'",
        "text_join": "''.join(['a'])",
        "text_encode": "'a'.encode('idna')",
        "text_argument": "float('nan')",
        "text_times": "'a' * 1000000000",
        "bytes": "b'a'",
        "complex": "1j",
        "getattr_chain": "getattr(getattr(height, '__class__'), '__mro__')",
        "setattr": "setattr(np, 'exp', 0)",
        "eval": "eval('1')",
        "exec": "exec('1')",
        "compile": "compile('1', '', 'eval')",
        "open": f"open('{MARK}', 'w')",
        "print": "print(height)",
        "input": "input()",
        "breakpoint": "breakpoint()",
        "import_function": "__import__('os').system('id')",
        "import_as_key": "{__import__: 1}",
        "builtins_name": "__builtins__",
        "builtins_subscript": "__builtins__['open']",
        "dunder_name": "__name__",
        "type": "type(height)",
        "object": "object()",
        "memoryview": "memoryview(height)",
        "globals": "globals()",
        "vars": "vars(np)",
        "dir": "dir(height)",
        "id": "id(height)",
        "iter": "iter(height)",
        "map": "list(map(abs, height))",
        "key_function": "max([1, 2], key=abs)",
        "call_of_call": "dict()()",
        "call_of_subscript": "{'f': 1}['f']()",
        "call_of_parameter": "height()",
        "lambda": "lambda: 0",
        "lambda_default": "(lambda x=open: x)()",
        "list_comprehension": "[x for x in height]",
        "class_scope_comprehension": "[np for np in (1, 2)]",
        "generator_frame": "(x for x in height).gi_frame.f_back.f_globals",
        "dict_comprehension": "{x: 1 for x in height}",
        "set": "{1, 2}",
        "walrus": "(np := height)",
        "star": "max(*height)",
        "double_star": "dict(**{'a': 1})",
        "star_in_list": "[*height]",
        "double_star_in_dict": "{**{'a': 1}}",
        "star_in_index": "height[*(0,)]",
        "yield": "(yield)",
        "await": "(await height)",
        "attribute_error_object": "height.obj",
        "slice_class": "slice(0)",
        "power_of_powers": "9 ** 9 ** 9",
        "power_of_variable": "height ** height",
        "power_of_literal": "10 ** 100",
        "power_named": "2 ** -9",
        "big_literal": "10000000000",
        "big_hex": "0x" + "f" * 9000,
        "big_float": "1e300",
        "infinite_literal": "1e999",
        "range_of_million": "sum(range(1000000))",
        "range_of_variable": "sum(range(len(height)))",
        "range_of_bool": "sum(range(True))",
        "range_backwards": "sum(range(0, -5000, -1))",
        "factorial": "math.factorial(100000)",
        "comb": "math.comb(100000, 50000)",
        "math_loader": "math.__loader__",
        "math_keyword": "math.sqrt(x=1)",
        "numpy_constant_attribute": "np.pi.real",
        "ellipsis": "...",
        "unicode_double_underscore": "height.__\u0063lass__",
        "unicode_module": "\uff4ep.load('x')",
        "unicode_builtin": "\U0001d428\U0001d429\U0001d41e\U0001d427('x')",
        "unicode_name": "\u0430bs(height)",
        "long_term_name": "{'" + "a" * 65 + "': 1}",
        "empty_term_name": "{'': 1}",
        "control_character_term": "{'a\\x1b[2J': 1}",
        "surrogate_term": "{'\\ud800': 1}",
        "right_to_left_term": "{'a\\u202e': 1}",
        "unknown_name": "speed",
        "helper_keyword": "abs(height, out=height)",
    }
    return {name: expression(text) for name, text in walks.items()} | _refused_statements()


def _refused_statements() -> dict[str, object]:
    done = "return height, {'r': height}"
    return {
        "while": body("while True:", "    pass", done),
        "try": body("try:", "    x = 1", "except ValueError:", "    x = 2", done),
        "try_star": body("try:", "    x = 1", "except* ValueError:", "    x = 2", done),
        "traceback": body(
            "try:",
            "    x = 1 / 0",
            "except Exception as e:",
            "    f = e.__traceback__.tb_frame",
            done,
        ),
        "with": body("with open('x') as f:", "    pass", done),
        "raise": body("raise SystemExit"),
        "assert": body("assert False", done),
        "delete": body("del height", done),
        "global": body("global np", done),
        "nonlocal": body("nonlocal np", done),
        "class": body("class A:", "    pass", done),
        "match": body("match height:", "    case np.ndarray():", "        pass", done),
        "nested_function": body("def f():", "    return 1", done),
        "import_inside": body("import os", done),
        "import_numpy_inside": body("import numpy as np", done),
        "bare_call": body("height.sum()", done),
        "bare_ellipsis": body("...", done),
        "for_over_array": body("for x in height:", "    pass", done),
        "for_over_name": body("x = [1]", "for y in x:", "    x += [1]", done),
        "for_over_text": body("for x in 'abc':", "    pass", done),
        "for_into_subscript": body("for height[0] in (1, 2):", "    pass", done),
        "for_into_attribute": body("for np.exp in (1, 2):", "    pass", done),
        "async_for": "async " + body("async for x in height:", "    pass"),
        "async_function": "async " + body(done),
        "assign_module": body("np = height", done),
        "assign_module_unicode": body("\uff4ep = height", done),
        "assign_module_part": body("np.exp = 0", done),
        "assign_builtin": body("abs = height", done),
        "assign_shape": body("height.shape = (1,)", done),
        "assign_dtype": body("height.dtype = 0", done),
        "augment_attribute": body("np.pi += 1", done),
        "augment_power": body("x = 2", "x **= 1000", done),
        "unpack_module": body("(np, x) = (1, 2)", done),
        "unpack_star": body("x, *y = (1, 2, 3)", done),
        "loop_variable_module": body("for np in (1, 2):", "    pass", done),
        "local_range_bound": "N = 2\n"
        + body("N = 1000000", "for i in range(N):", "    pass", done),
        "decorator": "@abs\n" + body(done),
        "decorator_call": "@np.vectorize(0)\n" + body(done),
        "default_value": "def compute_reward(height, x=[]):\n    " + done,
        "default_name": "def f(x=np):\n    return x\n" + body(done),
        "default_text": "def f(x='{}'):\n    return x\n" + body(done),
        "star_parameter": f"def compute_reward(*height):\n    {done}",
        "double_star_parameter": f"def compute_reward(**height):\n    {done}",
        "positional_only": f"def compute_reward(height, /):\n    {done}",
        "keyword_only": f"def compute_reward(*, height):\n    {done}",
        "parameter_module": f"def compute_reward(height, np):\n    {done}",
        "parameter_module_unicode": f"def compute_reward(height, \uff4ep):\n    {done}",
        "parameter_builtin": f"def compute_reward(height, sum):\n    {done}",
        "parameter_dunder": f"def compute_reward(height, __builtins__):\n    {done}",
        "parameter_unknown": "def potential(heigth):\n    return heigth",
        "parameter_not_ascii": f"def compute_reward(h\u00e9ight):\n    {done}",
        "memory_without_declaration": f"def compute_reward(height, memory):\n    {done}",
        "memory_not_read": "MEMORY = 2\n" + body(done),
        "memory_too_wide": f"MEMORY = 65\ndef compute_reward(height, memory):\n    {done}",
        "memory_zero": f"MEMORY = 0\ndef compute_reward(height, memory):\n    {done}",
        "memory_computed": f"MEMORY = 1 + 1\ndef compute_reward(height, memory):\n    {done}",
        "memory_of_potential": "MEMORY = 1\ndef potential(height, memory):\n    return height",
        "no_feature": f"def compute_reward():\n    {done}".replace("height", "0"),
        "recursion": body("return compute_reward(position, height)"),
        "mutual_recursion": "def f(x):\n    return g(x)\ndef g(x):\n    return f(x)\n" + body(done),
        "duplicate_function": body(done) + "\n" + body(done),
        "duplicate_helper": "def f(x):\n    return x\ndef f(x):\n    return 0\n" + body(done),
        "function_over_constant": "f = 1\ndef f(x):\n    return x\n" + body(done),
        "function_named_builtin": "def abs(x):\n    return x\n" + body(done),
        "function_named_module": "def np(x):\n    return x\n" + body(done),
        "local_named_function": "def f(x):\n    return x\n" + body("f = 1", done),
        "two_entries": body(done) + "\ndef potential(height):\n    return height",
        "no_entry": "def reward(height):\n    return height",
        "empty": "",
        "import_os": "import os\n" + body(done),
        "import_two": "import numpy as np, os\n" + body(done),
        "import_numpy_plain": "import numpy\n" + body(done),
        "import_os_as_np": "import os as np\n" + body(done),
        "import_from_numpy": "from numpy import load\n" + body(done),
        "import_star": "from math import *\n" + body(done),
        "import_typing_as": "from typing import Any as np\n" + body(done),
        "import_relative": "from .typing import Any\n" + body(done),
        "import_late": body(done) + "\nimport subprocess",
        "top_level_call": "np.load('x')\n" + body(done),
        "top_level_if": "if True:\n    X = 1\n" + body(done),
        "top_level_loop": "for X in (1, 2):\n    pass\n" + body(done),
        "top_level_augment": "X = 1\nX += 1\n" + body(done),
        "top_level_main": body(done) + "\nif __name__ == '__main__':\n    pass",
        "constant_list": "X = [1]\n" + body(done),
        "constant_array": "X = np.zeros(3)\n" + body(done),
        "constant_text": "X = 'a'\n" + body(done),
        "constant_dunder": "__builtins__ = 1\n" + body(done),
        "constant_all": "__all__ = ()\n" + body(done),
        "constant_subscript": "X = (1, 2)[0]\n" + body(done),
        "constant_pair": "X, Y = 1, 2\n" + body(done),
        "too_long": "#" * 20_001,
        "too_many_nodes": body("x = [" + "0," * 5000 + "]", done),
        "deep_sum": expression("height" + " + 1" * 400),
        "deep_minus": expression("-" * 9000 + "1"),
        "deep_not": expression("not " * 4000 + "1"),
        "deep_attribute": expression("height" + ".T" * 8000),
        "deep_call": expression("height" + "()" * 8000),
        "deep_index": expression("height" + "[0]" * 6000),
        "deep_choice": expression("1 if height else " * 1000 + "2"),
        "deep_comparison": expression("~" * 5000 + "1"),
        "deep_elif": body("if 1:", "    x = 1", *["elif 1:\n        x = 1"] * 150, done),
    }


def _unreadable() -> dict[str, object]:
    """What is no Python text."""
    done = "return height, {'r': height}"
    return {
        "not_text_bytes": b"def compute_reward(height): pass",
        "not_text_none": None,
        "not_text_number": 3,
        "null_byte": "x = 1\x00",
        "surrogate": "x = '\udc80'",
        "cut_off": "def compute_reward(height:",
        "bad_indent": "def compute_reward(height):\nreturn 1",
        "prose": "Here is the reward function you asked for:",
        "many_parentheses": expression("(" * 300),
        "many_digits": expression("9" * 9000),
        "formula_feed": "def compute_reward(height):\n\x0c\treturn\n \treturn",
        "break_outside": body("break", done),
        "argument_twice": f"def compute_reward(height, height):\n    {done}",
        "keyword_twice": expression("height.sum(axis=0, axis=0)"),
        "assign_none": body("None = 1", done),
        "nested_loops": body(*("    " * i + "for i in (1,):" for i in range(25)),
                             "    " * 25 + "pass", done),
    }  # fmt: skip


def _failing() -> dict[str, tuple[object, tuple[Status, ...]]]:
    """What passes the static check and must stop in the worker."""
    done = "return height, {'r': height}"
    loops = ["    " * i + f"for i{i} in range(4096):" for i in range(3)]
    return {
        "endless_loops": (body("x = 0", *loops, "    " * 3 + "x += 1", done), (TIMEOUT,)),
        "growing_enumerate": (
            body("x = [1]", "for i, y in enumerate(x):", "    x += [y]", done), (TIMEOUT, OOM)),
        "growing_zip": (
            body("x = [1]", "for y, z in zip(x, x):", "    x += [y, z]", done), (TIMEOUT, OOM)),
        "squares": (
            body("x = 999999999", "for i in range(64):", "    x = x * x", done), (TIMEOUT, OOM)),
        "shifts": (
            body("x = 1", "for i in range(4096):", "    x = x << 1000000000", done),
            (TIMEOUT, OOM, RUNTIME)),
        "nested_powers": (
            expression("(" * 30 + "9" + " ** 8)" * 30), (TIMEOUT, OOM)),
        "constant_powers": (
            "X = " + "(" * 30 + "9" + " ** 8)" * 30 + "\n" + body(done), (TIMEOUT, OOM)),
        "doubling_helpers": (
            "def f0(x):\n    return x\n"
            + "".join(f"def f{i}(x):\n    return f{i - 1}(x) + f{i - 1}(x)\n" for i in range(1, 40))
            + body("r = f39(1)", done), (TIMEOUT,)),
        "doubling_text": (
            body("for k in {'ab': 1}.keys():", "    x = k", "for i in range(4096):",
                 "    x = x + x", done), (OOM, TIMEOUT)),
        "text_padding": (
            body("for k in {'%1000000000d': 1}.keys():",
                 "    x = (k * 3) % (1, 1, 1)", done), (TIMEOUT, OOM)),
        "giant_zeros": (expression("np.zeros((100000, 100000))"), (OOM,)),
        "giant_ones": (expression("np.ones((100000, 100000))"), (OOM,)),
        "giant_arange": (expression("np.arange(1000000000)"), (OOM,)),
        "giant_list": (expression("[0] * 1000000000"), (OOM,)),
        "giant_constant": ("X = (1,) * 1000000000\n" + body(done), (OOM,)),
        "giant_tuple": (expression("(0, 0) * 999999999"), (OOM,)),
        "giant_broadcast": (
            expression("np.zeros((100000, 1)) + np.zeros((1, 100000))"), (OOM,)),
        "hoarded_arrays": (
            body("x = []", "for i in range(4096):", "    x += [np.ones(10000000)]", done),
            (OOM, TIMEOUT)),
        "negative_size": (expression("np.zeros(-1)"), (RUNTIME,)),
        "impossible_size": (expression("np.zeros((999999999, 999999999, 999999999))"), (RUNTIME,)),
        "cumsum_chain": (
            body("x = np.ones(10000000)", "for i in range(4096):", "    x = x.cumsum()", done),
            (TIMEOUT,)),
        "huge_matrix": (
            body("x = np.ones((9000, 9000))", "y = x.dot(x)", done), (TIMEOUT, OOM)),
        "int_of_text": (
            body("for k in {'9': 1}.keys():", "    x = int(k * 1000000)", done), (RUNTIME,)),
        "write_item": (body("height[0] = 1.0", done), (RUNTIME,)),
        "write_slice": (body("position[:, 0] = 0.0", done), (RUNTIME,)),
        "write_mask": (body("height[height > 0] = 0.0", done), (RUNTIME,)),
        "write_augmented": (body("height += 1.0", done), (RUNTIME,)),
        "write_augmented_view": (body("x = position[:, 0]", "x *= 2.0", done), (RUNTIME,)),
        "write_through_reshape": (body("x = height.reshape(-1)", "x[0] = 1", done), (RUNTIME,)),
        "write_through_transpose": (body("x = position.T", "x[0] = 1", done), (RUNTIME,)),
        "write_through_asarray": (body("x = np.asarray(height)", "x[0] = 1", done), (RUNTIME,)),
        "division": (expression("1 / 0"), (RUNTIME,)),
        "bad_broadcast": (expression("position + np.zeros((1, 2))"), (RUNTIME,)),
        "bad_index": (expression("height[99999999]"), (RUNTIME,)),
        "bad_key": (expression("{'a': 1}['b']"), (RUNTIME,)),
        "field_of_array": (expression("height['f0']"), (RUNTIME,)),
        "unbound": (body("if False:", "    x = 1", "r = x", done), (RUNTIME,)),
        "truth_of_array": (expression("1 if height > 0 else 2"), (RUNTIME,)),
        "int_of_array": (expression("int(position)"), (RUNTIME,)),
        "method_of_dict": (expression("height.items()"), (RUNTIME,)),
        "unequal_strict_zip": (expression("list(zip((1,), (1, 2), strict=True))"), (RUNTIME,)),
        "text_as_dtype": (
            body("for k in {'O': 1}.keys():", "    x = np.zeros_like(height, k)", done), (STATIC,)),
        "text_as_type": (
            body("for k in {'O': 1}.keys():", "    x = height.astype(k)", done), (STATIC,)),
        "constant_division": ("X = 1 / 0\n" + body(done), (RUNTIME,)),
        "missing_return": (body("r = height"), (SHAPE,)),
        "return_number": (body("return 1.0"), (SHAPE,)),
        "return_total_alone": (body("return height"), (SHAPE,)),
        "return_list": (body("return [height, {'r': height}]"), (SHAPE,)),
        "return_triple": (body("return height, {'r': height}, height"), (SHAPE,)),
        "terms_not_dict": (body("return height, [height]"), (SHAPE,)),
        "terms_numbered": (body("return height, {1: height}"), (SHAPE,)),
        "terms_tuples": (body("return height, {(1, 2): height}"), (SHAPE,)),
        "terms_tuples_of_text": (body("return height, {('a', 'b'): height}"), (STATIC,)),
        "terms_many": (
            body("return height, dict(zip(range(4096), range(4096)))"), (SHAPE,)),
        "terms_million": (
            body("x = list(range(4096)) * 300", "y = {}", "for i, v in enumerate(x):",
                 "    y[i] = height", "return height, y"), (SHAPE, TIMEOUT)),
        "term_long_computed": (
            body("for k in {'a': 1}.keys():", "    y = {k * 100000: height}", "return height, y"),
            (SHAPE,)),
        "term_invisible_computed": (
            body("for k in {'%c': 1}.keys():", "    y = {k % 0: height}", "return height, y"),
            (SHAPE,)),
        "term_none": (body("return height, {'r': None}"), (SHAPE,)),
        "term_dict": (body("return height, {'r': {'s': height}}"), (SHAPE,)),
        "term_object": (body("return height, {'r': np.array([None, {}])}"), (SHAPE,)),
        "term_text": (
            body("for k in {'a': 1}.keys():", "    x = np.array([k, k])",
                 "return height, {'r': x}"),
            (SHAPE,)),
        "total_text": (
            body("for k in {'1': 1}.keys():", "    x = k", "return x, {'r': height}"), (SHAPE,)),
        "total_complex": (
            body("x = (-8.0) ** 0.5 + height", "return x, {'r': height}"), (SHAPE,)),
        "total_scalar": (body("return height.sum(), {'r': height}"), (SHAPE,)),
        "total_matrix": (body("return position, {'r': height}"), (SHAPE,)),
        "total_column": (body("return height[:, None], {'r': height}"), (SHAPE,)),
        "total_long": (
            body("return np.concatenate([height, height]), {'r': height}"), (SHAPE,)),
        "total_ragged": (body("return [[1.0], [1.0, 2.0]], {'r': height}"), (SHAPE,)),
        "total_self_containing": (
            body("x = [1]", "x[0] = x", "return x, {'r': height}"), (SHAPE,)),
        "total_deep": (
            body("x = []", "for i in range(4096):", "    x = [x]", "return x, {'r': height}"),
            (SHAPE,)),
        "total_huge_list": (
            body("x = [[0] * 10000] * 10000", "return x, {'r': height}"), (SHAPE, TIMEOUT, OOM)),
        "potential_dict": ("def potential(height):\n    return {'r': height}", (SHAPE,)),
        "potential_pair": ("def potential(height):\n    return height, {}", (SHAPE,)),
        "factors_array": ("def factors(height):\n    return height", (SHAPE,)),
        "factors_pair": ("def factors(height):\n    return height, {'r': height}", (SHAPE,)),
        "memory_missing": (
            "MEMORY = 2\ndef compute_reward(height, memory):\n    return height, {}", (SHAPE,)),
        "memory_wrong": (
            "MEMORY = 2\ndef compute_reward(height, memory):\n    return height, {}, height",
            (SHAPE,)),
        "memory_written": (
            "MEMORY = 2\ndef compute_reward(height, memory):\n    memory[:, 0] = 1.0\n"
            "    return height, {}, memory", (RUNTIME,)),
    }  # fmt: skip


def _harmless() -> dict[str, object]:
    """Odd programs that may run: nothing bad can come of them."""
    return {
        "not_a_number": body("return height * np.nan, {'r': height / 0.0}"),
        "no_terms": body("return height, {}"),
        "odd_term_names": body("return height, {'__class__': height, '; rm -rf /': height}"),
        "unicode_numpy": body("return \uff4ep.abs(height), {'r': height}"),
        "module_annotation": "def compute_reward(height: __import__('os').system('id')):\n"
        "    x: open('x')\n    y: exec('1') = 1\n    return height, {}",
        "module_docstring": "'''a'''\n" + body("'''{0.__class__}'''", "return height, {}"),
        "coding_cookie": "# -*- coding: utf-7 -*-\n" + body("return height, {}"),
        "booleans": body("return height > 0, {'r': height > 0}"),
        "integers": body("return np.arange(len(height)), {'r': [1] * len(height)}"),
        "same_array": body("return height, {'a': height, 'b': height}"),
        "strided": body("return position[:, 0], {'r': position.T[1]}"),
        "ellipsis_index": body("return position[..., 0], {'r': height[...]}"),
        "is_literal": body("x = 1 if 1 is 1 else 2", "return height * x, {}"),
        "escape_in_text": body("return height, {'\\d': height}"),
    }


CASES: list[Case] = [
    *(Case(name, source, (STATIC,)) for name, source in _refused().items()),
    *(Case(name, source, (PARSE,)) for name, source in _unreadable().items()),
    *(Case(name, source, statuses) for name, (source, statuses) in _failing().items()),
    *(Case(name, source, (Status.OK,)) for name, source in _harmless().items()),
]
