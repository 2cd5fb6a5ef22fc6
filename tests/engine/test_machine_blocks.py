"""Machines side by side, cut into blocks, restored, and without a compiler."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np

from botd.engine import machine as m
from tests.engine.play import Play, digest, judged, random_play, strategy

ROOT = Path(__file__).resolve().parents[2]

# ---- several machines, blocks, snapshots --------------------------------------------------------------


def test_machines_of_one_row_speak_in_their_order() -> None:
    play = Play(
        [strategy(name="a"), strategy(name="b", o1="when: bid_size > 2", word="ask_size")],
        [{"S1": ".1", "Z1": ".1"}, {"S1": "11", "Z1": "..", "O1": ".1"}],
    )
    assert judged(play) == [(0, "1:S1"), (1, "0:S1"), (1, "0:Z1"), (1, "1:O1")]


def test_machine_wakes_after_a_scan_that_stopped_early() -> None:
    play = Play(
        [strategy(name="a"), strategy(name="b", word="ask_size")],
        [{"S1": ".......1", "Z1": "........"}, {"S1": "1.......", "Z1": "1......."}],
    )
    assert play.run(stops=[2, 4]) == [(0, "1:S1"), (0, "1:Z1"), (7, "0:S1")]


def test_plays_do_not_depend_on_blocks_or_stops() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    whole = random_play(seed, 1200, block_max=1200)
    whole.run([1200])
    assert len({name for _, name in whole.events}) > 12
    for _ in range(5):
        block_max = rng.randint(1, 300)
        cut = random_play(seed, 1200, block_max=block_max)
        cut.run([rng.randint(1, block_max) for _ in range(400)], stops=rng.sample(range(1200), 50))
        assert cut.events == whole.events
        assert digest(cut) == digest(whole)


def test_state_continues_to_the_bit() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    whole = random_play(seed, 900)
    whole.run()
    first = random_play(seed, 900)
    rows = first.rows
    first.rows = rows[:, :500]
    first.run()
    second = random_play(seed, 900)
    second.engine.restore(first.engine.state())
    second.machines.restore(first.machines.state())
    second.machines.bind()
    second.row, second.events, second.script = 500, first.events, first.script
    second.run()
    assert second.events == whole.events
    assert digest(second) == digest(whole)


def test_plain_python_gives_the_same_bits() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    play = random_play(seed, 1500)
    play.run()
    command = [sys.executable, "-W", "error", str(ROOT / "tests/engine/play.py"), str(seed), "1500"]
    env = os.environ | {"BOTD_NO_NUMBA": "1"}
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == f"{len(play.events)} {digest(play)}\n", done.stderr


def test_words_of_a_fresh_machine() -> None:
    machines = Play(strategy(), rows=1).machines
    assert machines.words[m.ARMED] == 1
    assert np.isnan(machines.pnl_max).all()
    assert machines.decisions() == []
