"""The house rules that a machine can hold; every rule is also shown to catch a planted violation.

An exception stands on the offending line (for the length of a module: on its first) as `# allow: <reason>`.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.import_table import MAY_IMPORT

ROOT = Path(__file__).resolve().parent.parent
FUNCTION_LINES_MAX, MODULE_LINES_MAX = 60, 400

SIMULATES = "botd/cli/sim.py"  # this alone, and inside its functions: no daemon ever loads the simulation
PURE = ("language", "engine", "core")
# The standard library's modules that can neither read the world nor change it, and what computes.
PURE_MODULES = frozenset(
    re.findall(
        r"\w+",
        """__future__ abc array bisect collections contextlib copy dataclasses datetime decimal difflib enum
        fractions functools hashlib heapq itertools json keyword math numbers operator random re statistics
        string struct textwrap types typing unicodedata numpy botd""",
    )
)
PURE_MODULES_OF = {"engine": frozenset({"numba"}), "language": frozenset({"yaml"}), "core": frozenset[str]()}
# Heavy packages and where they may be imported at all; an empty set means nowhere in botd.
HEAVY: Mapping[str, frozenset[str]] = {
    "pandas": frozenset(),
    "streamlit": frozenset(),
    "plotly": frozenset(),
    "talib": frozenset(),
    "ccxt": frozenset({"venues", "feeds"}),
    "polars": frozenset({"research"}),
    "duckdb": frozenset({"research"}),
    "optuna": frozenset({"research"}),
}
CLOCKS = frozenset(
    [
        f"time.{name}{suffix}"
        for name in ("time", "monotonic", "perf_counter", "process_time")
        for suffix in ("", "_ns")
    ]
    + [f"datetime.{name}" for name in ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")]
)
CLOCK_MODULE, KERNELS = "botd/runtime/clock.py", "botd/engine/kernels.py"
IO_CALLS = frozenset({"open", "print", "input", "eval", "exec", "breakpoint"})
BAD_WORDS = frozenset({"manager", "managers", "helper", "helpers", "util", "utils", "misc"})

Rule = Callable[[str, str], Iterator[str]]


def package_of(path: str) -> str:
    """Return the top name inside botd: `botd/core/risk.py` is `core`, `botd/ports.py` is `ports`."""
    return path.removesuffix(".py").split("/")[1]


def closure(package: str) -> set[str]:
    """Return everything that `package` may import, through others too."""
    reached: set[str] = set()
    waiting = [*MAY_IMPORT.get(package, ())]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(MAY_IMPORT.get(name, ()))
    return reached


def imports(tree: ast.AST, path: str) -> Iterator[tuple[int, str]]:
    """Yield line and full dotted name of all that is imported, relative imports resolved."""
    folder = path.split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level else []
            module = ".".join([*base, *((node.module or "").split(".") if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def excused(source: str, line: int) -> bool:
    """Return whether the line says why it is an exception."""
    return re.search(r"#\s*allow:\s*\S.{7,}", source.splitlines()[line - 1]) is not None


def report(path: str, source: str, found: Iterator[tuple[int, str]]) -> Iterator[str]:
    """Format findings as `path:line: what`, without the excused ones."""
    for line, what in dict.fromkeys(found):
        if not excused(source, line):
            yield f"{path}:{line}: {what}"


def import_direction(path: str, source: str) -> Iterator[str]:
    """Imports inside botd run one way; screens outside read through the query module only."""

    def find() -> Iterator[tuple[int, str]]:
        outside = not path.startswith("botd/")
        package = "" if outside else package_of(path)
        allowed = {"store.queries", "errors"} if outside else closure(package) | {package, "__version__"}
        if package == "__init__":
            allowed = set()
        elif not outside and package not in MAY_IMPORT:
            yield 1, f"'{package}' has no row in the import table"
        tree = ast.parse(source)
        for line, name in imports(tree, path):
            parts = name.split(".")
            if parts[0] != "botd":
                continue
            if path == SIMULATES and parts[1] == "simulation" and line in inside_functions(tree, path):
                continue
            if len(parts) == 1 or not ({parts[1], ".".join(parts[1:3])} & allowed):
                yield line, f"may not import {name}"

    return report(path, source, find())


def inside_functions(tree: ast.Module, path: str) -> set[int]:
    """Return the lines of the imports that run only when a function is called."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return {line for one in functions for line, _ in imports(one, path)}


def purity(path: str, source: str) -> Iterator[str]:
    """The language, the engine and the core read no file, clock or dice, log nothing and await nothing."""

    def find() -> Iterator[tuple[int, str]]:
        tree = ast.parse(source)
        allowed = PURE_MODULES | PURE_MODULES_OF[package_of(path)]
        for line, name in imports(tree, path):
            if name.split(".")[0] not in allowed:
                yield line, f"pure code may not import {name}"
            if name.startswith("random.") and name != "random.Random":
                yield line, "chance is an argument: take a random.Random"
        for node in ast.walk(tree):
            if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
                yield node.lineno, "pure code does not await"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IO_CALLS:
                yield node.lineno, f"pure code does not call {node.func.id}()"
            dotted = dotted_name(node)
            if dotted.startswith("random.") and dotted != "random.Random":
                yield line_of(node), "chance is an argument: take a random.Random"
            if dotted.startswith(("np.random", "numpy.random")):
                yield line_of(node), "chance is an argument: numpy.random has a hidden state"
            if dotted in {"np.load", "np.save", "np.fromfile", "np.memmap", "np.loadtxt", "np.savez"}:
                yield line_of(node), f"pure code does no I/O: {dotted}"

    return report(path, source, find())


def line_of(node: ast.AST) -> int:
    """Return the first line of an expression or statement."""
    return int(getattr(node, "lineno", 1))


def dotted_name(node: ast.AST) -> str:
    """Return `a.b.c` for an attribute of plain names, else nothing."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) and parts else ""


def clock_reads(path: str, source: str) -> Iterator[str]:
    """Only `runtime/clock.py` reads a clock; everywhere else time is an argument."""

    def find() -> Iterator[tuple[int, str]]:
        if path == CLOCK_MODULE:
            return
        tree = ast.parse(source)
        spelled = {"time": "time", "datetime": "datetime"}  # local name -> what it stands for
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                spelled.update({alias.asname: alias.name for alias in node.names if alias.asname})
            elif isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime"):
                for alias in node.names:
                    spelled[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                    if node.module == "time" and f"time.{alias.name}" in CLOCKS:
                        yield node.lineno, f"reads a clock: time.{alias.name}"
        for node in ast.walk(tree):
            first, _, rest = dotted_name(node).partition(".")
            full = f"{spelled.get(first, first)}.{rest}"
            if full in CLOCKS:
                yield line_of(node), f"reads a clock: {full}"
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "time"
            ):
                owner = ast.unparse(node.func.value)
                if "loop" in owner and owner not in spelled:
                    yield node.lineno, f"reads a clock: {owner}.time()"

    return report(path, source, find())


def sizes(path: str, source: str) -> Iterator[str]:
    """A function fits a screen and a module has one reason to exist."""

    def find() -> Iterator[tuple[int, str]]:
        if path == KERNELS or (path.startswith("botd/engine/") and source.startswith("# allow: size")):
            return  # a kernel is one loop, and all kernels of a stage share one file
        lines = source.count("\n")
        if lines > MODULE_LINES_MAX:
            yield 1, f"module of {lines} lines (at most {MODULE_LINES_MAX})"
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    yield node.lineno, f"{node.name}() of {length} lines (at most {FUNCTION_LINES_MAX})"

    return report(path, source, find())


def names(path: str, source: str) -> Iterator[str]:
    """Nothing is called manager, helper or utils: such a name does not say what the thing does."""

    def find() -> Iterator[tuple[int, str]]:
        for part in path.removesuffix(".py").split("/"):
            if BAD_WORDS & set(part.lower().split("_")):
                yield 1, f"'{part}' does not say what it does"
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                words = {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+", node.name)}
                if BAD_WORDS & words or node.name == "process_data":
                    yield node.lineno, f"'{node.name}' does not say what it does"

    return report(path, source, find())


def heavy_imports(path: str, source: str) -> Iterator[str]:
    """Screens' and researchers' packages never enter the daemon; ccxt is imported inside a function only."""

    def find() -> Iterator[tuple[int, str]]:
        tree = ast.parse(source)
        at_top = {
            line
            for node in tree.body
            for line, _ in imports(node, path)
            if not isinstance(node, ast.FunctionDef)
        }
        for line, name in imports(tree, path):
            top = name.split(".")[0]
            if top in HEAVY and package_of(path) not in HEAVY[top]:
                yield line, f"{package_of(path)} may not import {top}"
            elif top in HEAVY and line in at_top:
                yield line, f"import {top} inside the function that needs it: it takes seconds"

    return report(path, source, find())


def python_files(*folders: str) -> list[str]:
    """List the tree's Python files under the folders, as paths relative to the root."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    kept = (str(path.relative_to(ROOT)) for path in found)
    return sorted(path for path in kept if not path.startswith(("bench/peers/", "bench/data/")))


def violations(rule: Rule, files: list[str]) -> list[str]:
    """Apply a rule to files of the tree."""
    return [text for path in files for text in rule(path, (ROOT / path).read_text(encoding="utf-8"))]


BOTD = python_files("botd")
PURE_FILES = [path for path in BOTD if package_of(path) in PURE]
EVERYTHING = python_files("botd", "tests", "scripts", "bench", "streamlit_app")


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        pytest.param(import_direction, BOTD + python_files("streamlit_app"), id="import_direction"),
        pytest.param(purity, PURE_FILES, id="purity"),
        pytest.param(clock_reads, BOTD, id="clock_reads"),
        pytest.param(sizes, EVERYTHING, id="sizes"),
        pytest.param(names, EVERYTHING, id="names"),
        pytest.param(heavy_imports, BOTD, id="heavy_imports"),
    ],
)
def test_tree_keeps_rule(rule: Rule, files: list[str]) -> None:
    found = violations(rule, files)
    assert not found, "\n" + "\n".join(found)


PLANTED = [
    (import_direction, "botd/core/risk.py", "from botd.store import journal\n"),
    (import_direction, "botd/engine/engine.py", "from botd.core.events import Side\n"),
    (import_direction, "botd/feeds/synthetic.py", "def f() -> None:\n    import botd.venues.simulated\n"),
    (import_direction, "botd/feeds/synthetic.py", "from ..runtime import clock\n"),
    (import_direction, "botd/api/routes.py", "from botd.store import journal\n"),
    (import_direction, "botd/surprise/thing.py", "X = 1\n"),
    (import_direction, "botd/daemon.py", "from botd.simulation.loop import VirtualLoop\n"),
    (import_direction, "botd/cli/sim.py", "from botd.simulation.swarm import run_seed\n"),
    (import_direction, "botd/cli/run.py", "def f() -> None:\n    import botd.simulation.swarm\n"),
    (import_direction, "streamlit_app/main.py", "from botd.app import build\n"),
    (purity, "botd/core/risk.py", "import logging\n"),
    (purity, "botd/core/risk.py", "from sqlite3 import connect\n"),
    (purity, "botd/core/risk.py", "def f(p):\n    return open(p)\n"),
    (purity, "botd/engine/engine.py", "import random\nx = random.random()\n"),
    (purity, "botd/engine/engine.py", "import numpy as np\nx = np.random.rand()\n"),
    (purity, "botd/language/checks.py", "async def f() -> None: ...\n"),
    (purity, "botd/language/checks.py", "import os  # allow: x\n"),
    (purity, "botd/language/checks.py", "import numba\n"),
    (clock_reads, "botd/core/bot.py", "import time\nnow = time.time()\n"),
    (clock_reads, "botd/runtime/live.py", "from time import monotonic as m\n"),
    (clock_reads, "botd/runtime/live.py", "import time as t\nread = t.perf_counter_ns\n"),
    (clock_reads, "botd/store/journal.py", "from datetime import UTC, datetime as dt\nnow = dt.now(UTC)\n"),
    (clock_reads, "botd/store/journal.py", "import datetime\nnow = datetime.datetime.utcnow()\n"),
    (clock_reads, "botd/runtime/live.py", "now = asyncio.get_running_loop().time()\n"),
    (sizes, "botd/core/risk.py", "X = 1\n" * (MODULE_LINES_MAX + 1)),
    (sizes, "botd/core/risk.py", "def f() -> None:\n" + "    g()\n" * FUNCTION_LINES_MAX),
    (sizes, "botd/core/risk.py", "# allow: size\ndef f() -> None:\n" + "    g()\n" * FUNCTION_LINES_MAX),
    (names, "botd/core/order_utils.py", "X = 1\n"),
    (names, "botd/core/orders.py", "class OrderManager: ...\n"),
    (names, "botd/core/orders.py", "def process_data() -> None: ...\n"),
    (heavy_imports, "botd/core/performance.py", "import pandas as pd\n"),
    (heavy_imports, "botd/venues/bybit.py", "import ccxt.async_support\n"),
    (heavy_imports, "botd/runtime/live.py", "def f() -> None:\n    import ccxt\n"),
]


@pytest.mark.parametrize(("rule", "path", "source"), PLANTED)
def test_planted_violation_is_caught(rule: Rule, path: str, source: str) -> None:
    assert len(list(rule(path, source))) == 1


KEPT = [
    (import_direction, "botd/core/bot.py", "from botd.engine.engine import InstrumentEngine\n"),
    (import_direction, "botd/api/routes.py", "from botd.store.queries import positions\n"),
    (import_direction, "botd/cli/main.py", "from botd import __version__\n"),
    (import_direction, SIMULATES, "def f() -> None:\n    from botd.simulation.swarm import run_seed\n"),
    (
        purity,
        "botd/engine/jit.py",
        "import os  # allow: the switch for plain Python is read once at import\n",
    ),
    (purity, "botd/core/fills.py", "import random\ndef f(rng: random.Random) -> float: ...\n"),
    (clock_reads, CLOCK_MODULE, "import time\nnow = time.time_ns()\n"),
    (clock_reads, "botd/core/bot.py", "def f(row):\n    return row.time\n"),
    (sizes, "botd/engine/machine.py", "# allow: size - one dispatch loop\n" + "X = 1\n" * 500),
    (names, "botd/core/orders.py", "from contextlib import contextmanager\n"),
    (heavy_imports, "botd/venues/bybit.py", "def f() -> None:\n    import ccxt\n"),
]


@pytest.mark.parametrize(("rule", "path", "source"), KEPT)
def test_permitted_code_is_not_reported(rule: Rule, path: str, source: str) -> None:
    assert list(rule(path, source)) == []


def test_pure_packages_load_nothing_heavy() -> None:
    modules = [path.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".") for path in PURE_FILES]
    heavy = [*HEAVY, "sqlalchemy", "aiohttp", "pyarrow", "alembic"]
    code = (
        f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
        f"loaded = sorted(set({heavy!r}) & set(sys.modules))\nassert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_tools_are_configured_strictly() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert config["tool"]["mypy"]["strict"] is True
    assert config["tool"]["mypy"]["packages"] == ["botd"]
    assert config["tool"]["pytest"]["filterwarnings"][0] == "error"
    assert {"E", "F", "B", "DTZ", "ASYNC", "T20"} <= set(config["tool"]["ruff"]["lint"]["select"])
