"""Commit batches for ever and say so after each; to be killed by the test that started it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from botd.ports import Batch
from botd.store.journal import open_state
from tests.store import samples


def main() -> None:
    journal = open_state(Path(sys.argv[1]))
    journal.start_session(samples.started())
    cursor = journal.cursor("s1")
    seq = 0 if cursor is None else cursor.seq
    print("ready", flush=True)
    while True:
        signals = tuple(samples.signal(seq + n, row=seq + n) for n in range(1, 6))
        intents = tuple(samples.intent(seq + n, cycle=seq + n) for n in range(6, 11))
        seq += 10
        journal.commit(Batch(session_id="s1", records=signals + intents, cursor=samples.cursor(seq, seq=seq)))
        print(seq, flush=True)


main()
