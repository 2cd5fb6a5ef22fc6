"""Where a bot keeps its state, read without the rest: books can be looked at while other files are wrong."""

from __future__ import annotations

from pathlib import Path

from botd.config.files import looking_at, read_text
from botd.config.loader import CONFIG_NAME
from botd.errors import Diagnostic, InputInvalid
from botd.language.document import MapNode, ScalarNode, read_document


def state_path(config: Path) -> Path:
    """Return the state file that a config.yaml, or the one in a folder, names. Raises InputInvalid."""
    with looking_at(config):
        file = config / CONFIG_NAME if config.is_dir() else config
    text = read_text(file, str(file))
    if isinstance(text, Diagnostic):
        raise InputInvalid(
            f"{text.render()}; give the path of a {CONFIG_NAME}, or name a state file with --state"
        )
    root, _ = read_document(text, str(file))
    state = root.get("state") if isinstance(root, MapNode) else None
    node = state.get("path") if isinstance(state, MapNode) else None
    if not isinstance(node, ScalarNode) or not node.text:
        raise InputInvalid(
            f"{file}: no state.path can be read from it; see 'botd check', or name a state file with --state"
        )
    return file.parent / node.text
