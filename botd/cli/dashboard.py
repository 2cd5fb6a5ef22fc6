"""`botd dashboard`: the screens, in a browser. A process of its own that reads the state file."""

from __future__ import annotations

import errno
import importlib.util
import os
import socket
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from botd.cli.books import ConfigOption, StateOption, place_of_books
from botd.cli.output import write
from botd.errors import InputInvalid
from botd.processors import leave_one

HostOption = Annotated[str, typer.Option("--host", help="The address to listen on.")]
PortOption = Annotated[int, typer.Option("--port", help="The port to listen on.", min=1, max=65_535)]

_NEEDED: Final = ("streamlit", "plotly", "pandas")
_PACKAGE: Final = Path(__file__).resolve().parents[1]
_NICE: Final = 10  # behind the daemon, where both want the processor
_SETTINGS: Final = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.enableXsrfProtection": "true",
    "server.enableCORS": "true",
    "browser.gatherUsageStats": "false",
    "logger.hideWelcomeMessage": "true",  # it asks a server on the internet for the address it shows
    "logger.level": "warning",
    "client.toolbarMode": "viewer",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "runner.magicEnabled": "false",
    "theme.light.primaryColor": "#2563eb",
    "theme.dark.primaryColor": "#60a5fa",
}


def dashboard(
    state: StateOption = None,
    config: ConfigOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8501,
) -> None:
    """Show the bot in a browser: its books, charts and alerts, with halt, close and cancel."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputInvalid(f"the dashboard needs {', '.join(missing)}; install with: pip install 'botd[ui]'")
    path = place_of_books(state, config).absolute()
    _check_port(host, port)
    os.environ["BOTD_STATE"] = str(path)
    os.environ["BOTD_NO_NUMBA"] = "1"  # it runs no kernel: seconds and memory saved
    settings = _SETTINGS | {"server.address": host, "server.port": str(port)}
    options = [f"--{name}={value}" for name, value in settings.items()]
    shown = f"[{host}]" if ":" in host else host
    write(f"the dashboard of {path} is at http://{shown}:{port}; Ctrl-C ends it\n")
    os.nice(_NICE)
    leave_one()
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", str(find_app()), *options])


def find_app() -> Path:
    """Return the dashboard's first file: in the installed package, or beside it in the source tree."""
    for folder in (_PACKAGE / "streamlit_app", _PACKAGE.parent / "streamlit_app"):
        if (folder / "main.py").exists():
            return folder / "main.py"
    raise InputInvalid("the dashboard's pages are not installed; install botd anew")


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise InputInvalid(
                    f"port {port} of {host} is taken, perhaps by another dashboard; name another with --port"
                ) from error
            raise InputInvalid(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
