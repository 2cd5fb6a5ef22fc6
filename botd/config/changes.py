"""What is different between two plans, and what of it a running bot cannot take up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from botd.config.plan import Plan
from botd.config.reading import Document
from botd.errors import Diagnostic
from botd.language.document import Source, read_document

CONFIG_NAME = "config.yaml"


class Uptake(StrEnum):
    """What a reload does with a change of a setting."""

    HOT = "taken up"
    RESTART = "refused: needs a restart"  # the books, the feed, the account, what listens: another session's
    UNUSED = "taken up, and nothing acts on it yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Settings that a reload treats alike."""

    file: str
    keys: tuple[str, ...]
    uptake: Uptake
    why: str
    part: Callable[[Plan], object] | None = None  # of the plan, where a change of it is refused
    session: Callable[[Plan], object] | None = None  # with another one a start begins another session


def _refused(
    key: str, why: str, part: Callable[[Plan], object], session: Callable[[Plan], object] | None = None
) -> Group:
    return Group(file=CONFIG_NAME, keys=(key,), uptake=Uptake.RESTART, why=why, part=part, session=session)


def _hot(file: str, keys: str, why: str) -> Group:
    return Group(file=file, keys=tuple(keys.split()), uptake=Uptake.HOT, why=why)


def _unused(file: str, keys: str) -> Group:
    why = "see above: read and checked, not acted on yet"
    return Group(file=file, keys=tuple(keys.split()), uptake=Uptake.UNUSED, why=why)


def _mode(plan: Plan) -> object:
    return plan.mode


def _account(plan: Plan) -> object:
    return plan.account, plan.settings.equity


def _instruments(plan: Plan) -> object:
    return plan.instruments


def _outliers(plan: Plan) -> object:
    core = plan.settings
    return core.outlier_sigma, core.outlier_window_us, core.outlier_confirm_us


def _data(plan: Plan) -> object:
    return _outliers(plan), plan.bars_kept_us


# One row for every key that the files of settings have; docs/configuration.md shows the same.
RELOADS: Final = (
    _refused("mode", "an edit never turns paper into live", _mode, _mode),
    _refused("account", "the books are of one account", _account, _account),
    _refused("instruments", "the order of rows stands on them", _instruments, _instruments),
    _refused("feed", "the session is one of a feed", lambda plan: plan.feed),
    _refused("data", "the engine's history stands on it", _data, _outliers),
    _refused("state", "the file is open and locked", lambda plan: plan.state_path),
    _refused("api", "it listens already", lambda plan: plan.api),
    _refused("logging.format", "one log has one form", lambda plan: plan.logging.format),
    _hot(CONFIG_NAME, "logging.level", "at once"),
    _hot(CONFIG_NAME, "schedule", "a job that stays as it is misses no time"),
    _hot(CONFIG_NAME, "universes includes", "from the next row on"),
    _unused(CONFIG_NAME, "session record"),
    _hot(
        "configs/risk.yaml",
        "limits signal kelly",
        "from the next row on, looser or tighter",
    ),
    _unused("configs/risk.yaml", "margin breaker"),
    _hot("configs/lifecycle.yaml", "lifecycle", "from the next row on, also for what is open, with an alert"),
    _unused("configs/lifecycle.yaml", "health"),
    _hot("configs/execution.yaml", "execution pnl", "from the next decision on; what is out keeps its terms"),
    _hot(
        "configs/execution.yaml",
        "paper",
        "from the next order on; fees and smallest order: as `instruments`",
    ),
    _hot("configs/execution.yaml", "sync", "from the next comparison on"),
    _hot("configs/shutdown.yaml", "shutdown", "at the next stop"),
    _hot(
        "strategies/*.yaml",
        "all",
        "from the next row on; what is open keeps its exits, or adopts",
    ),
)


def table() -> str:
    """Return what a reload does with each group of settings, for docs/configuration.md."""
    lines = ["| file | settings | a change is | when, or why not |", "| --- | --- | --- | --- |"]
    for one in RELOADS:
        keys = ", ".join(f"`{key}`" for key in one.keys)
        lines.append(f"| {one.file} | {keys} | {one.uptake} | {one.why} |")
    return "\n".join(lines) + "\n"


def changed_files(old: Plan, new: Plan) -> tuple[str, ...]:
    """Return a line for each file that was added, changed or removed."""
    lines = []
    for name in sorted({*old.files, *new.files}):
        before, after = old.files.get(name), new.files.get(name)
        if before != after:
            what = "added" if before is None else "removed" if after is None else "changed"
            lines.append(f"{name}: {what}")
    return tuple(lines)


def needs_restart(old: Plan, new: Plan) -> tuple[Diagnostic, ...]:
    """Return a fault, at its key in config.yaml, for each change that a reload cannot make."""
    text = new.files.get(CONFIG_NAME, "")
    root, _ = read_document(text, CONFIG_NAME)
    found = []
    for group in RELOADS:
        if group.part is None or group.part(old) == group.part(new):
            continue
        (key,) = group.keys
        message = f"{key} cannot change while botd runs: take it back, or stop botd and start it again"
        if root is None:
            found.append(Diagnostic(file=CONFIG_NAME, line=0, column=0, message=message))
        else:
            found.append(Document(Source(CONFIG_NAME, text), root).at(tuple(key.split(".")), message))
    return tuple(found)


def needs_session(old: Plan, new: Plan) -> bool:
    """Say whether a start with changed files has to begin another session."""
    parts = [group.session for group in RELOADS if group.session is not None]
    return any(part(old) != part(new) for part in parts)
