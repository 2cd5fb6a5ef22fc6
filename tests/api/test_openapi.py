"""The description holds: a tester that knows nothing but /openapi.json is never surprised."""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from botd.api.routes import Route
from botd.api.settings import Bounds
from botd.api.table import ROUTES
from tests.api.stand import TRADER, Reloads, Stand
from tests.api.test_reads import FAILED

keys = itertools.count()
EXAMPLES = 12  # for each route
FREE = Bounds(
    acts_max=10**6, bad_tokens_max=10**6, connections_max=500, connections_per_ip_max=500, obeyed_s=0.01
)


@pytest.fixture(scope="module")
def served() -> Iterator[Stand]:
    with tempfile.TemporaryDirectory() as folder:
        stand = Stand(Path(folder), bounds=FREE)
        stand.reloads = Reloads(replace(FAILED, ok=True))
        with stand:
            yield stand


@pytest.fixture(scope="module")
def api_schema(served: Stand) -> Any:
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{served.port}/openapi.json")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize("route", ROUTES, ids=[route.name for route in ROUTES])
def test_every_answer_is_one_that_the_description_allows(
    api_schema: Any, route: Route, mode: GenerationMode
) -> None:
    operation = api_schema[route.path][route.method]
    if mode is GenerationMode.NEGATIVE and not (
        operation.query or operation.path_parameters or operation.body
    ):
        return  # there is nothing to get wrong

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        made = case.headers or {}
        headers = {} if "Authorization" in made else {"Authorization": f"Bearer {TRADER}"}
        if re.fullmatch("[A-Za-z0-9_-]{1,128}", made.get("Idempotency-Key", "")):
            headers["Idempotency-Key"] = f"k-{next(keys)}"  # it takes one twice, for two requests
        case.call_and_validate(headers=headers)

    check()


def test_every_route_is_described_with_its_answers_and_who_may_use_it(served: Stand) -> None:
    found = served.get("/openapi.json").json
    described = {(path, method.upper()) for path, one in found["paths"].items() for method in one}
    assert described == {(route.path, route.method) for route in ROUTES}
    halt = found["paths"]["/api/trading/halt"]["post"]
    assert halt["security"] == [{"token": []}]
    assert "security" not in found["paths"]["/health"]["get"]
    assert [one["name"] for one in halt["parameters"]] == ["Idempotency-Key"]
    names = [one["name"] for one in found["paths"]["/api/trading/orders"]["get"]["parameters"]]
    assert names == ["session_id", "limit", "symbol", "cursor"]
