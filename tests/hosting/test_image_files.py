"""What the image is made of is there, and what the pages and files say of it agrees."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from botd.cli.main import COMMANDS
from botd.config.loader import load_plan
from botd.hosting import health

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
LET_IN = [
    line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"
]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))


def test_what_the_dockerfile_copies_is_there_and_let_in() -> None:
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE)
    sources = [source for one in copies for source in one.split()]
    assert len(sources) > 8
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source in LET_IN
    assert set(LET_IN) == set(sources)


def test_nothing_but_what_is_named_goes_into_the_build() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert next(line for line in lines if line and not line.startswith("#")) == "*"
    assert not [one for one in LET_IN if "state" in one or "token" in one or ".git" in one]


def test_image_runs_a_command_that_there_is_as_nobody_in_particular() -> None:
    assert 'ENTRYPOINT ["botd", "container"]' in DOCKERFILE
    assert "container" in COMMANDS
    assert re.findall(r"^USER (.+)$", DOCKERFILE, flags=re.MULTILINE) == ["10001:10001"]


def test_health_is_asked_the_same_way_everywhere() -> None:
    (words,) = re.findall(r"^HEALTHCHECK .+ CMD \[(.+)\]$", DOCKERFILE, flags=re.MULTILINE)
    asked = [word.strip('"') for word in words.split(", ")]
    assert asked[-1] == health.__name__
    assert COMPOSE["services"]["botd"]["healthcheck"]["test"] == ["CMD", *asked]


def test_ports_of_the_image_are_those_that_are_asked() -> None:
    preset = dict(re.findall(r"(BOTD_\w+)=(\S+)", DOCKERFILE))
    assert health.addresses(["botd", "container"], preset) == health.addresses(["botd", "container"], {})
    assert preset["BOTD_API_EXPOSE"] == preset["BOTD_API_BEHIND_PROXY"] == "true"


def test_compose_takes_away_what_is_not_needed_and_waits_for_a_stop() -> None:
    service = COMPOSE["services"]["botd"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "environment" not in service
    assert all("127.0.0.1" in port for port in service["ports"])
    ceiling_s = load_plan(ROOT).shutdown.ceiling_us / 1e6
    assert float(service["stop_grace_period"].removesuffix("s")) > ceiling_s


def test_pages_name_the_line_that_runs_it() -> None:
    for page in ("README.md", "docs/image.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        (line,) = {one.strip() for one in text.splitlines() if one.strip().startswith("docker run -d ")}
        for words in (
            "-p 127.0.0.1:8080:8080 -p 127.0.0.1:8501:8501",
            "-v botd-state:/state",
            '-v "$PWD/strategies":/etc/botd/strategies',
            "--read-only --cap-drop ALL",
        ):
            assert words in line
        assert line.endswith(" botd")
