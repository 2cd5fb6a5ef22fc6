"""Fixtures of the tests that need a Docker engine and the image: `make image-test` has both."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.bots import ROOT
from tests.image.engine import IMAGE, Container


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(1200))
            if not IMAGE:
                item.add_marker(pytest.mark.skip(reason="needs a Docker engine; make image-test runs it"))


@pytest.fixture
def strategies(tmp_path: Path) -> Path:
    """Return a folder of the host with the shipped strategies, of the user who runs the tests."""
    return Path(shutil.copytree(ROOT / "strategies", tmp_path / "strategies"))


@pytest.fixture
def container(strategies: Path) -> Iterator[Container]:
    """Run what the README's line runs."""
    with Container("-v", f"{strategies}:/etc/botd/strategies") as one:
        yield one.start()
