"""A file's text with its lines, and the collector that turns faults in it into diagnostics."""

from __future__ import annotations

import difflib
from bisect import bisect_right
from collections.abc import Iterable

from botd.errors import Diagnostic, Severity
from botd.language.typed import Span

EXCERPT_MAX = 160


class Source:
    """The text of one file, able to say where an offset is."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._line_starts = [0]
        at = text.find("\n")
        while at >= 0:
            self._line_starts.append(at + 1)
            at = text.find("\n", at + 1)

    def position(self, offset: int) -> tuple[int, int]:
        """Return the line and the column of an offset, both counted from 1."""
        index = bisect_right(self._line_starts, offset) - 1
        return index + 1, offset - self._line_starts[index] + 1

    def line_text(self, line: int) -> str:
        """Return a line, counted from 1, without its line break."""
        start = self._line_starts[line - 1]
        stop = self.text.find("\n", start)
        return self.text[start : len(self.text) if stop < 0 else stop].rstrip("\r")

    def diagnostic(self, span: Span, message: str, severity: Severity = Severity.ERROR) -> Diagnostic:
        """Build the diagnostic of a span. The caret stays on the span's first line."""
        start = min(max(span.start, 0), len(self.text))
        line, column = self.position(start)
        excerpt = "".join(map(_shown, self.line_text(line)))
        width = max(1, min(span.end - start, len(excerpt) - column + 1))
        if len(excerpt) > EXCERPT_MAX:  # a generated line of thousands of characters helps nobody
            excerpt = excerpt[:EXCERPT_MAX] + "…" if column <= EXCERPT_MAX else ""
            width = min(width, max(1, EXCERPT_MAX - column + 1))
        return Diagnostic(
            file=self.file,
            line=line,
            column=column,
            message=message,
            excerpt=excerpt,
            width=width,
            severity=severity,
        )


def _shown(character: str) -> str:
    if character == "\t":
        return " "  # one column, so that the caret stands under its character
    return character if character.isprintable() else "\ufffd"


class Faults:
    """The faults found in one source so far, in the order of the text."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._found: dict[tuple[int, str], Diagnostic] = {}

    def error(self, span: Span, message: str) -> None:
        """Report what refuses the file."""
        self.add(span, message, Severity.ERROR)

    def warning(self, span: Span, message: str) -> None:
        """Report what is allowed and probably wrong."""
        self.add(span, message, Severity.WARNING)

    def hint(self, span: Span, message: str) -> None:
        """Report what was understood and is better written otherwise."""
        self.add(span, message, Severity.HINT)

    def add(self, span: Span, message: str, severity: Severity) -> None:
        """Report a fault; the same one at the same place counts once."""
        self._found.setdefault((span.start, message), self.source.diagnostic(span, message, severity))

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Take over diagnostics that were made elsewhere for this source."""
        for index, diagnostic in enumerate(diagnostics):
            self._found.setdefault((-1 - index, diagnostic.message), diagnostic)

    @property
    def refused(self) -> bool:
        """Say whether any fault is an error."""
        return any(d.severity is Severity.ERROR for d in self._found.values())

    def diagnostics(self) -> list[Diagnostic]:
        """Return every fault, sorted by where it stands."""
        return sorted(self._found.values(), key=lambda d: (d.line, d.column))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a person most likely meant, or None."""
    folded = {k.lower().replace("_", ""): k for k in sorted(known, reverse=True)}
    plain = word.lower().replace("_", "").replace("-", "")
    if plain in folded:
        return folded[plain]
    close = difflib.get_close_matches(plain, folded, n=1, cutoff=0.7)
    return folded[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or nothing when no known word is near."""
    near = nearest(word, known)
    return f"; did you mean '{near}'?" if near else ""
