"""`botd backtest`: strategies over recorded data, with the decisions that the daemon would make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from botd.cli.output import screen, write

if TYPE_CHECKING:
    from botd.research.report import Report, Run


def backtest(
    strategies: Annotated[
        list[Path], typer.Argument(help="Strategy files or folders of them.", readable=False)
    ],
    data: Annotated[Path, typer.Option("--data", help="A data file, or a folder with instruments.yaml.")],
    portfolio: Annotated[
        bool, typer.Option("--portfolio", help="One account over all files, merged by time.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="config.yaml with limits, fees and account.", readable=False),
    ] = None,
    decisions: Annotated[
        str | None,
        typer.Option(
            "--decisions", help="Write a canonical JSON line per decision to a file, - is the screen."
        ),
    ] = None,
    json_out: Annotated[
        str | None, typer.Option("--json", help="Write the report as JSON to a file, - is the screen.")
    ] = None,
    md_out: Annotated[
        str | None, typer.Option("--md", help="Write the report as Markdown to a file, - is the screen.")
    ] = None,
) -> None:
    """Run strategies over recorded data: a fresh account per file, the results pooled."""
    from botd.config.loader import load_strategies

    _check_targets({"--decisions": decisions, "--json": json_out, "--md": md_out})
    errors = Console(stderr=True)
    plan = load_strategies(strategies, config)
    for warning in plan.warnings:
        _line(errors, warning.render())

    # The engine takes seconds to load: only for strategies that can run.
    from botd.app import backtest as run_backtest
    from botd.app import open_feeds
    from botd.feeds.merged import MergedFeed
    from botd.research.report import make_report

    feeds = open_feeds(plan, data, portfolio=portfolio)
    runs: list[Run] = []
    with _progress(errors, sum(feed.count for feed in feeds)) as advance:
        for feed in feeds:
            name = data.name if isinstance(feed, MergedFeed) else feed.path.name
            for line in feed.describe():
                _line(errors, line)
            runs.append(run_backtest(plan, feed, name=name, progress=advance))
    report = make_report(strategies=[s.id for s in plan.strategies], data=str(data), runs=runs)
    _deliver(report, decisions=decisions, json_out=json_out, md_out=md_out)


def _deliver(report: Report, *, decisions: str | None, json_out: str | None, md_out: str | None) -> None:
    """Write what was asked for, and the table unless something else goes to the screen."""
    from botd.core.decisions import canonical_line, digest
    from botd.research.report import to_json
    from botd.research.report_text import to_markdown, to_table

    records = (record for one in report.runs for record in one.run.records)
    lines = [line for line in map(canonical_line, records) if line is not None]
    _put(decisions, "".join(f"{line}\n" for line in lines))
    _put(json_out, to_json(report))
    _put(md_out, to_markdown(report))
    if "-" not in (decisions, json_out, md_out):
        with screen(file_width=80) as console:
            console.print(to_table(report, width=console.width))
            _line(console, f"{len(lines)} decisions, sha256 {digest(lines)}")


def _line(console: Console, text: str) -> None:
    """Print a line as it is: a terminal folds it where it must, a file gets it whole."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("backtest"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("backtest", total=total)
        yield lambda rows: bar.advance(task, rows)


def _check_targets(targets: dict[str, str | None]) -> None:
    """Refuse what cannot be written before the work is done, not after."""
    from botd.errors import InputInvalid

    shown = [option for option, target in targets.items() if target == "-"]
    if len(shown) > 1:
        raise InputInvalid(f"{' and '.join(shown)} cannot both go to the screen; name a file for one of them")
    for target in targets.values():
        if target is None or target == "-":
            continue
        path = Path(target)
        if path.is_dir():
            raise InputInvalid(f"cannot write {path}: it is a folder; name a file in it")
        if not path.parent.is_dir():
            raise InputInvalid(f"cannot write {path}: there is no folder {path.parent}")


def _put(target: str | None, text: str) -> None:
    if target is None:
        return
    whole = text if text.endswith("\n") or not text else f"{text}\n"
    write(whole) if target == "-" else _write(Path(target), whole)


def _write(path: Path, text: str) -> None:
    from botd.errors import InputInvalid

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputInvalid(f"cannot write {path}: {error.strerror}") from error
