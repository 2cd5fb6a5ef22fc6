"""What restrains trading outlives the session it began in: killed, handed over, a day away."""

from __future__ import annotations

from botd.core.restraint import Cause, TradingCommand, TradingState, Verb
from botd.sessions import DAY_US, Session
from botd.store.queries import StateReader
from tests.session_scene import HOLDER, MINUTE_US, Bench, recover

HALT = TradingCommand(verb=Verb.HALT, cause=Cause.FILE, who="ann", reason="odd prices")


def standing(bench: Bench, session: Session) -> list[tuple[str, str, str]]:
    """Return what restrains a session, by its books."""
    with StateReader(bench.folder / "state" / "botd.sqlite3") as reader:
        return [(one.state, one.cause, one.who) for one in reader.restraints(session.id)]


def test_S8_halt_survives_a_kill(bench: Bench) -> None:  # noqa: N802 - the invariant's id
    session, journal = bench.open()
    bench.brake.ask(HALT)
    bench.trade(session, journal, 5)
    again, journal = bench.open()
    recover(bench, again)
    assert again.loop.bot.desk.restraints == session.loop.bot.desk.restraints
    assert standing(bench, again) == [("halted", "file", "ann")]
    bench.trade(again, journal, 5)
    entered = [
        r
        for r in again.loop.bot.desk.orders.all()
        if not r.command.reduce_only and r.command.ts_us > session.loop.ts_us
    ]
    assert entered == []


def test_S8_halt_goes_over_to_the_session_of_changed_files(bench: Bench) -> None:  # noqa: N802 - the id
    session, journal = bench.open()
    bench.trade(session, journal, 1)
    bench.brake.ask(HALT)  # while no daemon runs: the old session or the new one obeys
    bench.write(HOLDER.replace("held > 1h", "held > 2h"))
    bench.judge_otherwise()
    heir, journal = bench.open()
    assert heir.id != session.id
    bench.trade(heir, journal, 1)
    assert heir.loop.bot.desk.trading_state is TradingState.HALTED
    assert standing(bench, heir) == [("halted", "file", "ann")]


def test_S8_halt_survives_a_day_away(bench: Bench) -> None:  # noqa: N802 - the invariant's id
    session, journal = bench.open()
    bench.brake.ask(HALT)
    bench.trade(session, journal, 5)
    bench.clock.at_us += DAY_US + MINUTE_US
    fresh, journal = bench.open()
    assert fresh.id != session.id
    assert fresh.loop.bot.desk.trading_state is TradingState.HALTED
    assert standing(bench, fresh) == [("halted", "file", "ann")]
    bench.die(fresh, journal)
