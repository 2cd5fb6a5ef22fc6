"""`botd backtest`: strategies over recorded data, with the decisions that the daemon would make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from botd.app import backtest as run_backtest
from botd.app import open_feeds
from botd.config.loader import load_strategies
from botd.core.decisions import canonical_line, digest
from botd.errors import InputInvalid
from botd.feeds.merged import MergedFeed
from botd.research.report import Run, make_report, to_json
from botd.research.report_text import to_markdown, to_table


def backtest(
    strategies: Annotated[list[Path], typer.Argument(help="Strategy files or folders of them.")],
    data: Annotated[Path, typer.Option("--data", help="A data file, or a folder with instruments.yaml.")],
    portfolio: Annotated[
        bool, typer.Option("--portfolio", help="One account over all files, merged by time.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option("--config", help="config.yaml with limits, fees and account.")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option("--decisions", help="Write one canonical JSON line per decision here.")
    ] = None,
    json_out: Annotated[
        str | None, typer.Option("--json", help="Write the report as JSON to a file, - is the screen.")
    ] = None,
    md_out: Annotated[
        str | None, typer.Option("--md", help="Write the report as Markdown to a file, - is the screen.")
    ] = None,
) -> None:
    """Run strategies over recorded data: a fresh account per file, the results pooled."""
    errors = Console(stderr=True)
    plan = load_strategies(strategies, config)
    for warning in plan.warnings:
        errors.print(warning.render(), markup=False, highlight=False)
    feeds = open_feeds(plan, data, portfolio=portfolio)
    quiet = json_out == "-" or md_out == "-"
    runs: list[Run] = []
    with _progress(errors, sum(feed.count for feed in feeds)) as advance:
        for feed in feeds:
            name = data.name if isinstance(feed, MergedFeed) else feed.path.name
            for line in feed.describe():
                errors.print(line, markup=False, highlight=False)
            runs.append(run_backtest(plan, feed, name=name, progress=advance))
    report = make_report(strategies=[s.id for s in plan.strategies], data=str(data), runs=runs)
    lines = [line for run in runs for line in map(canonical_line, run.records) if line is not None]
    if decisions is not None:
        _write(decisions, "".join(f"{line}\n" for line in lines))
    _put(json_out, to_json(report))
    _put(md_out, to_markdown(report))
    if not quiet:
        screen = Console()
        screen.print(to_table(report))
        screen.print(f"{len(lines)} decisions, sha256 {digest(lines)}", highlight=False)


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[int], None]]:
    columns = (
        TextColumn("backtest"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("backtest", total=total)
        yield lambda rows: bar.advance(task, rows)


def _put(target: str | None, text: str) -> None:
    if target == "-":
        typer.echo(text)
    elif target is not None:
        _write(Path(target), text if text.endswith("\n") else text + "\n")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputInvalid(f"cannot write {path}: {error.strerror}") from error
