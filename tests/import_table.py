"""Which way imports run: the table of docs/architecture.md."""

from __future__ import annotations

from collections.abc import Mapping

# What a package (or module) of botd may import from botd by itself; what those may import follows.
MAY_IMPORT: Mapping[str, frozenset[str]] = {
    "errors": frozenset(),
    "language": frozenset({"errors"}),
    "engine": frozenset({"language"}),
    "core": frozenset({"errors", "engine"}),
    "failpoints": frozenset({"errors"}),
    "ports": frozenset({"core"}),
    "telemetry": frozenset({"core"}),
    "hardening": frozenset({"telemetry"}),
    "config": frozenset({"errors", "language", "core", "ports", "telemetry"}),
    "feeds": frozenset({"errors", "core", "ports", "telemetry"}),
    "venues": frozenset({"errors", "core", "ports", "telemetry"}),
    "store": frozenset({"errors", "core", "ports", "telemetry", "failpoints"}),
    "runtime": frozenset({"errors", "core", "ports", "telemetry", "failpoints"}),
    "api": frozenset({"errors", "core", "ports", "telemetry", "store.queries", "store.pages"}),
    "research": frozenset({"errors", "engine", "core", "ports", "telemetry", "feeds", "runtime"}),
    "app": frozenset({"config", "feeds", "venues", "store", "runtime", "api", "research"}),
    "reception": frozenset({"api", "config", "runtime"}),
    "serving": frozenset({"reception"}),
    "api_process": frozenset(
        {"api", "hardening", "processors", "runtime"}
    ),  # nothing imports it: it is a program
    "machine": frozenset({"venues", "store", "serving"}),
    "sink": frozenset({"machine"}),
    "session_writer": frozenset({"machine"}),
    "sessions": frozenset({"app", "machine", "sink"}),
    "warming": frozenset({"app", "sessions"}),
    "swapping": frozenset({"app", "sessions", "session_writer", "warming"}),
    "reload": frozenset({"swapping"}),
    "daemon": frozenset({"app", "sessions", "session_writer", "swapping", "reload"}),
    "hosting": frozenset({"errors"}),
    "processors": frozenset(),
    "cli": frozenset(
        {
            "hosting",
            "processors",
            "hardening",
            "app",
            "daemon",
            "config",
            "research",
            "store",
            "errors",
            "ports",
            "telemetry",
        }
    ),
    "simulation": frozenset({"app", "daemon"}),  # of everything, and nothing of botd imports it
    "__main__": frozenset({"cli"}),
}
