"""Configuration: what runs, since when, by whom, what changed, and what the last reload said."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

from botd.store.queries import ScreenReader

from . import tables, words
from .actions import offer_reload
from .frame import Frame, Page, Scope, peek
from .overview import show_reload
from .tables import Card, Cell, Column

REVISIONS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    scope: Scope
    shown: Any | None  # the revision chosen
    former: Any | None  # the one before it
    who: str  # brought the one that is shown
    reloads: tuple[Any, ...]


def name_of(revision: Any) -> str:
    """Return what a revision is called in the list."""
    return f"{revision.config_hash[:12]} · {words.when(revision.applied_us)}"


def choose() -> str | None:
    """Offer the revisions, the newest first."""
    offer_reload()
    found = peek(lambda reader: reader.revisions(limit=REVISIONS)) or ()
    names = [name_of(one) for one in found]
    return st.selectbox("Revision", names, key="revision", bind="query-params") if names else None


def read(reader: ScreenReader, scope: Scope, chosen: str | None) -> Configuration:
    """Read everything of the page."""
    found = reader.revisions(limit=REVISIONS + 1)
    places = [place for place, one in enumerate(found) if name_of(one) == chosen] or [0]
    place = places[0]
    reloads = reader.reloads(limit=REVISIONS)
    shown = found[place] if found else None
    return Configuration(
        scope=scope,
        shown=shown,
        former=found[place + 1] if place + 1 < len(found) else None,
        who=who_brought(shown, reloads),
        reloads=reloads,
    )


def who_brought(shown: Any | None, reloads: Sequence[Any]) -> str:
    """Return who brought a revision, as far back as these reloads, newest first, go."""
    if shown is None or (len(reloads) == REVISIONS and shown.applied_us < reloads[-1].ts_us):
        return words.NONE
    brought = [one.who for one in reloads if one.ok and one.ts_us == shown.applied_us]
    return brought[0] if brought else "daemon start"


def draw(_: Frame, found: Configuration) -> None:
    """Draw the page."""
    last = found.reloads[0] if found.reloads else None
    show_reload(last)
    if last is not None and not last.ok:
        for one in last.errors:
            st.code(one.render(), language=None, wrap_lines=False)
    shown = found.shown
    if shown is None:
        tables.show_banner("blue", "No configuration has been in use yet.", name="empty")
        return
    running = found.reloads[0].running_hash if found.reloads else found.scope.config_hash
    tables.show_cards(
        [
            Card("Running", running[:12], "the plan that trades"),
            Card(
                "Shown",
                shown.config_hash[:12],
                "the running one" if shown.config_hash == running else "a former one",
            ),
            Card("In use since", words.when(shown.applied_us), "UTC"),
            Card("Brought by", found.who),
        ]
    )
    tables.show_heading("What changed against the revision before")
    _draw_diff(found)
    tables.show_heading("Files")
    for name, text in shown.files.items():
        with st.expander(name):
            st.code(text, language="yaml", line_numbers=True)
    tables.show_heading("Reloads")
    tables.show_table(
        (Column("time (UTC)"), Column("by"), Column("result"), Column("tried", "x"), Column("what", "w")),
        [
            (
                words.when(one.ts_us),
                one.who,
                "ok" if one.ok else Cell("refused", "bad"),
                Cell(one.config_hash[:12] or words.NONE, "mono"),
                "; ".join(one.changes) if one.ok else "; ".join(error.message for error in one.errors),
            )
            for one in found.reloads
        ],
        key="reloads",
        empty="The files have not been reloaded yet.",
    )


def _draw_diff(found: Configuration) -> None:
    former = found.former
    if found.shown is None or former is None:
        tables.show_table((), (), key="diff", empty="There is no revision before it.")
        return
    lines = diff(former.files, found.shown.files)
    if lines:
        st.code("\n".join(lines), language="diff")
    else:
        tables.show_table((), (), key="diff", empty="The files are the same.")


def diff(former: Mapping[str, str], files: Mapping[str, str]) -> list[str]:
    """Return what changed from some files to others, as `diff -u` shows it."""
    lines: list[str] = []
    for name in sorted({*former, *files}):
        before, after = former.get(name, ""), files.get(name, "")
        lines += difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, n=2, lineterm="")
    return lines


PAGE: Final = Page(
    title="Configuration",
    url="configuration",
    icon=":material/tune:",
    read=read,
    draw=draw,
    choose=choose,
)
