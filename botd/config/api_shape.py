"""The shape of `api:` in config.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from botd.config.shape import Shape
from botd.config.values import Flag, Name, Names, read_whole

PORT_MAX = 65_535


def read_port(value: object) -> int:
    """Read a TCP port; 0 is any free one."""
    port = read_whole(value)
    if port > PORT_MAX:
        raise ValueError(f"must be at most {PORT_MAX}, is {value}")
    return port


Port = Annotated[
    int,
    BeforeValidator(read_port),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": PORT_MAX}),
]


class ApiShape(Shape):
    """The HTTP API of the daemon."""

    enabled: Flag = True
    """Whether it listens at all."""
    host: Name = "127.0.0.1"
    """The address to listen on; one beyond this machine needs `expose`."""
    port: Port = 8080
    """0 takes any free port, which the log names."""
    expose: Flag = False
    """Whether it may listen beyond this machine; that needs `behind_proxy` and tokens of your own."""
    behind_proxy: Flag = False
    """Whether a proxy that ends TLS stands before it: callers are told apart by X-Forwarded-For."""
    read_open: Flag | None = None
    """Whether reading needs no token; true unless exposed, where it cannot be."""
    hosts: Names = ()
    """More names that it may be called by, beside localhost and `host`."""
    origins: Names = ()
    """Web pages that may connect to /ws or act, such as https://bot.example; its own may."""
