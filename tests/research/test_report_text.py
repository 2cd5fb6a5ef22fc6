"""What a report looks like, as Markdown and on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from botd.research.report import make_report
from botd.research.report_text import to_markdown, to_table
from tests.research.test_report import first_run, portfolio, second_run


def test_markdown_shows_files_pool_and_open_positions() -> None:
    report = make_report(strategies=["pump"], data="pumps", runs=[first_run(), second_run()])
    page = to_markdown(report)
    assert page.startswith("# Backtest of pump\n\nData: pumps\n")
    assert (
        "| nxs.parquet | 2022-01-01 00:00 to 2022-01-01 10:00 | derived | BTC | 2 | 50.0% | 2.50 | 0.03 "
        "| 0.004 | +4.00% | +10.00% | 1.90% |"
    ) in page
    assert "| all 2 files |  |  | BTC | 3 | 33.3% | 0.42 | -0.07 | 0.014 | -3.00% | -7.50% | 10.00% |" in page
    assert "- book: derived" in page
    assert "- drawdown: of the equity at every hour and at every fill that closes a trade" in page
    assert "- denied by risk: balance 1" in page
    assert "## Open at the end" in page
    assert "| all 2 files | 5 | 1 | 0 | 1 | 0 | 0 | 3 |" in page
    assert (
        "| nxs.parquet | pump | NXS/BTC | long | 1000 | 0.00011 | 0.00011 | 0 | 2022-01-01 08:00:00 |" in page
    )
    assert "| 0.05 | 0.002 | 2022-01-01 01:00:00 | 7200.0 | ZE1 fade |" in page


def test_terminal_table_shows_every_figure() -> None:
    report = make_report(strategies=["pump"], data="pumps", runs=[first_run(), second_run()])
    console = Console(file=io.StringIO(), width=80)
    console.print(to_table(report, width=80))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for words in (
        "pump on 2 files of pumps",
        "win rate 33.3%",
        "profit factor 0.42",
        "P&L -0.07",
        "exposure 27.5%",
        "signal accuracy 33.3%",
        "nxs 4 1 0 1 0 0 2",
        "all 2 files 5 1 0 1 0 0 3",
        "buy and hold -7.50%",
        "nxs 2 50.0% 0.03 +10.00% 1.90%",
        "nxs2 1 0.0% -0.1 -25.00% 10.00%",
        "pump NXS/BTC long 1000 0.00011 0.00011 0",
        "book: derived",
        "drawdown: of the equity at every hour and at every fill that closes a trade",
    ):
        assert words in " ".join(text.split())
    assert "book: none" not in text
    console.print(to_table(portfolio(), width=80))
    assert "book: none" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [24, 40, 60])
def test_terminal_table_keeps_its_file_column_on_a_narrow_terminal(width: int) -> None:
    report = make_report(strategies=["pump"], data="pumps", runs=[first_run(), second_run()])
    console = Console(file=io.StringIO(), width=width)
    console.print(to_table(report, width=width))
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    header = next(line for line in lines if line.startswith("file "))
    assert "P&L" in header
    for name, pnl in (("nxs", "0.03"), ("nxs2", "-0.1")):
        assert any(line.split()[:1] == [name] and pnl in line.split() for line in lines), lines
