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
    schema = {"$schema": DIALECT, "title": f"botd {kind}", **SCHEMAS[kind]()}
    schema["title"] = f"botd {kind}"
    return f"{json.dumps(schema, indent=2)}\n"
