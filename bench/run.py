"""Run our benchmarks beside their peers, in turns, and print medians and ratios of what was really seen.

usage: python bench/run.py [--rounds N] [--core K] [--only WORD] [--quick] [--no-peers] [--docs]

Every contestant is a fresh process pinned to one core; one round runs each of them once, so that a ratio
compares figures of the same minutes. A contestant prints JSON lines: `{"bench", "n", "cpu_s", "per_s"}` for
work on n events, or `{"bench", "value", "unit"}` for anything else, each with an optional target: `at_least`
of events per CPU second, or `at_most` of value. A contestant that cannot run here is named with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gen_data
import peers

ROOT = Path(__file__).resolve().parent.parent
OWN_PYTHON = ROOT / ".venv" / "bin" / "python"
RESULTS = ROOT / "bench" / "results"
TABLE = ROOT / "docs" / "benchmarks.md"
PEER_SCRIPTS = Path(os.environ.get("BOTD_BENCH_SCRIPTS", ROOT.parent / "shared" / "bench")).resolve()
TIME_LIMIT_S = 1_200
MARKS = ("<!-- figures: begin -->", "<!-- figures: end -->")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One process to run: ours when `peer` is empty, else a peer's script in that peer's environment."""

    group: str
    peer: str = ""
    script: str
    arguments: tuple[str, ...] = ()
    only: str = ""  # keep only the rows whose name contains this

    @property
    def label(self) -> str:
        """Name it for the list of what did not run."""
        return " ".join((self.peer or "botd", self.script, *self.arguments))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line that a contestant printed, with the round it belongs to."""

    group: str
    peer: str
    round: int
    fields: Mapping[str, Any]

    @property
    def cost_us(self) -> float | None:
        """CPU microseconds an event, or None when the line is not about events."""
        cpu_s, n = self.fields.get("cpu_s"), self.fields.get("n")
        return float(cpu_s) / int(n) * 1e6 if cpu_s and n else None


BARS, TICKS, OWN = "SMA cross on bars", "spike strategy on trades", "botd by itself"


def contestants(quick: bool) -> tuple[Contestant, ...]:
    """List who runs; slow engines get fewer events, and costs are compared per event."""
    bars, slow_bars = ("200000", "50000") if quick else ("1000000", "200000")
    ticks, slow_ticks = ("1000000", "50000") if quick else ("10000000", "200000")
    return (
        Contestant(group=BARS, script="sweep.py", arguments=("bars", bars)),
        Contestant(group=BARS, peer="base", script="limit_numba.py", only="S-A 1000k"),
        Contestant(group=BARS, peer="vectorbt", script="peer_vectorbt.py", arguments=(bars, "3")),
        Contestant(
            group=BARS, peer="nautilus", script="peer_nautilus_bars.py", arguments=(slow_bars, "1", "sma")
        ),
        Contestant(group=BARS, peer="freqtrade", script="peer_freqtrade.py", arguments=(slow_bars,)),
        Contestant(group=BARS, peer="backtrader", script="peer_backtrader.py", arguments=(slow_bars, "1")),
        Contestant(group=TICKS, script="sweep.py", arguments=("ticks", ticks)),
        Contestant(group=TICKS, peer="base", script="limit_numba.py", only="S-B 10M"),
        Contestant(group=TICKS, peer="hftbacktest", script="peer_hftbacktest.py", arguments=("1000000", "3")),
        Contestant(
            group=TICKS, peer="nautilus", script="peer_nautilus_ticks.py", arguments=(slow_ticks, "1", "sb")
        ),
        Contestant(group=OWN, script="kernel.py"),
        Contestant(group=OWN, script="core.py"),
        Contestant(group=OWN, script="simulation.py"),
        Contestant(group=OWN, script="daemon.py"),
        Contestant(group=OWN, script="reload.py"),
    )


def stage_peer_scripts() -> Path:
    """Copy the peers' scripts beside a link to our data: they look for both in their own folder."""
    stage = peers.PEERS / "scripts"
    stage.mkdir(parents=True, exist_ok=True)
    for script in PEER_SCRIPTS.glob("*.py"):
        shutil.copyfile(script, stage / script.name)
    link = stage / "data"
    if link.is_symlink() or link.exists():
        link.unlink()
    link.symlink_to(gen_data.DATA, target_is_directory=True)
    strategies = stage / "ft" / "strategies"
    strategies.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "bench" / "freqtrade_sma_cross.py", strategies / "SmaCross.py")
    return stage


def why_not(contestant: Contestant, no_peers: bool) -> str | None:
    """Return why a contestant cannot run here, or None."""
    if not contestant.peer:
        return None if (ROOT / "bench" / contestant.script).exists() else "not written yet"
    if no_peers:
        return "--no-peers"
    if not (PEER_SCRIPTS / contestant.script).exists():
        return "the peers' scripts are not here (BOTD_BENCH_SCRIPTS names their folder)"
    return peers.prepare(contestant.peer)


def run_once(contestant: Contestant, number: int, core: int) -> tuple[list[Row], str | None]:
    """Run one process pinned to a core; return its rows, or why there are none."""
    python, folder = OWN_PYTHON, ROOT / "bench"
    if contestant.peer:
        python, folder = peers.python_of(contestant.peer), peers.PEERS / "scripts"

    def pin() -> None:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {core})

    env = {**os.environ, "BOTD_BENCH_DATA": str(gen_data.DATA)}
    command = [str(python), contestant.script, *contestant.arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, timeout=TIME_LIMIT_S,
            check=False, preexec_fn=pin,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [], f"took longer than {TIME_LIMIT_S} s"
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"bench"')]
    rows = [
        Row(group=contestant.group, peer=contestant.peer, round=number, fields=fields)
        for fields in lines
        if contestant.only in fields["bench"]
    ]
    if done.returncode or not rows:
        last = [line.strip() for line in done.stderr.splitlines() if line.strip()][-1:]
        return [], last[0] if last else f"ended with code {done.returncode} and no figures"
    return rows, None


def median_of(rows: Sequence[Row], key: str) -> float:
    """Return the median of a field over rounds."""
    return statistics.median(float(row.fields[key]) for row in rows)


def verdict(rows: Sequence[Row]) -> str:
    """Say whether the median meets the target that the row carries."""
    fields = rows[0].fields
    if "at_least" in fields:
        seen = statistics.median(1e6 / cost for row in rows if (cost := row.cost_us))
        target, good = float(fields["at_least"]), 1
    elif "at_most" in fields:
        seen, target, good = median_of(rows, "value"), float(fields["at_most"]), -1
    else:
        return ""
    sign = "≥" if good > 0 else "≤"
    return f"{sign} {target:,g}: {'met' if (seen - target) * good >= 0 else 'MISSED'}"


def tabulate(rows: Sequence[Row]) -> list[str]:
    """Make one Markdown table a group: medians, spread, and the cost over ours in the same round."""
    out: list[str] = []
    for group in dict.fromkeys(row.group for row in rows):
        members = [row for row in rows if row.group == group]
        ours = {row.round: row.cost_us for row in reversed(members) if not row.peer and row.cost_us}
        out += [
            f"### {group}",
            "",
            "| what | events | median | lowest to highest | cost over ours | target |",
        ]
        out.append("|---|---:|---:|---:|---:|---|")
        for name in dict.fromkeys(str(row.fields["bench"]) for row in members):
            same = [row for row in members if row.fields["bench"] == name]
            costs = [cost for row in same if (cost := row.cost_us) is not None]
            ratios = [cost / ours[row.round] for row in same if (cost := row.cost_us) and ours.get(row.round)]
            ratio = f"{statistics.median(ratios):.2f}" if ratios and group != OWN else ""
            if costs:
                rates = [1e6 / cost for cost in costs]  # events per CPU second
                middle, low, high = statistics.median(rates), min(rates), max(rates)
                shown = (f"{middle:,.0f}/s", f"{low:,.0f} to {high:,.0f}")
            else:
                values, unit = [float(row.fields["value"]) for row in same], same[0].fields["unit"]
                shown = (
                    f"{statistics.median(values):,.2f} {unit}",
                    f"{min(values):,.2f} to {max(values):,.2f}",
                )
            events = f"{int(same[0].fields['n']):,}" if same[0].fields.get("n") else ""
            out.append(f"| {name} | {events} | {shown[0]} | {shown[1]} | {ratio} | {verdict(same)} |")
        out.append("")
    return out


def describe_machine(rounds: int, core: int) -> str:
    """Say in one line what the figures were taken on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        model = named[0] if named else model
    load = os.getloadavg()[0]
    return (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, {model}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, rounds: {rounds}, core {core}, load at the end {load:.1f}"
    )


def write_docs(lines: Sequence[str]) -> None:
    """Replace the figures between the marks of docs/benchmarks.md."""
    text = TABLE.read_text(encoding="utf-8")
    head, tail = text.index(MARKS[0]) + len(MARKS[0]), text.index(MARKS[1])
    TABLE.write_text(text[:head] + "\n" + "\n".join(lines) + "\n" + text[tail:], encoding="utf-8")


def compete(chosen: Sequence[Contestant], rounds: int, core: int, absent: dict[str, str]) -> list[Row]:
    """Run every contestant once a round; who fails once is named and left out from then on."""
    rows: list[Row] = []
    for number in range(rounds):
        for contestant in chosen:
            if contestant.label in absent:
                continue
            found, reason = run_once(contestant, number, core)
            if reason is not None:
                absent[contestant.label] = reason
            rows += found
            for row in found:
                print(json.dumps({"round": number, **row.fields}), flush=True)
    return rows


def main() -> int:
    """Run, print, and write the results."""
    parser = argparse.ArgumentParser(description="botd beside its peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=(os.cpu_count() or 1) - 1)
    parser.add_argument("--only", default="", help="run only contestants whose label contains this")
    parser.add_argument("--quick", action="store_true", help="fewer events: a look, not evidence")
    parser.add_argument("--no-peers", action="store_true", help="our own figures only")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/benchmarks.md")
    options = parser.parse_args()
    gen_data.main()
    if PEER_SCRIPTS.is_dir() and not options.no_peers:
        stage_peer_scripts()
    chosen = [one for one in contestants(options.quick) if options.only in one.label]
    absent = {one.label: why for one in chosen if (why := why_not(one, options.no_peers)) is not None}
    rows = compete(chosen, options.rounds, options.core, absent)
    machine = describe_machine(options.rounds, options.core)
    lines = [machine + ".", "", *tabulate(rows)]
    if absent:
        lines += ["Did not run:", "", *(f"- `{label}`: {why}" for label, why in absent.items())]
    print("\n".join(["", *lines]))
    RESULTS.mkdir(parents=True, exist_ok=True)
    record = {
        "machine": machine,
        "absent": absent,
        "rows": [{"round": row.round, **row.fields} for row in rows],
    }
    name = time.strftime("%Y%m%dT%H%M%SZ.json", time.gmtime())
    (RESULTS / name).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if options.docs:
        write_docs(lines)
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
