"""Every file of bad/ gets exactly the diagnostics that its first lines expect, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from botd.errors import Severity
from botd.language.strategy import read_strategy

FILES = sorted((Path(__file__).parent / "bad").glob("*.yaml"))
MARK = "# expect: "


def expected(text: str) -> list[str]:
    return [line.removeprefix(MARK) for line in text.split("\n") if line.startswith(MARK)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_bad_file_gets_its_diagnostic(path: Path) -> None:
    text = path.read_bytes().decode("utf-8")
    strategy, diagnostics = read_strategy(text, path.name)
    said = [d.render().split("\n")[0].removeprefix(f"{path.name}:") for d in diagnostics]
    # `file:4:7: hint: text` reads `4:7: hint: text` in the file
    assert said == expected(text)
    assert said, "a bad file must state what is wrong with it"
    assert (strategy is None) == any(d.severity is Severity.ERROR for d in diagnostics)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_caret_stands_under_the_reported_column(path: Path) -> None:
    text = path.read_bytes().decode("utf-8")
    for diagnostic in read_strategy(text, path.name)[1]:
        assert "\n" not in diagnostic.message
        assert not diagnostic.message.endswith(".")
        if diagnostic.excerpt:
            _, source, caret = diagnostic.render().split("\n")
            assert source == f"    {diagnostic.excerpt}"
            assert caret.index("^") == 4 + diagnostic.column - 1
            assert len(caret) <= len(source) + 1


def test_bad_files_are_there() -> None:
    assert len(FILES) > 150
