"""Compile the kernels with numba, or run them as plain Python when BOTD_NO_NUMBA is set.

Both give the same bits: the kernels use + - * / sqrt and comparisons only, without fastmath. The
plain form is the oracle of the compiled one and the fallback where numba is missing.
"""

from __future__ import annotations

import functools
import hashlib
import os  # allow: the compiler's cache is a folder
import tempfile  # allow: the compiler's cache is a folder
from collections.abc import Callable, Iterator
from pathlib import Path  # allow: the compiler's cache is a folder
from typing import Any, Final, TypeVar, cast

import numpy as np

COMPILED: Final = os.environ.get("BOTD_NO_NUMBA", "") in ("", "0")


def _roots() -> Iterator[Path]:
    named = os.environ.get("BOTD_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    if named:
        yield Path(named)
    if "HOME" in os.environ:
        yield Path(os.environ["HOME"]) / ".cache"
    yield Path(tempfile.gettempdir())  # raises where there is none: asked for last


def cache_folder() -> Path:
    """Return the folder of compiled kernels. Its name carries a hash of all their sources.

    numba keeps calling the old version of a cached function from another module after that module
    changed, so every change of any kernel source gets a folder of its own.
    """
    digest = hashlib.blake2b(digest_size=8)
    here = Path(__file__).parent
    for source in (*sorted(here.glob("*.py")), here.parent / "language" / "opcodes.py"):
        digest.update(source.read_bytes())
    for root in _roots():
        folder = root / "botd" / f"kernels-{digest.hexdigest()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="botd-kernels-"))


F = TypeVar("F", bound=Callable[..., Any])

if COMPILED:
    import numba

    numba.config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]
    _compiler: Any = functools.partial(numba.njit, cache=True, error_model="numpy")
    U8: Any = np.uint64  # a flat index: unsigned ones save a sign test in every access
else:
    _compiler = None
    U8 = int


def jit(function: F) -> F:
    """Compile a kernel that other kernels call."""
    return cast(F, _compiler()(function)) if COMPILED else function


def inline(function: F) -> F:
    """Compile a kernel into its callers: no counting of array references in hot loops."""
    return cast(F, _compiler(forceinline=True)(function)) if COMPILED else function


def entry(function: F) -> F:
    """Compile a kernel that Python calls; it runs without the interpreter's lock."""
    if COMPILED:
        return cast(F, _compiler(nogil=True)(function))

    @functools.wraps(function)
    def quiet(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*args)

    return cast(F, quiet)
