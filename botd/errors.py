"""The exception tree, named by what the caller can do, and the diagnostic that a bad file gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How a diagnostic is to be taken: an error refuses the plan, the others do not."""

    ERROR = "error"
    WARNING = "warning"
    HINT = "hint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One fault in one file: where it is, what it is and what to do."""

    file: str
    line: int  # 1-based; 0 when the fault is the whole file
    column: int  # 1-based; 0 when the fault is the whole file
    message: str  # "what, and what to do", one line, no full stop
    excerpt: str = ""  # the source line, without its newline
    width: int = 1  # how many characters the caret underlines
    severity: Severity = Severity.ERROR

    def render(self) -> str:
        """Format as `file:line:column: message` with the source line and a caret below it."""
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        label = "" if self.severity is Severity.ERROR else f"{self.severity}: "
        head = f"{where}: {label}{self.message}"
        if not self.excerpt:
            return head
        return f"{head}\n    {self.excerpt}\n    {' ' * (self.column - 1)}{'^' * max(1, self.width)}"


class BotdError(Exception):
    """Base of everything botd raises on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class InputInvalid(BotdError):
    """Input that a person must mend: a missing file, wrong columns, an unknown instrument."""

    exit_code = 2


class StillHeld(InputInvalid):
    """What a changed configuration no longer has, or has in other steps, is held or works at the venue."""


class ConfigInvalid(InputInvalid):
    """One or more configuration or strategy files are wrong; carries every fault found."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(d.render() for d in self.diagnostics))


class MountUnusable(BotdError):
    """A folder that a container was given cannot be read or written by its user; the host must mend it."""

    exit_code = 9


class SecondDaemon(BotdError):
    """Another daemon already runs on this state folder."""

    exit_code = 3


class UnresolvedOrders(BotdError):
    """Orders whose outcome is unknown remain; a person must look."""

    exit_code = 4


class OtherAccount(BotdError):
    """The state file belongs to another account than the configuration names."""

    exit_code = 5


class StateCorrupt(BotdError):
    """The state file is damaged, is not a botd state file, or holds books that contradict themselves."""

    exit_code = 6


class NewerSchema(BotdError):
    """The state file was written by a newer botd."""

    exit_code = 7


class VenueUnavailable(BotdError):
    """The venue did not answer a read; it may be tried again."""


class VenueRefused(BotdError):
    """The venue refused the request; sending it again will not help."""


class VenueOutcomeUnknown(BotdError):
    """A request to the venue has no clear outcome. Never resend: reconcile."""


class InvariantBroken(BotdError):
    """Something that cannot be true is true. The daemon stops; starting again is the recovery."""
