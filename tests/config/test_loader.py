"""What a plan holds is what the files say."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path

import pytest

from botd.config.build import build_instrument, default_settings
from botd.config.loader import check, find_config, fit_to_data, load_plan, load_strategies, on_instruments
from botd.config.plan import (
    BreakerSettings,
    FeedSettings,
    HealthSettings,
    Job,
    LifecycleSettings,
    LoggingSettings,
    MarginSettings,
    OrderKeeping,
    Plan,
    ShutdownSettings,
    SignalDefaults,
    hash_files,
)
from botd.config.symbols import parse_symbol
from botd.core.instrument import Instrument, InstrumentId, InstrumentKind
from botd.core.settings import CoreSettings, ExecutionSettings, Limits, PaperSettings
from botd.errors import ConfigInvalid, InputInvalid, Severity

ROOT = Path(__file__).parents[2]
SECOND = 1_000_000
MINUTE = 60 * SECOND


def test_plan_holds_every_number_of_the_limits_and_execution_files(bot: Path) -> None:
    plan = load_plan(bot)
    assert plan.settings == CoreSettings(
        revision=plan.config_hash[:12],
        equity={"USDT": Decimal("5000.50"), "BTC": Decimal(2)},
        limits=Limits(
            position_max=Decimal("0.11"),
            position_max_usd=None,
            symbol_exposure_max=Decimal("0.21"),
            total_exposure_max=Decimal("1.5"),
            positions_max=6,
            leverage_max=Decimal(3),
            daily_loss_max=Decimal("0.06"),
            drawdown_max=Decimal("0.16"),
            concentration_max=Decimal("0.51"),
            margin_use_max=Decimal("0.81"),
            losing_streak_max=7,
            orders_per_minute_max=31,
            rejects_in_a_row_max=4,
            equity_min=Decimal("0.21"),
        ),
        confidence_min=Decimal("0.6"),
        outlier_sigma=4.5,
        outlier_window_us=10 * MINUTE,
        outlier_confirm_us=500_000,
        execution=ExecutionSettings(
            slippage_max=Decimal("0.004"),
            order_ttl_us=3 * MINUTE,
            order_timeout_us=20 * SECOND,
            sync_positions_us=5 * SECOND,
            mark_interval_us=15 * SECOND,
            snapshot_interval_us=30 * MINUTE,
        ),
        paper=PaperSettings(
            seed=42,
            latency_min_us=50_000,
            latency_max_us=50_000,
            bar_slippage=Decimal(0),
            spot_taker_fee=Decimal("0.0012"),
            spot_maker_fee=Decimal("0.0008"),
            perpetual_taker_fee=Decimal("0.0006"),
            perpetual_maker_fee=Decimal("0.0001"),
            walk_levels_max=20,
            min_notional={"USDT": Decimal(6), "BTC": Decimal("0.0002")},
        ),
    )


def test_plan_holds_the_settings_of_the_shell(bot: Path) -> None:
    plan = load_plan(bot / "config.yaml")

    assert (plan.mode, plan.account, plan.budget) == ("paper", "test", (Decimal(500), "USDT"))
    assert plan.feed == FeedSettings(kind="recorded", seed=1, path=bot / "data/trades.parquet", speed=None)
    assert plan.state_path == bot / "books/test.sqlite3"
    assert plan.schedule == (Job(name="daily_report", cron="10 0 * * mon-fri"),)
    assert plan.record is False
    assert plan.logging == LoggingSettings(level="debug", format="text")
    assert plan.margin == MarginSettings(
        warn=Decimal("0.3"), alert=Decimal("0.2"), close=Decimal("0.05"), close_enabled=True
    )
    assert plan.breaker == BreakerSettings(failures=3, window_us=90 * SECOND, open_us=45 * SECOND, probes=2)
    assert plan.lifecycle == LifecycleSettings(
        warning_us=90 * MINUTE, holding_max_us=120 * MINUTE, automatic_timeout=True
    )
    assert plan.health == HealthSettings(
        weight_pnl=30,
        weight_drawdown=20,
        weight_age=10,
        weight_margin=20,
        weight_volatility=20,
        threshold=25,
        emergency_close=False,
        check_bars=3,
    )
    assert plan.orders == OrderKeeping(
        query_retries=2,
        query_backoff_us=500_000,
        poll_open_orders_us=4 * SECOND,
        orders_max=900,
        positions_tracked_max=90,
        terminal_orders_kept_us=120 * MINUTE,
        terminal_orders_sweep_us=30 * SECOND,
        closed_positions_kept_us=MINUTE,
    )
    assert plan.shutdown == ShutdownSettings(
        expected_us=4 * SECOND, ceiling_us=30 * SECOND, on_stop="flatten"
    )
    assert plan.defaults == SignalDefaults(cooldown_us=2 * MINUTE, kelly_cap=Decimal("0.07"))


def test_instruments_take_their_kind_from_the_name_and_fees_from_the_venue_or_their_own(bot: Path) -> None:
    plan = load_plan(bot)

    assert plan.instruments == (
        Instrument(
            id=InstrumentId("BTC/USDT:USDT"),
            kind=InstrumentKind.PERPETUAL,
            base="BTC",
            quote="USDT",
            tick_size=Decimal("0.5"),
            lot_size=Decimal("0.01"),
            min_notional=Decimal(10),
            taker_fee=Decimal("0.0006"),
            maker_fee=Decimal("0.0001"),
            leverage=Decimal(2),
        ),
        Instrument(
            id=InstrumentId("ETH/USDT"),
            kind=InstrumentKind.SPOT,
            base="ETH",
            quote="USDT",
            tick_size=Decimal("0.05"),
            lot_size=Decimal("0.1"),
            min_notional=Decimal(6),
            taker_fee=Decimal("0.002"),
            maker_fee=Decimal("0.001"),
        ),
        Instrument(
            id=InstrumentId("NXS/BTC"),
            kind=InstrumentKind.SPOT,
            base="NXS",
            quote="BTC",
            tick_size=Decimal("0.00000001"),
            lot_size=Decimal("0.01"),
            min_notional=Decimal("0.0002"),
            taker_fee=Decimal("0.0012"),
            maker_fee=Decimal("0.0008"),
        ),
    )
    assert plan.instrument("ETH/USDT") is plan.instruments[1]
    with pytest.raises(KeyError):
        plan.instrument("XRP/USDT")


def test_strategies_come_by_id_with_universes_and_defaults_resolved(bot: Path) -> None:
    plan = load_plan(bot)
    fade, rider = plan.strategies

    assert (fade.id, rider.id) == ("fade", "rider")
    assert plan.instruments_of("fade") == fade.instruments == ("BTC/USDT:USDT", "ETH/USDT")
    assert plan.instruments_of("rider") == ("NXS/BTC",)
    with pytest.raises(KeyError):
        plan.instruments_of("pump")
    # fade leaves these to risk.yaml and its own lifecycle; rider says them itself
    assert fade.signal.cooldown_us == 2 * MINUTE
    assert rider.signal.cooldown_us == 30 * MINUTE
    assert fade.entry.size.cap == Decimal("0.07")
    assert rider.entry.size.cap is None
    assert fade.protect.holding_max_us == 45 * MINUTE
    assert rider.protect.holding_max_us == 5 * MINUTE
    assert fade.limits == (("position_max", Decimal("0.03")), ("positions_max", Decimal(2)))
    assert fade.lifecycle == (("holding_max", 45 * MINUTE),)


def test_holding_max_of_lifecycle_holds_only_with_automatic_timeout(bot: Path) -> None:
    fade, lifecycle = bot / "strategies/fade.yaml", bot / "configs/lifecycle.yaml"
    fade.write_text(fade.read_text().replace("lifecycle:\n  holding_max: 45m\n", ""))
    assert load_plan(bot).strategies[0].protect.holding_max_us == 120 * MINUTE

    lifecycle.write_text(lifecycle.read_text().replace("automatic_timeout: true", "automatic_timeout: false"))
    assert load_plan(bot).strategies[0].protect.holding_max_us is None


def test_hash_covers_names_and_bytes_of_every_file(bot: Path) -> None:
    plan = load_plan(bot)
    names = [
        "config.yaml",
        "configs/execution.yaml",
        "configs/lifecycle.yaml",
        "configs/risk.yaml",
        "configs/shutdown.yaml",
        "strategies/fade.yaml",
        "strategies/rider.yaml",
    ]
    expected = hashlib.sha256()
    for name in names:
        for part in (name.encode(), (bot / name).read_bytes()):
            expected.update(len(part).to_bytes(8, "big") + part)

    assert sorted(plan.files) == names
    assert plan.config_hash == expected.hexdigest()

    rider = bot / "strategies/rider.yaml"
    rider.write_text(f"{rider.read_text()}# a comment\n")
    assert load_plan(bot).config_hash != plan.config_hash


def test_hash_does_not_depend_on_the_order_and_tells_names_from_texts() -> None:
    assert hash_files({"a": "1", "b": "2"}) == hash_files({"b": "2", "a": "1"})
    assert hash_files({"a": "bc"}) != hash_files({"ab": "c"})


def test_plan_can_be_sent_to_another_process(bot: Path) -> None:
    plan = load_plan(bot)
    assert pickle.loads(pickle.dumps(plan)).strategies == plan.strategies


def test_shipped_files_load_without_a_remark_and_carry_the_defaults() -> None:
    plan, diagnostics = check(ROOT)

    assert [d.render() for d in diagnostics] == []
    assert plan is not None
    defaults = default_settings()
    assert replace(plan.settings, revision=None) == defaults
    assert {s.id for s in plan.strategies} >= {"pump_rider", "sma_cross", "mean_reversion", "breakout"}
    assert len(plan.instruments) >= 4
    assert plan.budget == (Decimal(1000), "USD")
    shell = ("feed", "record", "logging", "margin", "breaker", "lifecycle", "health", "orders", "shutdown")
    by_name = {field.name: field.default for field in fields(Plan)}
    for name in (*shell, "defaults"):
        assert getattr(plan, name) == by_name[name], name


def test_several_broken_files_are_all_reported(bot: Path) -> None:
    (bot / "config.yaml").write_text((bot / "config.yaml").read_text().replace("record: false", "record: 0"))
    (bot / "configs/risk.yaml").write_text("limits: {}\n")
    (bot / "configs/shutdown.yaml").unlink()
    (bot / "strategies/rider.yaml").write_text("strategy: rider\n")
    (bot / "strategies/broken.yaml").write_text("strategy: [\n")

    with pytest.raises(ConfigInvalid) as raised:
        load_plan(Path())

    files = {d.file for d in raised.value.diagnostics}
    assert files == {"config.yaml", "configs/risk.yaml", "strategies/rider.yaml", "strategies/broken.yaml"}
    assert "configs/shutdown.yaml: no such file" in str(raised.value)


def test_underscored_names_are_understood_with_a_hint(bot: Path) -> None:
    rider = bot / "strategies/rider.yaml"
    rider.write_text(rider.read_text().replace("NXS/BTC", "NXS_BTC"))

    plan, diagnostics = check(bot)

    assert plan is not None
    assert plan.instruments_of("rider") == ("NXS/BTC",)
    assert [(d.severity, d.line, d.message) for d in diagnostics if d.file.endswith("rider.yaml")] == [
        (Severity.HINT, 2, "'NXS_BTC' is understood as NXS/BTC; write it so")
    ]


def test_underscored_name_of_a_perpetual_is_understood_when_there_is_no_spot(bot: Path) -> None:
    fade = bot / "strategies/fade.yaml"
    fade.write_text(fade.read_text().replace("instruments: usdt", "instruments: [BTC_USDT]"))
    assert load_plan(bot).instruments_of("fade") == ("BTC/USDT:USDT",)


def test_strategy_file_with_another_ending_is_not_read_and_says_so(bot: Path) -> None:
    (bot / "strategies/rider.yaml").rename(bot / "strategies/rider.yml")
    plan, diagnostics = check(Path())
    assert plan is not None
    assert [s.id for s in plan.strategies] == ["fade"]
    assert [(d.file, d.severity) for d in diagnostics if d.line == 0] == [
        ("strategies/rider.yml", Severity.WARNING)
    ]


def test_strategies_alone_take_the_settings_above_them_and_leave_instruments_open(bot: Path) -> None:
    rider = bot / "strategies/rider.yaml"
    rider.write_text(rider.read_text().replace("NXS/BTC", "PPT/BTC"))  # listed nowhere

    plan = load_strategies([Path("strategies/rider.yaml")])

    assert [s.id for s in plan.strategies] == ["rider"]
    assert plan.settings.limits.positions_max == 6
    assert plan.strategies[0].instruments == ("PPT/BTC",)


def test_strategies_without_a_config_take_the_shipped_values(
    bot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    (bot / "strategies/rider.yaml").rename(alone / "rider.yaml")
    monkeypatch.chdir(alone)

    plan = load_strategies([Path("rider.yaml")])

    assert replace(plan.settings, revision=None) == default_settings()
    assert (plan.mode, plan.account) == ("paper", "paper")
    assert plan.strategies[0].protect.holding_max_us == 5 * MINUTE
    assert plan.files == {"rider.yaml": (alone / "rider.yaml").read_text()}


def test_strategies_take_a_config_by_name(bot: Path) -> None:
    assert load_strategies([Path("strategies")], config=bot).settings.limits.positions_max == 6
    with pytest.raises(InputInvalid, match=r"nowhere\.yaml: no such file"):
        load_strategies([Path("strategies")], config=Path("nowhere.yaml"))


def test_config_is_found_beside_above_or_in_the_working_folder(bot: Path, tmp_path: Path) -> None:
    assert find_config(bot) == bot / "config.yaml"
    assert find_config(bot / "strategies") == bot / "config.yaml"
    assert find_config(bot / "strategies" / "fade.yaml") == bot / "config.yaml"
    assert find_config(tmp_path / "elsewhere" / "deep" / "x.yaml") == Path("config.yaml")


def perpetual(quote: str = "USDT") -> Instrument:
    return build_instrument(
        parse_symbol(f"XRP/{quote}:{quote}"), tick=Decimal("0.01"), lot=Decimal(1), paper=PaperSettings()
    )


def test_data_replaces_the_instruments_of_every_strategy(bot: Path) -> None:
    plan = load_strategies([Path("strategies/fade.yaml")])
    xrp = perpetual()

    replaced = on_instruments(plan, [xrp])

    assert replaced.instruments == (xrp,)
    assert replaced.instruments_of("fade") == ("XRP/USDT:USDT",)
    assert replaced.config_hash == plan.config_hash


def test_data_in_another_currency_than_the_size_is_refused(bot: Path) -> None:
    plan = load_strategies([Path("strategies/rider.yaml")])
    with pytest.raises(ConfigInvalid) as raised:
        on_instruments(plan, [perpetual("USDT"), perpetual("EUR")])
    assert [(d.line, d.message) for d in raised.value.diagnostics] == [
        (
            7,
            "the size is in BTC, but XRP/USDT:USDT is quoted in USDT; write it in USDT (or XRP)",
        ),
        (7, "the size is in BTC, but XRP/EUR:EUR is quoted in EUR; write it in EUR (or XRP)"),
        (
            2,
            "the account has no EUR, in which XRP/EUR:EUR is quoted; "
            "add EUR to account.equity in config.yaml",
        ),
    ]


def test_strategies_that_cannot_trade_the_data_are_left_out_with_a_warning(bot: Path) -> None:
    plan = load_plan(bot)

    fitted = fit_to_data(plan, [perpetual()], bar_length_us=None)

    assert [s.id for s in fitted.strategies] == ["fade"]
    assert fitted.instruments_of("fade") == ("XRP/USDT:USDT",)
    left_out = [d for d in fitted.warnings if " is left out on these data: " in d.message]
    assert [(d.severity, d.line, d.excerpt) for d in left_out] == [(Severity.WARNING, 7, "")]


def test_data_that_no_strategy_can_trade_are_refused(bot: Path) -> None:
    with pytest.raises(ConfigInvalid) as raised:
        fit_to_data(load_plan(bot), [perpetual()], bar_length_us=60_000_000)
    assert any("'change', which needs" in d.message for d in raised.value.diagnostics)
