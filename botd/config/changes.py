"""What is different between two plans, and what of it a running bot cannot take up."""

from __future__ import annotations

from botd.config.plan import Plan
from botd.config.reading import Document
from botd.errors import Diagnostic
from botd.language.document import Source, read_document

CONFIG_NAME = "config.yaml"

# what the books and the rows stand on: with another one it is another session
_OF_SESSION = (
    ("mode", lambda plan: plan.mode),
    ("account", lambda plan: (plan.account, plan.settings.equity)),
    ("instruments", lambda plan: plan.instruments),
    ("data", lambda plan: (plan.settings.outlier_sigma, plan.settings.outlier_window_us)),
)
# what a process takes up once, when it starts
_OF_PROCESS = (
    ("feed", lambda plan: plan.feed),
    ("state", lambda plan: plan.state_path),
    ("api", lambda plan: plan.api),
)


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
    for key, part in (*_OF_SESSION, *_OF_PROCESS):
        if part(old) == part(new):
            continue
        message = f"{key} cannot change while botd runs: take it back, or stop botd and start it again"
        if root is None:
            found.append(Diagnostic(file=CONFIG_NAME, line=0, column=0, message=message))
        else:
            found.append(Document(Source(CONFIG_NAME, text), root).at((key,), message))
    return tuple(found)


def needs_session(old: Plan, new: Plan) -> bool:
    """Say whether a start with changed files has to begin another session."""
    return any(part(old) != part(new) for _, part in _OF_SESSION)
