"""What a container finds mounted: empty folders are filled, and one that cannot be used says what to do."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from botd.errors import InputInvalid, MountUnusable

CONFIG_NAME: Final = "config.yaml"
FOLDERS: Final = ("configs", "strategies")
_UNFINISHED: Final = ".botd-seeding"  # in a folder whose filling was cut short
_NOTHING: Final = ("lost+found",)  # of a file system that is the folder's own
_WRITTEN: Final = ("*.sqlite3*", "*.lock", "api-*")  # files of the state; HALT may be anybody's
_VOLUME: Final = re.compile(r"/volumes/([^/]+)/_data$")
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def seed(shipped: Path, folder: Path) -> list[Path]:
    """Fill what is missing or empty of a bot's folder with what is shipped; return what was filled.

    Raises MountUnusable where an empty one cannot be written, InputInvalid where a folder stands for a file.
    """
    if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
        raise _unreadable(folder)
    config = folder / CONFIG_NAME
    if config.is_dir():
        raise InputInvalid(
            f"{config} is a folder: Docker makes one where the file to mount is not on the host; remove it "
            "there, and mount a file or nothing"
        )
    folder.mkdir(parents=True, exist_ok=True)
    filled = []
    if not config.exists():
        _put(shipped / CONFIG_NAME, config)
        filled.append(config)
        _link_state(shipped / "state", folder / "state")
    for name in FOLDERS:
        if _is_empty(folder / name):
            _fill(shipped / name, folder / name)
            filled.append(folder / name)
    return filled


def check_writable(folder: Path) -> None:
    """Raise MountUnusable, with the fix, where the state cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise _unusable(folder)
    for one in sorted(path for pattern in _WRITTEN for path in folder.glob(pattern)):
        if not os.access(one, os.R_OK | os.W_OK):
            raise _unusable(folder, path=one)


def keep_kernels(shipped: Path, folder: Path) -> None:
    """Copy compiled kernels to where the compiler may write: it takes none from a folder where it cannot.

    On another processor than they were compiled on, they are compiled anew there.
    """
    for one in shipped.glob("kernels-*"):
        there = folder / one.name
        if there.exists():
            continue
        draft = folder / f".{one.name}.{os.getpid()}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(one, draft)
        draft.replace(there)


def empty_drafts(folder: Path) -> None:
    """Have an empty folder for temporary files: what a killed process left there is of no use."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def fix_of(folder: Path, mounts: str, command: str, *words: str) -> str:
    """Return what runs chown or chmod on a mounted folder on the host. `mounts` is /proc/self/mountinfo."""
    root, inside = _mount_of(folder, mounts)
    volume = _VOLUME.search(root)
    given = " ".join(words)
    if volume:
        there = f"{volume[1]}:{folder}" if not inside else f"{volume[1]}:/mnt"
        target = folder if not inside else f"/mnt/{inside}"
        return f"docker run --rm --user 0 --entrypoint {command} -v {there} botd {given} {target}"
    if root:
        return f"sudo {command} {given} {shlex.quote(str(Path(root, inside)))}"
    return f"docker run with a folder or a volume that user {os.geteuid()} may use mounted at {folder}"


def _mount_of(folder: Path, mounts: str) -> tuple[str, str]:
    """Return what of its file system is mounted where a folder is, and the way from there to the folder."""
    best, found = Path("/"), ""
    for line in mounts.splitlines():
        fields = [_ESCAPED.sub(lambda match: chr(int(match[1], 8)), one) for one in line.split(" ")]
        point = Path(fields[4])
        if point != Path("/") and folder.is_relative_to(point) and len(point.parts) >= len(best.parts):
            best, found = point, fields[3]
    inside = str(folder.relative_to(best))
    return found, "" if inside == "." or not found else inside


def _unusable(folder: Path, error: OSError | None = None, path: Path | None = None) -> MountUnusable:
    there = path or next(one for one in (folder, *folder.parents) if one.exists())
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        return MountUnusable(f"{there} is mounted read-only and has to be written; mount it without :ro")
    if error is not None and not isinstance(error, PermissionError):
        return MountUnusable(f"{there} cannot be written: {error.strerror}; make it writable on the host")
    return _refusal(there, folder, "chown", "-R", f"{os.geteuid()}:{os.getegid()}")


def _unreadable(folder: Path) -> MountUnusable:
    return _refusal(folder, folder, "chmod", "-R", "a+rX")


def _refusal(there: Path, folder: Path, command: str, *words: str) -> MountUnusable:
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    owner, user = there.stat(follow_symlinks=False).st_uid, os.geteuid()
    why = f"{there} belongs to user {owner}" if owner != user else f"{there} is closed to its own user"
    fix = fix_of(folder.resolve(), mounts, command, *words)
    return MountUnusable(f"{why}, and this container runs as user {user}; on the host run: {fix}")


def _is_empty(folder: Path) -> bool:
    try:
        return (folder / _UNFINISHED).exists() or not any(_visible(folder))
    except FileNotFoundError:
        return True
    except PermissionError as error:
        raise _unreadable(folder) from error


def _visible(folder: Path) -> Iterator[Path]:
    return (one for one in folder.iterdir() if not one.name.startswith(".") and one.name not in _NOTHING)


def _fill(shipped: Path, folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
        (folder / _UNFINISHED).touch()
        for one in _visible(shipped):
            if not (folder / one.name).exists():
                _put(one, folder / one.name)
        (folder / _UNFINISHED).unlink()
    except OSError as error:
        raise _unusable(folder, error) from error


def _put(source: Path, target: Path) -> None:
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(source, draft)
        draft.chmod(stat.S_IMODE(source.stat().st_mode) | stat.S_IWUSR)
        draft.replace(target)
    except OSError as error:
        raise _unusable(target.parent, error) from error


def _link_state(shipped: Path, link: Path) -> None:
    """Have a relative state.path lead to the volume of the state, as it does in the image."""
    if shipped.is_symlink() and not link.exists() and not link.is_symlink():
        link.symlink_to(shipped.readlink())
