"""Run the daemon with its dashboard beside it, as `make run` does; the arguments go to `botd run`.

This process becomes the daemon, so signals and exit codes are its own. The dashboard ends with it; one that
cannot start stops nothing.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOTD = str(ROOT / ".venv" / "bin" / "botd")
PORT = os.environ.get("BOTD_DASHBOARD_PORT", "8501")
BESIDE = "--beside"


def main(arguments: list[str]) -> None:
    """Start the dashboard, and become the daemon."""
    place: list[str] = []  # of the bot, for both
    for k, one in enumerate(arguments):
        if one.startswith("--config"):
            place = arguments[k : k + 1 if "=" in one else k + 2]
    ends, lives = os.pipe()
    os.set_inheritable(lives, True)  # the daemon keeps it open as long as it lives
    subprocess.Popen(
        [sys.executable, __file__, BESIDE, str(ends), *place],
        pass_fds=[ends],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(ends)
    print(f"dashboard: http://127.0.0.1:{PORT}", flush=True)
    os.execv(BOTD, [BOTD, "run", *arguments])


def beside(ends: int, place: list[str]) -> None:
    """Run the dashboard until the daemon at the other end of a pipe is gone."""
    dashboard = subprocess.Popen([BOTD, "dashboard", *place, "--port", PORT])
    os.read(ends, 1)
    dashboard.terminate()
    dashboard.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == [BESIDE]:
        beside(int(sys.argv[2]), sys.argv[3:])
    else:
        main(sys.argv[1:])
