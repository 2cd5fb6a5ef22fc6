"""From the text of a configuration file to a model, with every fault at its line and column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from botd.config.old_keys import advice_for_old_key
from botd.errors import Diagnostic, Severity
from botd.language.document import MapNode, Node, ScalarNode, SeqNode, Source, read_document
from botd.language.source import nearest
from botd.language.typed import Span

M = TypeVar("M", bound=BaseModel)
Path = Sequence[str | int]


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file with the positions of its keys and values."""

    source: Source
    root: Node

    def at(
        self, path: Path, message: str, *, key: bool = False, severity: Severity = Severity.ERROR
    ) -> Diagnostic:
        """Say something about the value at a path, or about its key; the nearest one that is written."""
        return self.source.diagnostic(self._span(path, key), message, severity)

    def _span(self, path: Path, key: bool) -> Span:
        node = self.root
        span = Span(node.span.start, node.span.start + 1) if isinstance(node, MapNode) else node.span
        for position, step in enumerate(path):
            last = position == len(path) - 1
            if isinstance(node, MapNode):
                entry = next((e for e in node.entries if e.key == step), None)
                if entry is None:
                    return span
                node = entry.value
                plain = isinstance(node, ScalarNode) and node.span.end > node.span.start
                span = node.span if plain and not (last and key) else entry.key_span
            elif isinstance(node, SeqNode) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
                span = node.span
            else:
                return span
        return span


@dataclass(frozen=True, slots=True)
class Read(Generic[M]):
    """A file as read: `model` is None when it has errors, `document` when it is not even YAML."""

    model: M | None
    document: Document | None
    diagnostics: tuple[Diagnostic, ...]


def read_model(shape: type[M], text: str, file: str) -> Read[M]:
    """Read a YAML text into a model. Never raises: every fault becomes a diagnostic."""
    root, diagnostics = read_document(text, file)
    if root is None:
        return Read(None, None, tuple(diagnostics))
    document = Document(Source(file, text), root)
    try:
        model = shape.model_validate(as_values(root))
    except ValidationError as error:
        found = [_explain(document, shape, detail) for detail in error.errors(include_url=False)]
        return Read(None, document, (*diagnostics, *found))
    return Read(None if diagnostics else model, document, tuple(diagnostics))


def as_values(node: Node) -> Any:
    """Turn a tree into dicts, lists and the texts of its scalars."""
    if isinstance(node, MapNode):
        return {entry.key: as_values(entry.value) for entry in node.entries}
    if isinstance(node, SeqNode):
        return [as_values(item) for item in node.items]
    return node.text


def suggest(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?", or what there is to choose from when nothing is near."""
    names = list(known)
    near = nearest(word, names) or next((name for name in names if name in word.split("_")), None)
    if near is not None:
        return f"; did you mean '{near}'?"
    return f"; there is {', '.join(sorted(names))}" if names else ""


def _explain(document: Document, shape: type[BaseModel], detail: ErrorDetails) -> Diagnostic:
    loc = tuple(step for step in detail["loc"] if step != "[key]")
    explain = _EXPLAIN.get(detail["type"])
    if explain is not None:
        return explain(document, shape, loc, detail)
    of_key = "[key]" in detail["loc"]
    name = f"'{loc[-1]}' " if loc and isinstance(loc[-1], str) and not of_key else ""
    said = str(detail.get("ctx", {}).get("error", detail["msg"]))
    return document.at(loc, f"{name}{said}", key=of_key)


def _missing(document: Document, shape: type[BaseModel], loc: Path, detail: ErrorDetails) -> Diagnostic:
    where = f" in '{loc[-2]}'" if len(loc) > 1 else ""
    return document.at(loc[:-1], f"key '{loc[-1]}' is missing{where}; write it", key=True)


def _unknown(document: Document, shape: type[BaseModel], loc: Path, detail: ErrorDetails) -> Diagnostic:
    key = str(loc[-1])
    old = advice_for_old_key(key)
    if old is not None:
        return document.at(loc, old, key=True)
    return document.at(loc, f"unknown key '{key}'{suggest(key, _known_keys(shape, loc[:-1]))}", key=True)


def _not_a_mapping(document: Document, shape: type[BaseModel], loc: Path, detail: ErrorDetails) -> Diagnostic:
    name = f"'{loc[-1]}'" if loc else "the file"
    keys = _known_keys(shape, loc)
    with_keys = f" with {', '.join(keys)}" if keys else " of names to values"
    return document.at(loc, f"{name} must be a mapping{with_keys}")


_EXPLAIN: dict[str, Callable[[Document, type[BaseModel], Path, ErrorDetails], Diagnostic]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "model_type": _not_a_mapping,
    "model_attributes_type": _not_a_mapping,
    "dict_type": _not_a_mapping,
    "mapping_type": _not_a_mapping,
}


def _known_keys(shape: type[BaseModel], path: Path) -> tuple[str, ...]:
    """Return the keys of the model at a path, following models inside optionals and mappings."""
    current: type[BaseModel] | None = shape
    entered = False  # the last step went into a mapping of models: the next one is a free name
    for step in path:
        if current is None:
            return ()
        if entered:
            entered = False
            continue
        field = current.model_fields.get(str(step))
        if field is None:
            return ()
        current, entered = _model_inside(field.annotation)
    return () if current is None or entered else tuple(current.model_fields)


def _model_inside(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the model an annotation holds, and whether a free name comes in between."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for argument in getattr(annotation, "__args__", ()):
        model, _ = _model_inside(argument)
        if model is not None:
            return model, getattr(annotation, "__origin__", None) is Mapping
    return None, False
