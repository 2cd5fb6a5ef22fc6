"""Print the digest of each case's backtest, `strategy path` pairs from the command line; for subprocesses."""

from __future__ import annotations

import sys
from pathlib import Path

from botd.core.decisions import digest
from tests.parity.runs import backtest_lines

if __name__ == "__main__":
    for strategy, data in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        print(digest(backtest_lines(strategy, Path(data))))
