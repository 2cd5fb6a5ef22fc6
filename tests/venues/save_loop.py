"""Trade and save for ever, saying after each save what the venue knows; to be killed by its test."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from botd.venues.book import SqliteVenueBook
from tests.venues.stand import SPOT, Stand, buy, sell, trade


def main() -> None:
    keep = SqliteVenueBook(Path(sys.argv[1]), "paper")
    after_seq = int(sys.argv[2])
    rows = [trade(n, 1000, bid=1000, ask=1000) for n in range(100_000)]
    stand = Stand(rows, keep=keep)
    stand.venue.recall(keep.load(after_seq), expected=after_seq > 0)
    state = stand.venue.state()
    stand.requests = state["last_request"]
    stand.row = 1
    print("ready", flush=True)
    while True:
        number = stand.requests
        make = buy if stand.venue.positions().get(SPOT.id, 0) == 0 else sell
        stand.send(make(f"o{number}", 10, t=stand.row - 1))
        answers = stand.run(stand.row)
        seqs = " ".join(str(answer.seq) for answer in answers)
        print(f"{stand.venue.state()['last_request']} {seqs}", flush=True)


main()
