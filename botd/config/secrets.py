"""Secrets in files of a bot: they would go to the state file, the API and the screen, so they are refused."""

from __future__ import annotations

import re
from typing import Final

from botd.errors import Diagnostic
from botd.telemetry import SECRET_WORDS

# A word that names a secret, and a value with a digit in it, as long as any that a venue gives.
_NAMED: Final = re.compile(
    rf"""(?:{SECRET_WORDS})[\w-]*["']?\s*[:=]\s*["']?(?=[^\s"']*\d)(?P<value>[^\s"',}}\]]{{12,}})""",
    re.IGNORECASE,
)
# What is a secret by its form: a private key, a signed token, a bot's token, 64 hex digits, long mixed text.
_FORMED: Final = re.compile(
    r"(?P<value>-----BEGIN [A-Z ]*PRIVATE KEY|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+|\b\d{8,10}:[\w-]{35}\b"
    r"|\b[0-9a-fA-F]{64}\b|\b(?=\w*[a-z])(?=\w*[A-Z])(?=\w*\d)[A-Za-z0-9]{32,}\b)"
)


def find_secret(text: str, file: str) -> Diagnostic | None:
    """Return a fault at the first thing that looks like a secret, comments too; it does not show the line."""
    for number, line in enumerate(text.splitlines(), start=1):
        match = _NAMED.search(line) or _FORMED.search(line)
        if match is not None:
            return Diagnostic(
                file=file,
                line=number,
                column=match.start("value") + 1,
                message=(
                    "this looks like a secret; take it out of the file, and make a new one where it is from. "
                    "botd takes secrets from the environment, or from files that only their owner can read"
                ),
            )
    return None
