"""Where `status` and `decisions` find the books, and where what they print goes: closed pipes, full disks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from botd.ports import Batch
from botd.store.journal import open_state
from tests.cli.bots import COMMAND, botd, edit, environment, make_bot, refused
from tests.store import samples

MANY = 3_000  # lines of decisions: more than a pipe holds


def make_books(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    journal = open_state(path)
    journal.start_session(samples.started())
    records = tuple(samples.signal(seq, row=seq, cycle=seq) for seq in range(1, MANY + 1))
    journal.commit(Batch(session_id="s1", records=records))
    journal.close()
    return path


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_books(make_bot(tmp_path_factory.mktemp("books") / "bot") / "state/botd.sqlite3")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Return a bot that keeps its books at another place than usual."""
    bot = make_bot(tmp_path / "bot")
    edit(bot / "config.yaml", "path: state/botd.sqlite3", "path: books/x.sqlite3")
    return bot


# ---- which books --------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["status", "decisions"])
def test_books_are_those_that_config_yaml_names(elsewhere: Path, command: str) -> None:
    make_books(elsewhere / "books/x.sqlite3")
    for done in (
        botd(elsewhere, command),
        botd(elsewhere.parent, command, "--config", "bot"),
        botd(elsewhere.parent, command, "--config", "bot/config.yaml"),
        botd(elsewhere.parent, command, "--state", "bot/books/x.sqlite3"),
    ):
        assert (done.code, done.err) == (0, "")
        assert done.out


def test_books_can_be_looked_at_while_other_files_are_wrong(elsewhere: Path) -> None:
    make_books(elsewhere / "books/x.sqlite3")
    (elsewhere / "strategies/rider.yaml").write_text("strategy: [\n")
    edit(elsewhere / "config.yaml", "mode: paper", "mode: paprika")
    assert botd(elsewhere, "status").code == 0


def test_books_that_are_not_there_are_named_with_what_to_do(elsewhere: Path) -> None:
    refused(botd(elsewhere, "status"), 2, "no state file at books/x.sqlite3; 'botd run' makes it")
    said = "no state file at bot/books/x.sqlite3; 'botd run --config bot' makes it"
    refused(botd(elsewhere.parent, "status", "--config", "bot"), 2, said)
    refused(botd(elsewhere, "status", "--state", "y"), 2, "no state file at y; look at its path")
    refused(botd(elsewhere.parent, "decisions"), 2, "no bot here", "--config", "--state")
    refused(botd(elsewhere, "status", "--config", "nowhere"), 2, "nowhere: no such file")
    refused(botd(elsewhere, "status", "--config", ".", "--state", "y"), 2, "give one of them")


def test_config_without_a_place_for_the_books_says_so(elsewhere: Path) -> None:
    for text in ("state: here\n", "state: [\n", ""):
        (elsewhere / "config.yaml").write_text(text)
        refused(botd(elsewhere, "status"), 2, "config.yaml: no state.path can be read from it", "--state")


def test_state_folder_without_its_bot_is_read_where_it_stands(tmp_path: Path) -> None:
    make_books(tmp_path / "state/botd.sqlite3")
    assert botd(tmp_path, "status").code == 0


# ---- where the output goes ----------------------------------------------------------------------


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `botd` is the command; fail where any part of a pipe but `head` does."""
    script = f'botd() {{ "{COMMAND[0]}" -W error -m botd.cli.main "$@"; }}; set -o pipefail; {line}'
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment(), capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("command", ["decisions", "status", "schema strategy", "status --help"])
def test_closed_pipe_is_no_failure(books: Path, command: str) -> None:
    folder = books.parent.parent
    for line in (f"botd {command} | head -1", f"botd {command} | true"):
        done = shell(folder, line)
        assert (done.returncode, done.stderr) == (0, ""), line


@pytest.mark.parametrize("command", ["decisions", "status", "schema strategy", "check", "check --json"])
def test_full_disk_is_one_line(books: Path, command: str) -> None:
    done = shell(books.parent.parent, f"botd {command} > /dev/full")
    assert done.stderr == "botd: cannot write the output: No space left on device\n"
    assert done.returncode == 2
