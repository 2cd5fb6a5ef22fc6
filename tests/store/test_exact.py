"""Arithmetic over amounts as text, inside SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from botd.store import exact
from tests.store.samples import MONEY


@pytest.fixture(scope="module")
def sql() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    exact.register(connection)
    yield connection
    connection.close()


def value(sql: sqlite3.Connection, expression: str, *parameters: Any) -> Any:
    return sql.execute(f"SELECT {expression}", parameters).fetchone()[0]


SMALL = st.decimals(min_value=-(10**12), max_value=10**12, places=18)


@given(amounts=st.lists(SMALL, min_size=1, max_size=20))
def test_C12_sums_are_those_of_decimal_to_the_last_digit(  # noqa: N802
    sql: sqlite3.Connection, amounts: list[Decimal]
) -> None:
    with localcontext(prec=200):
        expected = sum(amounts, Decimal(0))
    sql.execute("CREATE TEMP TABLE amounts (x TEXT)")
    try:
        sql.executemany("INSERT INTO amounts VALUES (?)", [(str(x),) for x in amounts])
        for function in ("decimal_sum(x)", "decimal_total(group_concat(x, ' '))"):
            (total,) = sql.execute(f"SELECT {function} FROM amounts").fetchone()
            assert Decimal(total) == expected
    finally:
        sql.execute("DROP TABLE amounts")


@given(one=MONEY, other=MONEY)
def test_amounts_compare_as_decimals_do(sql: sqlite3.Connection, one: Decimal, other: Decimal) -> None:
    assert value(sql, "decimal_differs(?, ?)", str(one), str(other)) == int(one != other)
    assert value(sql, "decimal_above(?, ?)", str(one), str(other)) == int(one > other)


def test_differences_and_products_are_exact(sql: sqlite3.Connection) -> None:
    assert value(sql, "decimal_minus('0.3', '0.1')") == "0.2"
    assert value(sql, "decimal_minus('1E-8', '1E-8')") == "0"
    assert value(sql, "decimal_total('0.1 0.2 -1*0.3')") == "0"
    assert value(sql, "decimal_total('-1*-0.5 3*0.1')") == "0.8"


def test_running_sums_take_back_what_leaves_the_window(sql: sqlite3.Connection) -> None:
    rows = sql.execute(
        "SELECT decimal_sum(column1) OVER (ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) "
        "FROM (VALUES ('0.1'), ('0.2'), ('lots'), (NULL), ('0.4'), ('0.5'))"
    ).fetchall()
    assert [total for (total,) in rows] == ["0.1", "0.3", "NaN", "NaN", "0.4", "0.9"]


@pytest.mark.parametrize("amount", ["lots", "", "NaN", "Infinity", "1 2", 1.5, 2, b"1"])
def test_what_is_no_amount_equals_nothing(sql: sqlite3.Connection, amount: Any) -> None:
    assert value(sql, "decimal_sum(?)", amount) == "NaN"
    assert value(sql, "decimal_minus(?, '1')", amount) == "NaN"
    assert value(sql, "decimal_differs(?, ?)", amount, amount) == 1
    assert value(sql, "decimal_above(?, '1')", amount) == 1


def test_sum_that_no_digits_can_hold_is_no_amount(sql: sqlite3.Connection) -> None:
    assert value(sql, "decimal_minus('1E+999', '1')") == "NaN"
    assert value(sql, "decimal_total('1E+999 1')") == "NaN"


def test_nothing_sums_to_nothing_and_compares_with_nothing(sql: sqlite3.Connection) -> None:
    assert value(sql, "decimal_sum(column1) OVER () FROM (VALUES (NULL))") == "0"
    assert value(sql, "decimal_total(NULL)") == "0"
    for function in ("decimal_minus", "decimal_differs", "decimal_above"):
        assert value(sql, f"{function}(NULL, '1')") is None
        assert value(sql, f"{function}('1', NULL)") is None
