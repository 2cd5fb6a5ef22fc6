"""`botd words`: the language reference in the terminal, and the page made from it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from botd.config.reference import Word

NameArgument = Annotated[
    str | None, typer.Argument(help="A word, a section or a key, such as zscore, ZE1 or stop_loss.")
]
MarkdownOption = Annotated[bool, typer.Option("--markdown", help="Print the whole reference as a page.")]


def words(name: NameArgument = None, markdown: MarkdownOption = False) -> int:
    """Print the words of the strategy language, or all about one of them."""
    if markdown:
        from botd.config.reference_page import page

        sys.stdout.write(page())
    else:
        sys.stdout.write("\n".join(_overview() if name is None else _about(name)) + "\n")
    return 0


def _overview() -> Iterator[str]:
    from botd.config.reference import words as every_word

    known = every_word()
    width = max(len(word.written) for word in known)
    for reads in dict.fromkeys(word.reads for word in known):
        yield f"reads {reads}:"
        yield from (f"  {word.written:<{width}}  {word.meaning}" for word in known if word.reads is reads)
        yield ""
    yield "botd words NAME says more about a word, a section or a key; docs/language.md has it all"


def _about(name: str) -> Iterator[str]:
    from botd.config.reference import file_sections
    from botd.config.reference import words as every_word
    from botd.errors import InputInvalid
    from botd.language.source import did_you_mean
    from botd.language.words import FOREIGN_WORDS

    asked = name.removesuffix("()")
    if asked in FOREIGN_WORDS:
        yield f"'{asked}' is '{FOREIGN_WORDS[asked]}' here"
        asked = FOREIGN_WORDS[asked].partition(" ")[0]
    known, sections = every_word(), file_sections()
    found = [line for word in known if word.name == asked for line in _word(word)]
    for section in sections:
        if section.name == asked:
            found.append(f"{section.name}: {section.meaning}")
            found += [f"  {key.name}: {key.value}. {key.meaning}" for key in section.keys]
        found += [
            f"{key.name}, a key of {section.name or 'the file'}: {key.value}. {key.meaning}"
            for key in section.keys
            if key.name == asked and not any(one.name == asked for one in sections)
        ]
    if not found:
        names = [word.name for word in known] + [key.name for one in sections for key in one.keys]
        advice = did_you_mean(asked, names) or "; botd words lists them all"
        raise InputInvalid(f"no word, section or key '{asked}'{advice}")
    yield from found


def _word(word: Word) -> Iterator[str]:
    yield word.written
    yield f"  {word.meaning}"
    yield f"  gives    {word.gives}"
    yield f"  reads    {word.reads}"
    yield f"  warm-up  {word.warmup}"
    yield f"  example  {word.example}"
