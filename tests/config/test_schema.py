from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from botd.cli.main import main
from botd.cli.schema import KINDS
from botd.config import strategy_schema
from botd.config.schema import SCHEMAS, schema_text
from botd.language import sections, strategy

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"# yaml-language-server: \$schema=(\S+)")


@pytest.mark.parametrize("kind", KINDS)
def test_schema_on_disk_is_what_the_command_prints(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", kind]) == 0
    printed = capsys.readouterr().out
    assert printed == (ROOT / "docs" / "schema" / f"{kind}.json").read_text(), (
        "run: botd schema --out docs/schema"
    )
    assert json.loads(printed)["title"] == f"botd {kind}"


def test_command_writes_all_schemas(tmp_path: Path) -> None:
    assert main(["schema", "--out", str(tmp_path / "deep" / "schema")]) == 0
    written = {path.name: path.read_text() for path in (tmp_path / "deep" / "schema").iterdir()}
    assert written == {f"{kind}.json": schema_text(kind) for kind in SCHEMAS}
    assert set(SCHEMAS) == set(KINDS)


def test_unknown_kind_and_unwritable_folder_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["schema", "strategi"]) == 2
    assert main(["schema", "--out", str(tmp_path / "file" / "x")]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "botd: no schema 'strategi'; did you mean 'strategy'?",
        f"botd: {tmp_path}/file/x: cannot be written: Not a directory",
    ]


@pytest.mark.parametrize(
    "file",
    sorted([ROOT / "config.yaml", *(ROOT / "configs").glob("*.yaml"), *(ROOT / "strategies").glob("*.yaml")]),
    ids=lambda path: path.stem,
)
def test_shipped_file_names_its_schema_first(file: Path) -> None:
    named = NAMED.fullmatch(file.read_text().splitlines()[0])
    assert named is not None
    kind = "strategy" if file.parent.name == "strategies" else file.stem
    assert (file.parent / named[1]).resolve() == ROOT / "docs" / "schema" / f"{kind}.json"


def test_strategy_schema_has_the_keys_that_the_language_reads() -> None:
    schema = strategy_schema.strategy_schema()
    properties = schema["properties"]

    def keys(part: dict[str, object]) -> set[str]:
        found = part["properties"]
        assert isinstance(found, dict)
        return set(found)

    assert tuple(properties) == strategy.KEYS
    assert schema["required"] == list(strategy.MANDATORY)
    assert keys(properties["S1"]) == set(sections.SIGNAL_KEYS)
    assert keys(properties["O1"]) == set(sections.CANCEL_KEYS)
    assert keys(properties["Z1"]) == set(sections.ENTRY_KEYS)
    assert keys(properties["Z1"]["properties"]["order"]) == set(sections.ORDER_KEYS)
    assert keys(properties["ZE1"]["items"]) == set(sections.EXIT_KEYS)
    assert keys(properties["E1"]["items"]) == set(sections.EMERGENCY_KEYS)
    assert keys(properties["protect"]) == set(sections.PROTECT_KEYS)
    sizes = properties["Z1"]["properties"]["size"]["oneOf"]
    assert {key for size in sizes for key in size["properties"]} == set(sections.SIZE_KEYS)
