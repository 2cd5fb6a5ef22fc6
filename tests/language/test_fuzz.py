"""Whatever the text, only our own diagnostics come out, and what is accepted compiles."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from botd.errors import Severity
from botd.language.catalogue import WORDS
from botd.language.lexer import KEYWORDS
from botd.language.program import compile_program
from botd.language.strategy import read_strategy
from botd.language.typed import Strategy
from tests.language.texts import STRATEGY

PRINTED = settings(
    max_examples=150, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)

# What a careless hand types, and what an attacker tries.
FRAGMENTS = [
    "", " ", "\n", "\n  ", "\t", "- ", ": ", "{", "}", "[", "]", "(", ")", ",", "'", '"', "#",
    "&a", "*a", "!!x",
    "|", ">", "%", "@", "`", "\\", "---\n", "...\n", "? ", "<<: ", "no", "~", "1:30", "010", "0x1f", "1e999",
    ".inf", "NaN", "2%", "50bps", "10s", "-1", "9**9", "__class__", "__import__('os')", "price", "pnl > 3%",
    "strategy", "S1", "when", "on_stop", "é", "\u2028", "\u202e", "\ufeff", "\x00", "\ud800", "💥",
]  # fmt: skip


def check(text: str) -> Strategy | None:
    """Read a text and check the promise of the reader; return the strategy if there is one."""
    strategy, diagnostics = read_strategy(text, "fuzz.yaml")
    assert (strategy is None) == any(d.severity is Severity.ERROR for d in diagnostics)
    lines = text.split("\n")
    for diagnostic in diagnostics:
        assert diagnostic.message
        assert "\n" not in diagnostic.message
        assert "Traceback" not in diagnostic.message
        assert 1 <= diagnostic.line <= len(lines)
        assert 1 <= diagnostic.column <= len(lines[diagnostic.line - 1]) + 1
        assert diagnostic.render()
    return strategy


@PRINTED
@given(st.text(alphabet=st.characters(), max_size=200))
def test_any_text_gives_diagnostics_only(text: str) -> None:
    check(text)


@PRINTED
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
def test_any_fragments_give_diagnostics_only(text: str) -> None:
    check(text)


@PRINTED
@given(
    st.integers(0, len(STRATEGY)),
    st.integers(0, 12),
    st.one_of(st.sampled_from(FRAGMENTS), st.text(alphabet=st.characters(), max_size=5)),
)
def test_any_edit_of_a_strategy_gives_diagnostics_only(at: int, removed: int, put: str) -> None:
    check(STRATEGY[:at] + put + STRATEGY[at + removed :])


@PRINTED
@given(st.integers(0, 2**32))
def test_any_words_of_the_language_give_diagnostics_only(seed: int) -> None:
    luck = random.Random(seed)
    words = [
        *WORDS,
        *KEYWORDS,
        *[
            "(",
            ")",
            "[",
            "]",
            ",",
            "+",
            "-",
            "*",
            "/",
            "<",
            "<=",
            ">",
            ">=",
            "==",
            "!=",
            "1",
            "2%",
            "10s",
            "5m",
            "every",
            "from",
            "to",
        ],
    ]
    text = " ".join(luck.choice(words) for _ in range(luck.randrange(1, 25)))
    check(STRATEGY.replace("fast > slow", f"'{text}'"))


def value(luck: random.Random, depth: int) -> str:
    """Write a random value expression, mostly of sensible units."""
    leaf = [
        "price",
        "mid",
        "twpa(10s)",
        "vwap(from 5m to 1m)",
        "high(1m)",
        "sma(close(1m), 5)",
        "close(1m)",
        "3",
    ]
    if depth == 0 or luck.random() < 0.2:
        return luck.choice(
            [*leaf, "volume(5s)", "spread", "pnl", "entry_price", "count(10s)", "rsi(close(1m), 14)"]
        )
    x, y = value(luck, depth - 1), value(luck, depth - 1)
    return luck.choice(
        [
            f"({x} {luck.choice('+-*/')} {y})",
            f"-{x}",
            f"abs({x})",
            f"min({x}, {y})",
            f"clamp({x}, 1, {y})",
            f"if({condition(luck, depth - 1)}, {x}, {y})",
            f"({x})[{luck.randrange(1, 60)}s ago]",
            f"({x})[{luck.randrange(1, 4)} bars ago]",
            f"zscore({x}, 5m, every {luck.randrange(1, 9)}s)",
        ]
    )


def condition(luck: random.Random, depth: int) -> str:
    """Write a random condition."""
    if depth == 0 or luck.random() < 0.1:
        return luck.choice(["always", "never", "price > 3", "pnl > 3%", "volume(5s) > 3", "held > 5s"])
    x, y = value(luck, depth - 1), value(luck, depth - 1)
    a, b = condition(luck, depth - 1), condition(luck, depth - 1)
    return luck.choice(
        [
            f"{x} {luck.choice(['<', '<=', '>', '>=', '==', '!='])} {y}",
            f"{x} crosses {luck.choice(['above', 'below'])} {y}",
            f"({a} {luck.choice(['and', 'or'])} {b})",
            f"not {a}",
            f"({a}) for {luck.randrange(1, 60)}s",
            f"({a})[{luck.randrange(1, 60)}s ago]",
        ]
    )


def test_what_is_accepted_compiles() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    luck = random.Random(seed)
    accepted = 0
    for _ in range(1500):
        rule = f'ZE1:\n  - {{ name: out, when: "{condition(luck, 3)}", close: 100% }}\nprotect:'
        text = STRATEGY.replace("protect:", rule).replace("fast > slow", f"'{condition(luck, 3)}'")
        strategy = check(text)
        if strategy is not None:
            compile_program([strategy])
            accepted += 1
    assert accepted >= 20
