"""Read a session again and again until it is finished: it must always be whole batches of ten."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from botd.store.queries import StateReader


def main() -> None:
    with StateReader(Path(sys.argv[1])) as reader:
        print("ready", flush=True)
        while True:
            finished = reader.session("s1").status == "finished"
            seqs = [row.seq for _, row in reader.decisions("s1")]
            if seqs != list(range(1, len(seqs) + 1)) or len(seqs) % 10:
                sys.exit(f"not whole batches: {len(seqs)} records, the last is {seqs[-1:]}")
            if finished:
                break
    print(len(seqs), flush=True)


main()
