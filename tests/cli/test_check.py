"""`botd check` and the command line's own behaviour: clear lines, exit codes, never a traceback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import botd.cli.main as entry
from botd import __version__
from botd.cli.main import main
from botd.errors import NewerSchema, SecondDaemon

GOOD = Path(__file__).parents[1] / "config" / "good" / "bot"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bot"
    shutil.copytree(GOOD, folder)
    monkeypatch.chdir(folder)
    return folder


def errors_of(capsys: Capture) -> str:
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    assert shown.out == ""
    return shown.err


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ([], "2 strategies, 5 configuration files: ok"),
        (["."], "2 strategies, 5 configuration files: ok"),
        (["config.yaml"], "2 strategies, 5 configuration files: ok"),
        (["strategies"], "2 strategies, 5 configuration files: ok"),
        (["strategies/rider.yaml"], "1 strategy, 5 configuration files: ok"),
        (["configs/risk.yaml"], "1 configuration file: ok"),
        (["configs/shutdown.yaml"], "1 configuration file: ok"),
    ],
)
def test_check_takes_a_bot_a_folder_or_one_file(
    bot: Path, path: list[str], said: str, capsys: Capture
) -> None:
    assert main(["check", *path]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.partition(", 1 remark")[0] == said


def test_check_shows_the_line_and_a_caret(bot: Path, capsys: Capture) -> None:
    risk = bot / "configs/risk.yaml"
    risk.write_text(risk.read_text().replace("positions_max: 6", "positions_max: six"))
    assert main(["check"]) == 2
    assert errors_of(capsys).startswith(
        "configs/risk.yaml:6:18: 'positions_max' needs a plain number such as 5, not 'six'\n"
        "      positions_max: six\n"
        "                     ^^^\n"
    )


def test_check_reports_as_json(bot: Path, capsys: Capture) -> None:
    assert main(["check", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["strategies"]) == (True, ["fade", "rider"])
    assert (report["strategies_count"], report["settings_count"]) == (2, 5)
    assert len(report["config_hash"]) == 64

    (bot / "configs/shutdown.yaml").write_text("shutdown: 5\n")
    assert main(["check", "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["config_hash"], report["strategies"]) == (False, None, [])
    assert report["diagnostics"][0] == {
        "file": "configs/shutdown.yaml",
        "line": 1,
        "column": 11,
        "severity": "error",
        "message": "'shutdown' must be a mapping with expected, ceiling, on_stop",
        "excerpt": "shutdown: 5",
    }


def brackets(bot: Path) -> None:
    (bot / "strategies/rider.yaml").write_text("strategy: " + "[" * 5000 + "]" * 5000 + "\n")


def braces(bot: Path) -> None:
    (bot / "config.yaml").write_text("{" * 5000 + "\n")


def expression_brackets(bot: Path) -> None:
    rider = bot / "strategies/rider.yaml"
    nested = "(" * 5000 + "price" + ")" * 5000
    rider.write_text(rider.read_text().replace("change(10s) > 2%", f"{nested} > 2"))


def no_newline(bot: Path) -> None:
    risk = bot / "configs/risk.yaml"
    risk.write_text(risk.read_text().rstrip("\n"))


def empty_file(bot: Path) -> None:
    (bot / "configs/risk.yaml").write_text("")


def comment_only(bot: Path) -> None:
    (bot / "config.yaml").write_text("# nothing yet\n")


def list_file(bot: Path) -> None:
    (bot / "configs/execution.yaml").write_text("- a\n- b\n")


def not_utf8(bot: Path) -> None:
    (bot / "strategies/rider.yaml").write_bytes(b"strategy: caf\xe9\n")


def binary(bot: Path) -> None:
    (bot / "configs/risk.yaml").write_bytes(bytes(range(32)) * 4)


def huge(bot: Path) -> None:
    (bot / "strategies/rider.yaml").write_text("# filler\n" * 40_000)


def huge_binary(bot: Path) -> None:
    (bot / "strategies/rider.yaml").write_bytes(b"\xff" * 300_000)


def empty_folder(bot: Path) -> None:
    shutil.rmtree(bot / "strategies")
    (bot / "strategies").mkdir()


def no_folder(bot: Path) -> None:
    shutil.rmtree(bot / "strategies")


def folder_is_a_file(bot: Path) -> None:
    shutil.rmtree(bot / "strategies")
    (bot / "strategies").write_text("")


def missing_file(bot: Path) -> None:
    (bot / "configs/risk.yaml").unlink()


def file_is_a_folder(bot: Path) -> None:
    (bot / "configs/risk.yaml").unlink()
    (bot / "configs/risk.yaml").mkdir()


def alias(bot: Path) -> None:
    (bot / "configs/shutdown.yaml").write_text("shutdown: *all\n")


def two_documents(bot: Path) -> None:
    shutdown = bot / "configs/shutdown.yaml"
    shutdown.write_text(shutdown.read_text() + "---\nshutdown: {}\n")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (brackets, "strategies/rider.yaml:1:"),
        (braces, "config.yaml:1:"),
        (expression_brackets, "strategies/rider.yaml:"),
        (no_newline, "the file must end with a newline; it may be half-written, save it again"),
        (empty_file, "configs/risk.yaml:1:1: the file is empty"),
        (comment_only, "config.yaml:1:1: the file holds comments only; it needs 'key: value' lines"),
        (
            list_file,
            "configs/execution.yaml:1:1: the file must be a mapping with execution, paper, sync, pnl",
        ),
        (not_utf8, "strategies/rider.yaml: byte 13 is not UTF-8; save the file as UTF-8"),
        (binary, "configs/risk.yaml:1:1: the character U+0000 is not allowed; delete it"),
        (huge, "strategies/rider.yaml:1:1: the file is over 256 KiB; split it"),
        (huge_binary, "strategies/rider.yaml: the file is over 256 KiB; split it"),
        (empty_folder, "config.yaml:30:15: strategies: has no strategies; put at least one .yaml file there"),
        (no_folder, "config.yaml:30:15: strategies: no such folder"),
        (folder_is_a_file, "config.yaml:30:15: strategies: is a file; name the folder"),
        (missing_file, "config.yaml:31:9: configs/risk.yaml: no such file"),
        (file_is_a_folder, "config.yaml:31:9: configs/risk.yaml: is a folder, not a file"),
        (alias, "configs/shutdown.yaml:1:11: '*' names an alias, which is not allowed"),
        (two_documents, "a second document starts here"),
    ],
)
def test_damage_is_said_clearly_and_exits_2(
    bot: Path, damage: Callable[[Path], None], said: str, capsys: Capture
) -> None:
    damage(bot)
    assert main(["check"]) == 2
    shown = errors_of(capsys)
    assert said in shown
    assert "botd: unexpected" not in shown
    assert len(max(shown.splitlines(), key=len)) < 400


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["check", "nowhere.yaml"], "botd: nowhere.yaml: no such file or folder"),
        (["check", "empty"], "botd: empty: has no strategies; put at least one .yaml file there"),
        (["bcktest"], "botd: No such command 'bcktest'. Did you mean 'backtest'? (see 'botd --help')"),
        (
            ["check", "--jsn"],
            "botd: No such option: --jsn (Possible options: --json) (see 'botd check --help')",
        ),
        (["check", "a", "b"], "botd: Got unexpected extra argument(s) (b) (see 'botd check --help')"),
    ],
)
def test_wrong_calls_are_one_line_and_exit_2(
    bot: Path, arguments: list[str], line: str, capsys: Capture
) -> None:
    (bot / "empty").mkdir()
    assert main(arguments) == 2
    assert errors_of(capsys) == f"{line}\n"


def test_check_of_a_bot_elsewhere_names_its_files_by_the_path_given(
    bot: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(bot.parent)
    (bot / "configs/shutdown.yaml").write_text("shutdown: 5\n")
    assert main(["check", "bot"]) == 2
    assert errors_of(capsys).startswith("bot/configs/shutdown.yaml:1:11: ")


def test_strategy_alone_without_a_config_is_checked_by_the_shipped_values(
    bot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(bot / "strategies/rider.yaml", alone)
    monkeypatch.chdir(alone)
    assert main(["check", "rider.yaml"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 strategy: ok"


# ---- the command line itself ------------------------------------------------------------------


def test_help_and_version(capsys: Capture) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in entry.COMMANDS)
    assert main([]) == 0
    assert "check" in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"botd {__version__}\n"
    assert main(["check", "--help"]) == 0
    assert "--json" in capsys.readouterr().out


def test_help_loads_neither_engine_nor_database() -> None:
    code = (
        "import sys; from botd.cli.main import main; main(['--help']); "
        "heavy = {'numpy', 'numba', 'sqlalchemy', 'alembic', 'pyarrow', 'pydantic', 'yaml'}; "
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "error", [SecondDaemon("another daemon runs"), NewerSchema("a newer\nbotd wrote it")]
)
def test_our_errors_are_one_line_with_their_exit_code(
    error: SecondDaemon | NewerSchema, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fail(called: str | None, given: list[str]) -> None:
        raise error

    monkeypatch.setattr(entry, "_invoke", fail)
    assert main(["check"]) == error.exit_code
    assert errors_of(capsys) == f"botd: {str(error).replace(chr(10), ' ')}\n"


def test_interrupt_exits_130(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def interrupt(called: str | None, given: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "_invoke", interrupt)
    assert main(["check"]) == 130
    assert errors_of(capsys) == ""


def test_unexpected_error_is_one_line_that_says_where_the_traceback_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    def fail(called: str | None, given: list[str]) -> None:
        raise ZeroDivisionError("api_key=abcdef123456 was used")

    monkeypatch.setattr(entry, "_invoke", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["check"]) == 1
    line = errors_of(capsys)
    start = "botd: unexpected ZeroDivisionError: api_key=*** was used; traceback in "
    assert line.startswith(start)
    written = Path(line.removeprefix(start).strip()).read_text()
    assert "Traceback (most recent call last)" in written
    assert "abcdef123456" not in written


def test_closed_pipe_is_silent(bot: Path) -> None:
    command = f"{sys.executable} -m botd.cli.main schema config | head -c 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "{", "")
