from __future__ import annotations

from botd.errors import Severity
from botd.language.source import Faults, Source, did_you_mean, nearest
from botd.language.typed import Span

TEXT = "first line\r\nsecond é line\n\nfourth"


def test_position_counts_lines_and_columns_from_one() -> None:
    source = Source("f.yaml", TEXT)
    assert source.position(0) == (1, 1)
    assert source.position(12) == (2, 1)
    assert source.position(TEXT.index("é")) == (2, 8)
    assert source.position(len(TEXT)) == (4, 7)


def test_line_text_leaves_out_the_line_break() -> None:
    source = Source("f.yaml", TEXT)
    assert [source.line_text(n) for n in (1, 2, 3, 4)] == ["first line", "second é line", "", "fourth"]


def test_diagnostic_underlines_the_span_on_its_first_line() -> None:
    source = Source("f.yaml", "abc def\nghi\n")
    found = source.diagnostic(Span(4, 11), "what; do this")
    assert (found.line, found.column, found.width) == (1, 5, 3)
    assert found.render() == "f.yaml:1:5: what; do this\n    abc def\n        ^^^"


def test_diagnostic_past_the_end_stays_in_the_file() -> None:
    found = Source("f.yaml", "abc").diagnostic(Span(99, 100), "m", Severity.HINT)
    assert (found.line, found.column, found.width) == (1, 4, 1)
    assert found.render().startswith("f.yaml:1:4: hint: m")


def test_diagnostic_of_a_long_line_is_cut() -> None:
    source = Source("f.yaml", "x" * 1000)
    near = source.diagnostic(Span(150, 400), "m")
    assert near.excerpt == "x" * 160 + "…"
    assert near.width == 10
    far = source.diagnostic(Span(500, 501), "m")
    assert far.excerpt == ""
    assert far.render() == "f.yaml:1:501: m"


def test_diagnostic_shows_tabs_as_one_column_and_hides_control_characters() -> None:
    found = Source("f.yaml", "\ta\x07b").diagnostic(Span(1, 2), "m")
    assert found.excerpt == " a\ufffdb"


def test_faults_come_sorted_and_once() -> None:
    faults = Faults(Source("f.yaml", "a\nb\nc\n"))
    faults.hint(Span(4, 5), "third")
    faults.warning(Span(0, 1), "first")
    faults.warning(Span(0, 1), "first")
    assert not faults.refused
    faults.error(Span(2, 3), "second")
    assert faults.refused
    assert [d.message for d in faults.diagnostics()] == ["first", "second", "third"]
    assert [d.severity for d in faults.diagnostics()] == [Severity.WARNING, Severity.ERROR, Severity.HINT]


def test_faults_take_over_those_of_others() -> None:
    source = Source("f.yaml", "a\n")
    faults = Faults(source)
    faults.extend([source.diagnostic(Span(0, 1), "one"), source.diagnostic(Span(0, 1), "two")])
    assert [d.message for d in faults.diagnostics()] == ["one", "two"]


def test_nearest_ignores_case_and_underscores() -> None:
    known = ["stop_loss", "take_profit", "S1"]
    assert nearest("stopLoss", known) == "stop_loss"
    assert nearest("stop-los", known) == "stop_loss"
    assert nearest("s1", known) == "S1"
    assert nearest("xyz", known) is None


def test_did_you_mean_says_nothing_without_a_near_word() -> None:
    assert did_you_mean("imbalence", ["imbalance"]) == "; did you mean 'imbalance'?"
    assert did_you_mean("q", ["imbalance"]) == ""
