"""One seed, one run: in this process again, and in another one with other hashes and other addresses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.simulation import programs
from tests.simulation.programs import run_program

PROGRAMS = 200


def test_every_random_program_repeats_and_another_seed_makes_another_run() -> None:
    for shape in range(PROGRAMS):
        first, again, other = (run_program(shape, seed) for seed in (shape, shape, shape + PROGRAMS))
        assert first == again, f"program {shape} is not repeatable"
        assert first.digest != other.digest, f"program {shape} does not heed its seed"


def test_two_processes_with_different_hashes_make_the_same_runs() -> None:
    numbers = [str(shape) for shape in range(30)]
    outputs = []
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, str(Path(programs.__file__)), *numbers],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.append([line.split() for line in done.stdout.splitlines()])
    word = 3  # the hash of a string: it says that the two processes do differ
    for one, other in zip(*outputs, strict=True):
        assert one[word] != other[word]
        assert one[:word] + one[word + 1 :] == other[:word] + other[word + 1 :]
    here = [run_program(shape, shape).digest for shape in range(30)]
    assert here == [line[1] for line in outputs[0]]


def test_time_never_runs_backwards() -> None:
    for shape in range(20):
        program = programs.make_program(shape)
        times: list[float] = []

        async def watched(loop: programs.VirtualLoop, program: programs.Program = program) -> None:
            loop.on_step = lambda number, now_s, tag: times.append(now_s)  # noqa: B023
            await program(loop)

        programs.run_virtual(watched, seed=shape)
        assert times == sorted(times)
        assert len(times) > 10
