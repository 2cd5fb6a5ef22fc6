"""The description of the API, made from the table of its routes and the models that they name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from botd.api import models
from botd.api.models import any_model
from botd.api.routes import Access, Route

_PROBLEMS: Final = {
    400: "the request is malformed, or names a host that is not ours",
    401: "a token is needed, or is wrong",
    403: "the token is not good for this, or the page that asks is not ours",
    404: "there is no such thing",
    408: "the body came too slowly",
    409: "it cannot be done as things are",
    413: "the body is too large",
    415: "the body is no JSON",
    422: "a parameter or the body is wrong",
    429: "too often; Retry-After says when to come again",
    500: "something broke; the log has the incident",
    503: "not now: books, session or loop are not there, or too busy",
}
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key within a day gets the same answer, and nothing is done twice.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"},
}
_ABOUT: Final = (
    "Reads of the books, and what people may ask of the daemon. Money is a decimal in a string, times are "
    "RFC 3339 and microseconds."
)


def describe(routes: Sequence[Route], *, version: str, reads_need_token: bool) -> bytes:
    """Return /openapi.json."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, reads_need_token)
    schemas = {name: _in_place(schema) for name, schema in _schemas(routes).items()}
    return orjson.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": "botd", "version": version, "description": _ABOUT},
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
        }
    )


def _schemas(routes: Iterable[Route]) -> dict[str, Any]:
    wanted: dict[str, tuple[type[BaseModel], JsonSchemaMode]] = {"Problem": (models.Problem, "serialization")}
    for route in routes:
        given = (route.answer, *route.statuses.values())
        wanted |= {one.__name__: (one, "serialization") for one in given if one is not None}
        if route.body is not None:
            wanted[route.body.__name__] = (route.body, "validation")
    _, found = models_json_schema(list(wanted.values()), ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = found["$defs"]
    return schemas


def _operation(route: Route, reads_need_token: bool) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.about,
        "parameters": _parameters(route),
        "responses": _responses(route),
    }
    if route.body is not None:
        content = {"application/json": {"schema": any_model(route.body)}}
        operation["requestBody"] = {"required": False, "content": content}
    if route.access is Access.TRADER or (route.access is Access.VIEWER and reads_need_token):
        operation["security"] = [{"token": []}]
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": f"^({pattern})$"},
        }
        for name, pattern in route.patterns.items()
    ]
    schema = route.query.model_json_schema()
    for name, one in schema.get("properties", {}).items():
        about = one.pop("description", None)
        parameter = {"name": name, "in": "query", "required": False, "schema": _in_place(one)}
        found.append(parameter | ({"description": about} if about else {}))
    if route.method == "POST":
        found.append(_KEY)
    return found


def _responses(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {"200": {"description": "done", "content": _content(route)}}
    for status, meaning in _PROBLEMS.items():
        schemas = [any_model(models.Problem)]
        if status in route.statuses:
            schemas.append(any_model(route.statuses[status]))
        schema = {"anyOf": schemas} if len(schemas) > 1 else schemas[0]
        found[str(status)] = {"description": meaning, "content": {"application/json": {"schema": schema}}}
    for status, model in route.statuses.items():
        if status not in _PROBLEMS:
            content = {"application/json": {"schema": any_model(model)}}
            found[str(status)] = {"description": "asked for, and not done yet", "content": content}
    return found


def _content(route: Route) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if route.answer is not None:
        schema = any_model(route.answer)
    elif route.content_type == "application/json":
        schema = {"type": "object"}
    return {route.content_type: {"schema": schema}}


def _in_place(part: Any) -> Any:
    """Write `null` out of what a URL cannot say: a parameter is there or it is not."""
    if isinstance(part, dict) and "anyOf" in part and "default" in part and part["default"] is None:
        kept = [one for one in part["anyOf"] if one != {"type": "null"}]
        if len(kept) == 1:
            rest = {name: one for name, one in part.items() if name not in ("anyOf", "default")}
            return kept[0] | rest
    return part
