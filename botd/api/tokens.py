"""Who may do what: one bearer token for each role, from the environment or a file that others cannot read."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from botd.errors import InputInvalid
from botd.telemetry import hide

TOKEN_BYTES_MIN: Final = 32
_DOMAIN: Final = b"botd api token\0"
_READ_MAX: Final = 4096


class Role(StrEnum):
    """What a token is good for; a trader may read as well."""

    VIEWER = "viewer"
    TRADER = "trader"


class Tokens:
    """The tokens of one server, as digests: the tokens themselves are not kept."""

    def __init__(self, tokens: Mapping[Role, str]) -> None:
        """Raise InputInvalid for one that is too short, or that serves two roles."""
        for role, token in tokens.items():
            if len(token.encode()) < TOKEN_BYTES_MIN:
                raise InputInvalid(
                    f"the API's {role} token is shorter than {TOKEN_BYTES_MIN} bytes; make one with "
                    "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
                )
        for token in tokens.values():
            hide(token)
        self._digests = {role: _digest(token) for role, token in tokens.items()}
        if len(set(self._digests.values())) < len(self._digests):
            raise InputInvalid("the API's trader and viewer tokens are the same; give each role its own")

    def role_of(self, token: str) -> Role | None:
        """Return whose token it is; it takes as long for a wrong one."""
        digest = _digest(token)
        found = [role for role, known in self._digests.items() if hmac.compare_digest(digest, known)]
        return found[0] if found else None


def name_of(token: str) -> str:
    """Return what a log may call a token."""
    return _digest(token).hex()[:8]


def token_file(folder: Path, role: Role) -> Path:
    """Return where a role's token is written at a first start."""
    return folder / f"api-token-{role}"


def find_tokens(folder: Path, environment: Mapping[str, str], *, makes: bool) -> Tokens:
    """Return the tokens: BOTD_API_TOKEN_<ROLE>, what BOTD_API_TOKEN_<ROLE>_FILE holds, or the folder's own.

    With `makes`, roles that have none get one, in a file of the folder that only its owner can read. Without,
    InputInvalid is raised where nobody could trade.
    """
    found: dict[Role, str] = {}
    for role in Role:
        token = _given(role, environment)
        own = token_file(folder, role)
        if token is None and own.exists():
            token = _read(own)
        if token is None and makes:
            token = _make(own)
        if token is not None:
            found[role] = token
    if Role.TRADER not in found:
        raise InputInvalid(
            "the API listens beyond this machine and has no token; give it one of 32 bytes or more in "
            "BOTD_API_TOKEN_TRADER_FILE or BOTD_API_TOKEN_TRADER"
        )
    return Tokens(found)


def _given(role: Role, environment: Mapping[str, str]) -> str | None:
    name = f"BOTD_API_TOKEN_{role.upper()}"
    token, path = environment.get(name), environment.get(f"{name}_FILE")
    if token is not None and path is not None:
        raise InputInvalid(f"{name} and {name}_FILE are both set; keep one of them")
    return _read(Path(path)) if path is not None else None if token is None else token.strip()


def _read(path: Path) -> str:
    """Read a token that nobody else can; raise InputInvalid with what to do."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise InputInvalid(f"cannot read the API token in {path}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InputInvalid(f"{path} is no regular file; put the API token into one")
        if status.st_mode & 0o077:
            raise InputInvalid(f"others can read the API token in {path}; run chmod 600 {path}")
        if status.st_uid not in (os.geteuid(), 0):
            raise InputInvalid(f"the API token in {path} belongs to user {status.st_uid}; make it your own")
        return os.read(descriptor, _READ_MAX).decode("utf-8", "replace").strip()
    finally:
        os.close(descriptor)


def _make(path: Path) -> str:
    token = secrets.token_urlsafe(TOKEN_BYTES_MIN)
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{token}\n")
        draft.replace(path)
    except OSError as error:
        raise InputInvalid(f"cannot write the API token to {path}: {error.strerror}") from error
    return token


def _digest(token: str) -> bytes:
    return hashlib.sha256(_DOMAIN + token.encode("utf-8", "surrogatepass")).digest()
