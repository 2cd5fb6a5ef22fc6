"""What the README shows is what is shipped."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from botd.cli.main import main
from botd.errors import BotdError
from botd.language.strategy import read_strategy

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_strategy_read_aloud_is_the_shipped_one() -> None:
    shown = re.search(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    shipped = (ROOT / "strategies" / "pump_rider.yaml").read_text(encoding="utf-8")
    assert shown is not None
    assert shown[1] == shipped[shipped.index("strategy:") :]


def test_mistake_shown_gets_the_message_shown() -> None:
    shipped = (ROOT / "strategies" / "pump_rider.yaml").read_text(encoding="utf-8")
    wrong = shipped.replace("when: spread < 150bps", "when: twpa(5s) > 5bps")
    strategy, faults = read_strategy(wrong, "strategies/pump_rider.yaml")
    assert strategy is None
    message = "".join(f"    {line}\n" for fault in faults for line in fault.render().splitlines())
    assert message in README


def test_edit_that_is_shown_is_sound_and_its_breaking_gets_the_message_shown() -> None:
    shipped = (ROOT / "strategies" / "mean_reversion.yaml").read_text(encoding="utf-8")
    before, edited, broken = re.findall(r"`(stretch < [^`]+ and)`", README)
    assert shipped.count(before) == 1
    assert read_strategy(shipped.replace(before, edited), "x.yaml")[1] == []
    _, faults = read_strategy(shipped.replace(before, broken), "strategies/mean_reversion.yaml")
    message = "".join(f"       {line}\n" for fault in faults for line in fault.render().splitlines())
    assert message in README


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("configs/risk.yaml", "positions_max: 5", "positions_max: six"),
        ("strategies/breakout.yaml", "percent: 2% of equity", "percent: 90% of equity"),
    ],
)
def test_check_says_of_the_shipped_files_what_the_page_shows(
    file: str,
    old: str,
    new: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("configs", "strategies"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "config.yaml", tmp_path)
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    main(["check"])
    said = "".join(capsys.readouterr())
    shown = "".join(f"    {line}\n" for line in said.splitlines())
    assert shown in (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "page", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
)
def test_links_lead_to_files(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    missing = [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()]
    assert missing == []


def codes_of(error: type[BotdError]) -> set[int]:
    """Collect the exit codes of an exception and all below it."""
    return {error.exit_code}.union(*(codes_of(below) for below in error.__subclasses__()))


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_every_exit_code_is_explained(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    explained = {
        int(code) for code in re.findall(r"(?:^\| |[,:] )([0-79]) (?=\||[a-z])", text, flags=re.MULTILINE)
    }
    assert explained == codes_of(BotdError) | {0}
