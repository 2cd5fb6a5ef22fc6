"""The JSON Schema of a strategy file, for editors. `botd check` says more and has the last word."""

from __future__ import annotations

from typing import Any, Final

from botd.config.models import LifecycleShape, LimitsShape
from botd.config.values import DURATION_PATTERN, MONEY_PATTERN, RATIO_PATTERN

KEYS: Final = (
    "strategy",
    "was",
    "about",
    "shadow",
    "instruments",
    "side",
    "let",
    "S1",
    "O1",
    "Z1",
    "ZE1",
    "E1",
    "protect",
    "limits",
    "lifecycle",
    "on_reload",
    "on_stop",
)
MANDATORY: Final = ("strategy", "instruments", "side", "S1", "protect", "on_stop")

_NAME_PATTERN: Final = r"^[a-z][a-z0-9_]*$"
_EQUITY_PATTERN: Final = RATIO_PATTERN.removesuffix("$") + r"( of equity)?$"


def _object(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


def _expression(description: str) -> dict[str, Any]:
    return {"type": ["string", "number"], "maxLength": 512, "description": description}


def _rule(description: str) -> dict[str, Any]:
    return {"type": ["string", "boolean"], "maxLength": 512, "description": description}


def _duration(description: str) -> dict[str, Any]:
    return {"type": "string", "pattern": DURATION_PATTERN, "description": description, "examples": ["30s"]}


def _ratio(description: str) -> dict[str, Any]:
    return {
        "type": "string",
        "pattern": RATIO_PATTERN,
        "description": description,
        "examples": ["2%", "50bps"],
    }


def _equity(description: str) -> dict[str, Any]:
    return {
        "type": "string",
        "pattern": _EQUITY_PATTERN,
        "description": description,
        "examples": ["10% of equity"],
    }


def _order() -> dict[str, Any]:
    return _object(
        {
            "type": {"enum": ["market", "limit"]},
            "slippage_max": _ratio("market: how far from the decision's top; immediate or cancel"),
            "price": _expression("limit: a price expression, read in the row of the entry"),
            "ttl": _duration("limit: how long it rests"),
        },
        "type",
        description="How the entry is sent.",
    )


def _size() -> dict[str, Any]:
    cap = _equity("most of equity it may take")
    kinds = {
        "fixed": {
            "type": "string",
            "pattern": MONEY_PATTERN,
            "description": "an amount of the base or quote currency",
            "examples": ["0.01 BTC", "500 USDT"],
        },
        "percent": _equity("share of equity"),
        "risk": _equity("share of equity that is lost if the stop is hit"),
        "kelly": _ratio("equity x this x max(0, 2 confidence - 1)"),
    }
    return {
        "description": "How much is bought or sold: one of fixed, percent, risk and kelly.",
        "oneOf": [_object({name: shape, "cap": cap}, name) for name, shape in kinds.items()],
    }


def _sections() -> dict[str, Any]:
    exit_rule = {
        "name": {"type": "string", "pattern": _NAME_PATTERN, "description": "its name in every record"},
        "when": _rule("true closes"),
    }
    close = "share of what is held now; {} without it"
    return {
        "S1": _object(
            {
                "when": _rule("true: something worth watching happened"),
                "confidence": _expression("0 to 1; 1 without it"),
                "confidence_min": {"type": ["number", "string"], "description": "under it: recorded only"},
                "cooldown": _duration("from one S1 to the next; 1m without it"),
                "order": _order(),
                "size": _size(),
            },
            "when",
            description="Signal, asked when idle. Without Z1 it enters, with order and size.",
        ),
        "O1": _object(
            {"when": _rule("true: forget the signal"), "after": _duration("forget it after this time")},
            description="Cancel, asked when signalled.",
        ),
        "Z1": _object(
            {"when": _rule("true: ask risk for an order"), "order": _order(), "size": _size()},
            "when",
            "size",
            description="Entry, asked when signalled.",
        ),
        "ZE1": {
            "type": "array",
            "items": _object({**exit_rule, "close": _ratio(close.format("50%"))}, "name", "when"),
            "description": "Exits, asked in position; the first that is true wins, each fires once.",
        },
        "E1": {
            "type": "array",
            "items": _object(
                {
                    **exit_rule,
                    "close": _ratio(close.format("100%")),
                    "cooldown": _duration("no S1 for this long after the fill"),
                },
                "name",
                "when",
            ),
            "description": "Emergencies, asked first in position: close all, then cool down.",
        },
        "protect": _object(
            {
                "stop_loss": _ratio("rests at the venue"),
                "take_profit": _ratio("from the entry price"),
                "trailing_stop": _ratio("drawdown from the best price since entry"),
                "holding_max": _duration("longest time in position"),
            },
            description="Exits that hold in every case.",
        ),
    }


def _overrides() -> dict[str, Any]:
    limits = LimitsShape.model_json_schema()["properties"]
    times = LifecycleShape.model_json_schema()["properties"]
    return {
        "limits": _object(limits, description="Limits of configs/risk.yaml for this strategy alone."),
        "lifecycle": _object(
            {name: times[name] for name in ("warning", "holding_max")},
            description="Times of configs/lifecycle.yaml for this strategy alone.",
        ),
    }


def strategy_schema() -> dict[str, Any]:
    """Build the schema, its properties in the order that a strategy file has them."""
    parts: dict[str, Any] = {
        "strategy": {
            "type": "string",
            "pattern": _NAME_PATTERN,
            "description": "The id: it stays the same across edits, and owns positions.",
        },
        "was": {"type": "string", "pattern": _NAME_PATTERN, "description": "The id before a renaming."},
        "about": {"type": "string", "description": "One sentence for people."},
        "shadow": {"type": "boolean", "description": "Decide and record, send nothing."},
        "instruments": {
            "description": "Names as ccxt writes them, or the name of a universe of config.yaml.",
            "oneOf": [
                {"type": "array", "minItems": 1, "items": {"type": "string"}},
                {"type": "string"},
            ],
        },
        "side": {"enum": ["long", "short"], "description": "Of its positions; one strategy trades one side."},
        "let": {
            "type": "object",
            "additionalProperties": _expression("an expression"),
            "description": "Named values; each may use those above it.",
        },
        **_sections(),
        **_overrides(),
        "on_reload": {
            "enum": ["pin", "adopt"],
            "description": "Exits of what is open after an edit: pin keeps them, adopt takes the new ones.",
        },
        "on_stop": {
            "enum": ["keep", "cancel", "flatten"],
            "description": "Last and mandatory. What a stop of the daemon does; cancel leaves stops.",
        },
    }
    return _object({key: parts[key] for key in KEYS}, *MANDATORY)
