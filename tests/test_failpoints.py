"""Named points: a closed list, all of it in the code; an armed process dies there, a simulated one may."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextvars import Context
from pathlib import Path

import pytest

from botd.cli.main import main
from botd.errors import InputInvalid
from botd.failpoints import MEANING, VARIABLE, Point, arm, failpoint, watcher
from botd.store.journal import open_state
from tests.cli.bots import COMMAND
from tests.store.samples import decisions

ROOT = Path(__file__).resolve().parent.parent
COMMITS = """
import sys
from pathlib import Path
from botd.failpoints import arm
from botd.ports import Batch
from botd.store.journal import open_state
from tests.store import samples
journal = open_state(Path(sys.argv[1]))
journal.start_session(samples.started())
arm(sys.argv[2])
for n in range(1, 10):
    records = (samples.signal(n, row=n),)
    journal.commit(Batch(session_id="s1", records=records, cursor=samples.cursor(n, seq=n)))
"""


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm(None)


def test_every_point_has_a_meaning_and_a_place_in_the_code() -> None:
    called = set()
    for path in (ROOT / "botd").rglob("*.py"):
        if path.parent.name == "simulation":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "failpoint":
                called.add(ast.unparse(node.args[0]).removeprefix("Point."))
    assert called == {point.name for point in Point}
    assert list(MEANING) == list(Point)
    assert len(set(MEANING.values())) == len(Point)


def test_point_does_nothing_where_nobody_asked() -> None:
    for point in Point:
        failpoint(point)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "tx.middle:1:kill9",
            r"BOTD_FAILPOINT=tx.middle:1:kill9: there is no point 'tx.middle'; did you mean tx.mid",
        ),
        ("nowhere", "there is no point 'nowhere'; the points are group.before_commit, "),
        ("tx.mid", "write name:n:kill9, such as tx.mid:1:kill9"),
        ("tx.mid:0:kill9", "write name:n:kill9"),
        ("tx.mid:one:kill9", "write name:n:kill9"),
        ("tx.mid:²:kill9", "write name:n:kill9"),
        ("tx.mid:1:kill", "write name:n:kill9"),
    ],
)
def test_bad_request_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputInvalid, match=message) as caught:
        arm(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("request_", "kept"),
    [("tx.mid:4:kill9", 3), ("tx.before_commit:2:kill9", 1), ("tx.after_commit:2:kill9", 2)],
)
def test_G6_armed_process_dies_there_the_nth_time(tmp_path: Path, request_: str, kept: int) -> None:  # noqa: N802
    path = tmp_path / "state" / "botd.sqlite3"
    done = subprocess.run(
        [sys.executable, "-c", COMMITS, str(path), request_],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [record.seq for record in decisions(path)] == list(range(1, kept + 1))
    open_state(path).close()


def test_run_refuses_an_unknown_point_before_it_does_anything(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "run"],
        cwd=tmp_path,
        env={**os.environ, VARIABLE: "tx.mod:1:kill9", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no point 'tx.mod'; did you mean tx.mid?" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_run_lists_the_points_where_there_is_no_bot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--list-failpoints"]) == 0
    listed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert listed == {str(point): meaning for point, meaning in MEANING.items()}
    assert list(tmp_path.iterdir()) == []


def test_watchers_of_two_contexts_do_not_hear_each_other() -> None:
    arm("tx.mid:1:kill9")  # and a watched context never dies of what the process was armed with
    heard: dict[str, list[Point]] = {"left": [], "right": []}
    contexts = {name: Context() for name in heard}
    for name, context in contexts.items():
        context.run(watcher.set, heard[name].append)
    contexts["left"].run(failpoint, Point.TX_MID)
    contexts["left"].run(failpoint, Point.SEND_AFTER)
    contexts["right"].run(failpoint, Point.TX_MID)
    assert heard == {"left": [Point.TX_MID, Point.SEND_AFTER], "right": [Point.TX_MID]}
