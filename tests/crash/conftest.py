"""Fixtures of the tests that kill daemons."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.crash.daemons import Nursery


@pytest.fixture(scope="package")
def nursery() -> Iterator[Nursery]:
    with Nursery() as one:
        yield one


@pytest.fixture
def rng() -> random.Random:
    seed = int(os.environ.get("BOTD_CRASH_SEED", "0")) or random.randrange(1, 2**32)
    print(f"seed {seed} (again with BOTD_CRASH_SEED={seed})")
    return random.Random(seed)
