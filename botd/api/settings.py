"""Where the API listens, for whom, and how much it takes from anybody."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from botd.errors import InputInvalid

_LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much is taken, from one caller and from all; seconds and bytes."""

    connections_max: int = 64
    connections_per_ip_max: int = 8
    header_s: float = 5.0  # from the first byte of a request, or the connection, to the end of its head
    body_s: float = 10.0
    answer_s: float = 20.0  # that a caller may take over reading an answer
    idle_s: float = 30.0  # a connection between two requests
    body_max: int = 65_536
    depth_max: int = 32  # of JSON
    bad_tokens_max: int = 5
    bad_tokens_window_s: float = 60.0
    blocked_s: float = 300.0
    acts_max: int = 10
    acts_window_s: float = 60.0
    obeyed_s: float = 5.0  # that the trading loop may take over a command before the answer is "asked"
    reloaded_s: float = 30.0
    sockets_max: int = 32
    queue_max: int = 256  # frames that wait for one WebSocket client
    send_s: float = 5.0
    heartbeat_s: float = 30.0
    frame_max: int = 4096  # of what a client sends
    frames_per_s: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """One server. Raises InputInvalid where it would be open to those it is not for."""

    host: str = "127.0.0.1"
    port: int = 8080  # 0 is any free one
    expose: bool = False
    behind_proxy: bool = False
    read_open: bool | None = None  # None: unless exposed
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    bounds: Bounds = Bounds()

    def __post_init__(self) -> None:
        if self.is_local:
            return
        if not self.expose:
            raise InputInvalid(
                f"api.host {self.host} is reached from other machines; write 127.0.0.1, or set "
                "api.expose: true and put a proxy with TLS before it"
            )
        if not self.behind_proxy:
            raise InputInvalid(
                f"api.host {self.host} would send tokens unencrypted; put a proxy with TLS before it and set "
                "api.behind_proxy: true"
            )
        if self.read_open:
            raise InputInvalid(
                "api.read_open: true would show the books to everybody who reaches "
                f"{self.host}; leave it out, or listen on 127.0.0.1"
            )

    @property
    def is_local(self) -> bool:
        """Say whether only this machine reaches it."""
        address = _address(self.host)
        return self.host == "localhost" if address is None else address.is_loopback

    @property
    def reads_need_token(self) -> bool:
        return not (self.is_local and self.read_open is not False)

    def answers_to(self, host: str) -> bool:
        """Say whether a Host header names this server: what a browser was led here by does not."""
        name = _host_name(host)
        if name in (*_LOCAL_NAMES, _bracketed(self.host), *(one.lower() for one in self.hosts)):
            return True
        own, asked = _address(self.host), _address(name.strip("[]"))
        return own is not None and own.is_unspecified and asked is not None  # an address cannot be rebound

    def trusts_origin(self, origin: str, host: str) -> bool:
        """Say whether a web page may act: one of ours, or one that the configuration names."""
        scheme, _, where = origin.lower().partition("://")
        own = scheme in ("http", "https") and where == host.lower()
        return own or origin.lower() in (one.lower() for one in self.origins)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host.lower()


def _host_name(host: str) -> str:
    """Return the name of `name:port`, an IPv6 address with its brackets."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()
