"""The form of the core's small values: frozen for whoever reads the code, cheap for whoever runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:

    def value(*, frozen, slots, kw_only=False):
        """Make a dataclass that the type checker holds to `frozen`, without its cost at run time.

        A frozen dataclass sets every field through `object.__setattr__`: the records of one order would
        take longer than everything that is decided about it. Equality and hash are those of the frozen form.
        """
        return dataclass(slots=slots, kw_only=kw_only, unsafe_hash=frozen)


Terms = ParamSpec("Terms")
Made = TypeVar("Made")


def maker(kind: Callable[Terms, Made]) -> Callable[Terms, Made]:
    """Return a function that makes what calling the dataclass makes, in a third of the time.

    A class that is called packs its keywords into a dict and unpacks it again; a function does not. For
    dataclasses whose fields are all given or have a plain default.
    """
    made = cast(Any, kind)
    scope: dict[str, Any] = {"_new": made.__new__, "_kind": made}  # names that no field has
    terms, body = [], []
    for field in fields(made):
        name = field.name
        scope[f"_default_{name}"] = field.default
        terms.append(name if field.default is MISSING else f"{name}=_default_{name}")
        body.append(f" _made.{name} = {name}")
    star = "*, " if fields(made)[0].kw_only else ""
    lines = [f"def make({star}{', '.join(terms)}):", " _made = _new(_kind)", *body, " return _made"]
    exec("\n".join(lines), scope)  # allow: a constructor is written as text, as dataclasses do it
    return cast(Callable[Terms, Made], scope["make"])


__all__ = ["maker", "value"]
