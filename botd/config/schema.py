"""The JSON Schemas that editors complete and underline by."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from botd.config.models import ConfigFile, ExecutionFile, LifecycleFile, RiskFile, ShutdownFile
from botd.config.strategy_schema import strategy_schema

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

SCHEMAS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "strategy": strategy_schema,
    "config": ConfigFile.model_json_schema,
    "risk": RiskFile.model_json_schema,
    "lifecycle": LifecycleFile.model_json_schema,
    "execution": ExecutionFile.model_json_schema,
    "shutdown": ShutdownFile.model_json_schema,
}


def schema_text(kind: str) -> str:
    """Return the schema of a kind of file as it stands in docs/schema/. Raises KeyError."""
    schema = {"$schema": DIALECT, **SCHEMAS[kind](), "title": f"botd {kind}"}
    return f"{json.dumps(_without_null(schema), indent=2)}\n"


def _without_null(part: Any) -> Any:
    """Take out null, which pydantic adds to what may be left out and which no file may hold."""
    if isinstance(part, list):
        return [_without_null(item) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {key: _without_null(value) for key, value in part.items()}
    choices = [choice for choice in kept.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del kept["anyOf"]
        kept = {**choices[0], **kept}
    if "default" in kept and kept["default"] is None:
        del kept["default"]
    return kept
