"""What a container makes of the folders that it is given, without a container."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from botd.cli.container import prepare
from botd.config.loader import load_plan
from botd.errors import InputInvalid
from botd.hosting.mounts import fix_of, keep_kernels, seed
from tests.cli.bots import ROOT, environment

NOBODY = 65_534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    return make_shipped(tmp_path)


def make_shipped(place: Path) -> Path:
    """Return the shipped files as the image has them, with a state that is elsewhere."""
    folder = place / "shipped"
    (folder / "kernels" / "kernels-abc").mkdir(parents=True)
    (folder / "kernels" / "kernels-abc" / "index").write_text("compiled")
    shutil.copy(ROOT / "config.yaml", folder)
    for name in ("configs", "strategies"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "state").symlink_to(place / "volume")
    return folder


def settings(shipped: Path, **more: str) -> dict[str, str]:
    return {"BOTD_SHIPPED": str(shipped), **more}


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_empty_folder_becomes_the_shipped_bot(shipped: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bot"
    assert seed(shipped, folder) == [folder / "config.yaml", folder / "configs", folder / "strategies"]
    plan = load_plan(folder)
    assert len(plan.strategies) == len(list((ROOT / "strategies").glob("*.yaml")))
    assert plan.state_path.resolve() == tmp_path / "volume" / "botd.sqlite3"
    assert list(folder.rglob(".*")) == []
    assert seed(shipped, folder) == []


def test_what_is_there_is_left_alone(shipped: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bot"
    (folder / "strategies").mkdir(parents=True)
    (folder / "strategies" / "mine.yaml").write_text("strategy: mine\n")
    (folder / "config.yaml").write_text("mode: paper\n")
    assert seed(shipped, folder) == [folder / "configs"]
    assert names(folder / "strategies") == ["mine.yaml"]
    assert (folder / "config.yaml").read_text() == "mode: paper\n"
    assert not (folder / "state").is_symlink()


def test_new_file_system_and_hidden_files_are_empty(shipped: Path, tmp_path: Path) -> None:
    strategies = tmp_path / "bot" / "strategies"
    (strategies / "lost+found").mkdir(parents=True)
    (strategies / ".gitkeep").touch()
    assert strategies in seed(shipped, tmp_path / "bot")
    assert "pump_rider.yaml" in names(strategies)


def test_filling_that_was_cut_short_is_finished(shipped: Path, tmp_path: Path) -> None:
    configs = tmp_path / "bot" / "configs"
    configs.mkdir(parents=True)
    (configs / ".botd-seeding").touch()
    (configs / "risk.yaml").write_text("mine")
    seed(shipped, tmp_path / "bot")
    assert names(configs) == names(ROOT / "configs")
    assert (configs / "risk.yaml").read_text() == "mine"


def test_folder_that_docker_made_for_a_missing_file_is_explained(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "bot" / "config.yaml").mkdir(parents=True)
    with pytest.raises(InputInvalid, match="Docker makes one where the file to mount is not on the host"):
        seed(shipped, tmp_path / "bot")


def test_first_start_makes_a_token_and_shows_it_once(
    shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(tmp_path / "bot", settings(shipped))
    file = tmp_path / "volume" / "api-token-trader"
    said = capsys.readouterr().out
    assert f"API token, made now and kept in {file}: {file.read_text().strip()}" in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    token = file.read_text()
    prepare(tmp_path / "bot", settings(shipped))
    assert file.read_text() == token
    assert token.strip() not in capsys.readouterr().out


def test_token_that_is_given_is_shown_to_nobody(
    shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = "canary-" + "c" * 32
    prepare(tmp_path / "bot", settings(shipped, BOTD_API_TOKEN_TRADER=given))
    assert not (tmp_path / "volume" / "api-token-trader").exists()
    assert "canary" not in "".join(capsys.readouterr())
    kept = [one for one in (tmp_path / "volume").iterdir() if "canary" in one.read_text()]
    assert kept == []


def test_without_an_api_there_is_no_token(shipped: Path, tmp_path: Path) -> None:
    prepare(tmp_path / "bot", settings(shipped, BOTD_API_ENABLED="false"))
    assert names(tmp_path / "volume") == []


def test_temporary_files_of_a_process_that_was_killed_are_removed(shipped: Path, tmp_path: Path) -> None:
    drafts = tmp_path / "volume" / "tmp"
    drafts.mkdir(parents=True)
    (drafts / "left").write_text("over")
    prepare(tmp_path / "bot", settings(shipped, TMPDIR=str(drafts)))
    assert names(drafts) == []
    (tmp_path / "left").write_text("of others")
    prepare(tmp_path / "bot", settings(shipped, TMPDIR=str(tmp_path)))
    assert (tmp_path / "left").exists()


def test_kernels_are_copied_once_to_where_they_can_be_written(shipped: Path, tmp_path: Path) -> None:
    keep_kernels(shipped / "kernels", tmp_path / "cache")
    kept = tmp_path / "cache" / "kernels-abc" / "index"
    assert kept.read_text() == "compiled"
    kept.write_text("more")
    keep_kernels(shipped / "kernels", tmp_path / "cache")
    assert kept.read_text() == "more"
    assert names(tmp_path / "cache") == ["kernels-abc"]


AS_USER = """
import os, sys
import botd.api.tokens, botd.config.place, botd.hosting.mounts  # what another user may not be able to read
from botd.cli.container import prepare
from botd.errors import BotdError
from pathlib import Path
user = int(sys.argv[1])
os.setgroups([]), os.setgid(user), os.setuid(user)
for place in map(Path, sys.argv[2:]):
    sys.stdout = open(os.devnull, "w")
    try:
        prepare(place / "bot", {"BOTD_SHIPPED": str(place / "shipped")})
        said = ""
    except BotdError as error:
        said = f"{error.exit_code} {error}"
    os.write(1, f"{said}\\n".encode())
"""


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """Give a folder that every user can enter, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="botd-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def refusals(open_folder: Path) -> dict[str, tuple[Path, str]]:
    """Return by name where a bot is that another user begins, and the exit code and message it gets."""
    places = {}
    for name in ("good", "root's state", "root's books", "root's halt", "no strategies", "secret strategies"):
        place = places[name] = open_folder / f"place{len(places)}"
        place.mkdir()
        seed(make_shipped(place), place / "bot")
        (place / "volume").mkdir()
        if name != "root's state":
            os.chown(place / "volume", NOBODY, NOBODY)
    (places["root's books"] / "volume" / "botd.sqlite3").touch(0o600)
    (places["root's halt"] / "volume" / "HALT").touch(0o600)
    for one in (places["no strategies"] / "bot" / "strategies").iterdir():
        one.unlink()
    (places["secret strategies"] / "bot" / "strategies").chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", AS_USER, str(NOBODY), *map(str, places.values())],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    lines = dict(zip(places, done.stdout.split("\n"), strict=False))
    return {name: (place, lines[name]) for name, place in places.items()}


@as_root
@pytest.mark.parametrize("name", ["good", "root's halt"])
def test_state_of_the_containers_user_is_taken(name: str, refusals: dict[str, tuple[Path, str]]) -> None:
    assert refusals[name][1] == ""


@as_root
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("root's state", "volume"),
        ("root's books", "volume/botd.sqlite3"),
        ("no strategies", "bot/strategies"),
    ],
)
def test_what_belongs_to_another_user_says_the_fix(
    name: str, what: str, refusals: dict[str, tuple[Path, str]]
) -> None:
    place, said = refusals[name]
    owned = f"{place / what} belongs to user 0, and this container runs as user {NOBODY}"
    assert said.startswith(f"9 {owned}; on the host run: ")


@as_root
def test_strategies_that_cannot_be_read_say_the_fix(refusals: dict[str, tuple[Path, str]]) -> None:
    place, said = refusals["secret strategies"]
    assert said.startswith(f"9 {place / 'bot/strategies'} belongs to user 0, ")


MOUNTS = """\
1 0 0:30 / / ro,relatime - overlay overlay ro
2 1 8:1 /var/lib/docker/volumes/botd-state/_data /state rw - ext4 /dev/sda1 rw
3 1 8:1 /home/me/my\\040bot/strategies /etc/botd/strategies rw - ext4 /dev/sda1 rw
"""


@pytest.mark.parametrize(
    ("folder", "fix"),
    [
        (
            "/state",
            "docker run --rm --user 0 --entrypoint chown -v botd-state:/state botd -R 10001:10002 /state",
        ),
        (
            "/state/deep/in",
            "docker run --rm --user 0 --entrypoint chown -v botd-state:/mnt botd -R 10001:10002 /mnt/deep/in",
        ),
        ("/etc/botd/strategies", "sudo chown -R 10001:10002 '/home/me/my bot/strategies'"),
        (
            "/etc/botd/configs",
            f"docker run with a folder or a volume that user {os.geteuid()} may use mounted at "
            "/etc/botd/configs",
        ),
    ],
)
def test_fix_names_what_is_mounted(folder: str, fix: str) -> None:
    assert fix_of(Path(folder), MOUNTS, "chown", "-R", "10001:10002") == fix
