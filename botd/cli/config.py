"""`botd config`: the configurations that a bot has run, what changed between them, and the way back."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from botd.cli.books import ConfigOption, StateOption, open_books
from botd.cli.output import write
from botd.cli.status import when
from botd.core.reload import revision_name
from botd.errors import InputInvalid

if TYPE_CHECKING:
    from botd.store.queries import StateReader

SHOWN = 20

ActionArgument = Annotated[str, typer.Argument(help="history, diff or rollback.")]
RevisionArgument = Annotated[str | None, typer.Argument(help="A revision's hash, or its beginning.")]
OtherArgument = Annotated[str | None, typer.Argument(help="Of diff: the revision to compare with.")]


def config(
    action: ActionArgument,
    revision: RevisionArgument = None,
    other: OtherArgument = None,
    state: StateOption = None,
    config: ConfigOption = None,
) -> int:
    """Tell which files ran when; show what changed; write the files of an earlier revision back.

    `diff` without a revision compares the newest with the one before it, with one the files on disk with it.
    `rollback` writes files only; a running daemon takes them up as any other edit.
    """
    with open_books(state, config) as reader:
        if action == "history":
            write(_history(reader))
        elif action == "diff":
            write(_diff(reader, revision, other))
        elif action == "rollback":
            write(_rollback(reader, revision, config or Path()))
        else:
            raise InputInvalid(f"botd config {action}: write history, diff or rollback")
    return 0


def _history(reader: StateReader) -> str:
    lines, decided = [], reader.decided_by_revision()
    for one in reader.reloads(limit=SHOWN):
        verdict = "refused" if not one.ok else ", ".join(one.changes) or "nothing has changed"
        lines.append(f"{when(one.ts_us)}  {revision_name(one.running_hash)}  {one.who}: {verdict}\n")
        lines += [f"    {fault.render()}\n".replace("\n    ", "\n        ") for fault in one.errors]
    lines += [
        f"{when(one.applied_us)}  {revision_name(one.config_hash)}  in use, {len(one.files)} files, "
        f"{_decided(decided.get(revision_name(one.config_hash), (0, 0)))}\n"
        for one in reader.revisions(limit=SHOWN)
    ]
    return "".join(lines) or "no configuration has run yet\n"


def _decided(counts: tuple[int, int]) -> str:
    return ", ".join(
        f"{count} {name}{'' if count == 1 else 's'}"
        for count, name in zip(counts, ("order", "trade"), strict=True)
    )


def _files(reader: StateReader, beginning: str) -> Mapping[str, str]:
    found = {one.config_hash: one.files for one in reader.revisions(limit=10_000)}
    matching = [name for name in found if name.startswith(beginning)]
    if len(matching) != 1:
        why = "is no revision" if not matching else f"begins {len(matching)} revisions"
        raise InputInvalid(f"{beginning} {why} of {reader.path}; botd config history lists them")
    return found[matching[0]]


def _diff(reader: StateReader, revision: str | None, other: str | None) -> str:
    newest = reader.revisions(limit=2)
    if revision is None:
        if len(newest) < 2:
            return "there is one revision only\n"
        return _compare(newest[1].files, newest[0].files)
    return _compare(_files(reader, revision), newest[0].files if other is None else _files(reader, other))


def _compare(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    parts: list[str] = []
    for name in sorted({*before, *after}):
        parts += difflib.unified_diff(
            before.get(name, "").splitlines(keepends=True),
            after.get(name, "").splitlines(keepends=True),
            f"{name} before",
            f"{name} after",
        )
    return "".join(parts) or "they are the same\n"


def _rollback(reader: StateReader, revision: str | None, config: Path) -> str:
    if revision is None:
        raise InputInvalid("botd config rollback: name the revision; botd config history lists them")
    root = config if config.is_dir() else config.parent
    files = _files(reader, revision)
    now = reader.revisions(limit=1)[0].files
    lines = []
    for name in sorted({*files, *now}):
        file = root / name
        if name not in files:
            file.unlink(missing_ok=True)
            lines.append(f"{name}: removed\n")
        elif not file.exists() or file.read_text(encoding="utf-8") != files[name]:
            draft = file.with_name(f".{file.name}.botd")
            file.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(files[name], encoding="utf-8", newline="")
            draft.replace(file)
            lines.append(f"{name}: written\n")
    return "".join(lines) or "the files are as they were then\n"
