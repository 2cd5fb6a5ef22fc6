"""What a container's HEALTHCHECK asks, and what it makes of the answers."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from botd.hosting.health import addresses, fault_of

API, DASHBOARD = "http://127.0.0.1:8080/health", "http://127.0.0.1:8501/_stcore/health"


@pytest.mark.parametrize(
    ("command", "environment", "asked"),
    [
        ("python botd container", {}, [API, DASHBOARD]),
        ("docker-init -- botd container --data x", {}, [API, DASHBOARD]),
        ("python botd container run --speed max", {}, [API]),
        ("python botd container dashboard", {}, [DASHBOARD]),
        ("python botd container", {"BOTD_API_ENABLED": "false"}, [DASHBOARD]),
        ("python botd container run", {"BOTD_API_PORT": "9"}, ["http://127.0.0.1:9/health"]),
    ],
)
def test_what_runs_is_what_is_asked(command: str, environment: dict[str, str], asked: list[str]) -> None:
    assert list(addresses(command.split(), environment).values()) == asked


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/well" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{one.server_port}"
        one.shutdown()
        thread.join()


def test_only_a_good_answer_is_well(server: str) -> None:
    assert fault_of(f"{server}/well") == ""
    assert "503" in fault_of(f"{server}/other")


def test_nobody_there_is_a_fault() -> None:
    assert "refused" in fault_of("http://127.0.0.1:1/health")
