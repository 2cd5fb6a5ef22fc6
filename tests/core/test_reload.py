"""What came of a reload, kept as text and read again."""

from __future__ import annotations

from botd.core.reload import diagnostics_of, diagnostics_text, revision_name
from botd.errors import Diagnostic, Severity


def test_faults_come_back_as_they_were_with_their_carets() -> None:
    faults = (
        Diagnostic(file="a.yaml", line=2, column=3, message="not a number", excerpt="x: é", width=1),
        Diagnostic(file="b.yaml", line=0, column=0, message="is missing", severity=Severity.WARNING),
    )
    text = diagnostics_text(faults)
    assert diagnostics_of(text) == faults
    assert "é" in text  # and for whoever reads the column, as a terminal shows it:
    assert "a.yaml:2:3: not a number\\n    x: é\\n      ^" in text


def test_plan_is_called_by_the_beginning_of_its_hash() -> None:
    assert revision_name("0123456789abcdef") == "0123456789ab"
