"""`botd decisions`: what a session decided, one canonical line each."""

from __future__ import annotations

from contextlib import closing

from botd.cli.books import ConfigOption, SessionOption, StateOption, open_books
from botd.cli.output import write

_LINES_AT_ONCE = 500


def decisions(state: StateOption = None, config: ConfigOption = None, session: SessionOption = None) -> None:
    """Print a session's decisions as canonical lines; two sessions decided the same if these are equal."""
    from botd.core.decisions import canonical_line

    lines: list[str] = []
    with (
        open_books(state, config) as reader,
        closing(reader.decisions(reader.session(session).id)) as records,
    ):
        for kind, record in records:
            line = canonical_line(record, kind)
            if line is not None:
                lines.append(f"{line}\n")
            if len(lines) >= _LINES_AT_ONCE:
                write("".join(lines))
                lines.clear()
    write("".join(lines))
