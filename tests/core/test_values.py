"""Cheap values are what frozen dataclasses are, and their makers make the same."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, get_args

import pytest

from botd.core import records
from botd.core.events import Answer, Command
from botd.core.portfolio import Position
from botd.core.records import Record
from botd.core.updates import AlertRecord
from botd.core.values import maker, value

KINDS = [*get_args(Record), *get_args(Command), *get_args(Answer)]


@value(frozen=True, slots=True)
class Pair:
    left: int
    right: int = 2


@value(frozen=True, slots=True, kw_only=True)
class Named:
    left: int
    right: int = 2


def some(kind: type[Any]) -> dict[str, str]:
    """Return a value of its own for every field, whatever its type."""
    return {field.name: f"<{field.name}>" for field in fields(kind) if field.init}


@pytest.mark.parametrize("kind", [*KINDS, Position], ids=lambda kind: kind.__name__)
def test_made_value_equals_the_called_one_field_by_field(kind: type[Any]) -> None:
    terms = some(kind)
    made, called = maker(kind)(**terms), kind(**terms)
    assert type(made) is kind
    for field in fields(kind):
        assert getattr(made, field.name) == getattr(called, field.name) == f"<{field.name}>"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_equal_values_have_equal_hashes_and_tell_a_field_apart(kind: type[Any]) -> None:
    terms = some(kind)
    one, twin = kind(**terms), kind(**terms)
    assert (one == twin, hash(one) == hash(twin), repr(one) == repr(twin)) == (True, True, True)
    for name in terms:
        assert one != kind(**{**terms, name: "other"})
    assert not hasattr(one, "__dict__")


@value(frozen=True, slots=True)
class Namesake:
    kind: str
    new: str
    made: str = "m"


def test_maker_takes_fields_named_like_its_own_parts() -> None:
    assert maker(Namesake)("k", "n") == Namesake("k", "n", "m")


def test_maker_fills_in_what_is_left_out() -> None:
    assert maker(Pair)(1) == Pair(1, 2)
    assert maker(Named)(left=1) == Named(left=1, right=2)
    assert maker(Pair)(1, right=3) == Pair(1, 3)
    assert maker(Named)(left=1, right=3) == Named(left=1, right=3)
    bare = {f.name: f"<{f.name}>" for f in fields(AlertRecord) if f.default is MISSING}
    assert maker(AlertRecord)(**bare) == AlertRecord(**bare)  # type: ignore[arg-type]


def test_maker_takes_keywords_only_where_the_class_does() -> None:
    with pytest.raises(TypeError, match="positional"):
        maker(Named)(1)  # type: ignore[misc]
    with pytest.raises(TypeError, match="missing"):
        maker(Pair)()  # type: ignore[call-arg]


def test_every_record_has_a_place_in_the_union() -> None:
    named = {one for name, one in vars(records).items() if name.endswith(("Record", "Update", "Snapshot"))}
    assert named - {Record} == set(get_args(Record))
