"""Any path a person may ask to have checked: a bot, a folder of strategies, or one file of either."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from botd.config.cross import check_execution, check_lifecycle, check_risk, check_shutdown
from botd.config.files import looking_at, read_text
from botd.config.gather import Gathering
from botd.config.loader import CONFIG_NAME, Checked, check_bot, check_strategies
from botd.config.models import ExecutionFile, LifecycleFile, RiskFile, ShutdownFile
from botd.config.shape import Shape
from botd.errors import Diagnostic, InputInvalid
from botd.language.document import MapNode, read_document

_SETTINGS: Final[tuple[tuple[type[Shape], Callable[..., Any]], ...]] = (
    (RiskFile, check_risk),
    (LifecycleFile, check_lifecycle),
    (ExecutionFile, check_execution),
    (ShutdownFile, check_shutdown),
)
_CONFIG_KEYS: Final = frozenset({"mode", "account", "includes", "feed", "state"})
_STRATEGY_KEYS: Final = frozenset({"strategy", "S1", "on_stop"})


def inspect(path: Path) -> Checked:
    """Check what stands at a path. Raises InputInvalid when nothing does."""
    with looking_at(path):
        there = path.exists()
        is_bot = path.is_dir() and (path / CONFIG_NAME).exists()
    if not there:
        raise InputInvalid(f"{path}: no such file or folder")
    if path.is_dir():
        return check_bot(path) if is_bot else check_strategies([path])
    if path.name == CONFIG_NAME:
        return check_bot(path)
    keys = _top_keys(path)
    if not keys & _STRATEGY_KEYS:
        if keys & _CONFIG_KEYS:
            return check_bot(path)
        for shape, cross_check in _SETTINGS:
            if keys & shape.model_fields.keys():
                return _check_settings(path, shape, cross_check)
    return check_strategies([path])


def _top_keys(path: Path) -> frozenset[str]:
    text = read_text(path, str(path))
    if isinstance(text, Diagnostic):
        return frozenset()
    root, _ = read_document(text, str(path))
    return frozenset(entry.key for entry in root.entries) if isinstance(root, MapNode) else frozenset()


def _check_settings(path: Path, shape: type[Shape], cross_check: Callable[..., Any]) -> Checked:
    """Check one file of configs/ alone: there is no plan to make of it, only faults to find."""
    gathering = Gathering(root=path.parent)
    gathering.read_file(shape, path, path.name, cross_check)
    return Checked(plan=None, diagnostics=tuple(gathering.found), settings_count=1, strategies_count=0)
