"""A size against the limits of the account."""

from __future__ import annotations

from pathlib import Path

import pytest

from botd.config.loader import check
from botd.errors import Severity


@pytest.mark.parametrize(
    ("size", "limits", "remarks"),
    [
        ("percent: 11% of equity", "", []),
        (
            "percent: 12% of equity",
            "",
            [
                "12% of equity is over position_max, 11%: every entry would be denied; "
                "write 11% or less, or a higher position_max under limits"
            ],
        ),
        ("percent: 90% of equity, cap: 10% of equity", "", []),
        ("percent: 90% of equity", "limits: { position_max: 95% }\n", []),
        ("percent: 6% of equity, cap: 5.5%", "limits: { position_max: 5% }\n", ["5.5% of equity is over"]),
        ("kelly: 90%", "", []),
    ],
)
def test_share_that_risk_would_always_deny_is_a_warning(
    size: str, limits: str, remarks: list[str], bot: Path
) -> None:
    rider = bot / "strategies/rider.yaml"
    text = rider.read_text().replace("fixed: 0.01 BTC", size)
    rider.write_text(text.replace("on_stop", f"{limits}on_stop"))
    plan, every = check(bot)
    assert plan is not None
    found = [d for d in every if "position_max" in d.message]
    assert [d.severity for d in found] == [Severity.WARNING] * len(remarks)
    for said, remark in zip(found, remarks, strict=True):
        assert said.message.startswith(remark)
        assert (Path(said.file).name, said.line) == ("rider.yaml", 7)
