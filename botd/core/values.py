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
    dataclasses whose fields have no default factory.
    """
    made = cast(Any, kind)
    scope: dict[str, Any] = {"new": made.__new__, "kind": made}
    terms, body = [], []
    for field in fields(made):
        name = field.name
        scope[f"default_{name}"] = field.default
        if field.init:
            terms.append(name if field.default is MISSING else f"{name}=default_{name}")
        body.append(f" made.{name} = {name if field.init else f'default_{name}'}")
    star = "*, " if fields(made)[0].kw_only else ""
    lines = [f"def make({star}{', '.join(terms)}):", " made = new(kind)", *body, " return made"]
    exec("\n".join(lines), scope)  # allow: a constructor is written as text, as dataclasses do it
    return cast(Callable[Terms, Made], scope["make"])


__all__ = ["maker", "value"]
