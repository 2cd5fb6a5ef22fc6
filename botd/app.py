"""The composition root: from a plan and a feed to a trading loop, a backtest or a daemon."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from botd.config.loader import on_instruments
from botd.config.plan import Plan
from botd.core.bot import Bot, LaneSpec
from botd.core.instrument import Instrument, InstrumentId
from botd.core.pins import Pin
from botd.core.records import Record
from botd.core.restraint import TradingCommand, quarantine
from botd.core.swap import pinned_specs
from botd.errors import ConfigInvalid, Diagnostic, InputInvalid
from botd.feeds.folder import open_data
from botd.feeds.merged import MergedFeed
from botd.feeds.recorded import RecordedFeed
from botd.feeds.sidecar import SIDECAR_NAME
from botd.language.checks import clauses_unfit_for_bars
from botd.language.typed import Strategy
from botd.ports import Chunk, Clock, Feed
from botd.research.report import DataSpan, Run
from botd.runtime.batch import run_batch
from botd.runtime.gateway import Gateway
from botd.runtime.loop import Group, TradingLoop
from botd.runtime.recovery import Recovery
from botd.venues.book import SqliteVenueBook
from botd.venues.simulated import SimulatedVenue

BLOCK_ROWS = 512


def lane_specs(plan: Plan, instruments: Sequence[Instrument]) -> tuple[list[LaneSpec], list[int]]:
    """Return a lane for each instrument of the plan, and the lane of each of a feed, -1 for none.

    One that no strategy trades has a lane too: a reload may bring one that does. So has one that the feed
    lacks: what is held there stays visible.
    """
    specs: list[LaneSpec] = []
    lanes: dict[InstrumentId, int] = {}
    fed = {instrument.id: instrument for instrument in instruments}
    for listed in plan.instruments:
        lanes[listed.id] = len(specs)
        strategies = tuple(s for s in plan.strategies if listed.id in s.instruments)
        specs.append(LaneSpec(instrument=fed.get(listed.id, listed), strategies=strategies))
    return specs, [lanes.get(instrument.id, -1) for instrument in instruments]


def quarantine_absent(
    plan: Plan,
    instruments: Sequence[Instrument],
    *,
    first: bool,
    ask: Callable[[TradingCommand], None],
    say: Callable[[str], None],
) -> None:
    """Halt what a feed of these instruments lacks: one that is gone keeps no other from being traded.

    Raises ConfigInvalid at a `first` start, where nothing can be held: a name is wrong.
    """
    fed = {str(instrument.id) for instrument in instruments}
    absent = {name for strategy in plan.strategies for name in strategy.instruments} - fed
    if first and absent:
        raise ConfigInvalid(
            [
                Diagnostic(
                    file=one.file,
                    line=0,
                    column=0,
                    message=f"the feed has no {name}; take it out of this strategy's instruments",
                )
                for one in plan.strategies
                for name in one.instruments
                if name in absent
            ]
        )
    for name in sorted(absent):
        ask(quarantine(name, f"{name} is gone from the feed"))
        say(f"{name} is not in the feed any more: it is quarantined, and the others are traded")


def read_pins(
    plan: Plan, pins: Sequence[Pin], read_plan: Callable[[Mapping[str, str]], Plan]
) -> list[Strategy]:
    """Return the pinned texts as strategies of a plan: its limits and defaults are theirs too.

    Raises ConfigInvalid where one of them does not fit the plan any more.
    """
    names = {text: name for name, text in plan.files.items()}
    files = {one.id: names[one.text] for one in plan.strategies}
    folder = PurePosixPath(next(iter(files.values()))).parent
    found = []
    for strategy, text in dict.fromkeys((pin.strategy, pin.text) for pin in pins):
        name = files.get(strategy, f"{folder}/{strategy}.yaml")
        own = read_plan({**plan.files, name: text})
        found.append(next(one for one in own.strategies if one.id == strategy))
    return found


def build_bot(
    plan: Plan,
    feed: Feed,
    *,
    session_id: str,
    pins: Sequence[Pin] = (),
    revisions: Collection[Strategy] = (),
    one_way: bool = False,
    rows: int = BLOCK_ROWS,
) -> Bot:
    """Make a plan's bot for the instruments of a feed."""
    if feed.bar_length_us is not None:
        refuse_on_bars(plan, feed.bar_length_us)
    settings = replace(plan.settings, one_way=one_way or plan.settings.one_way)
    specs = pinned_specs(lane_specs(plan, feed.instruments)[0], pins, revisions)
    bot = Bot(settings, specs, id_prefix=session_id, block_max=rows, bar_length_us=feed.bar_length_us)
    bot.pin(pins)
    return bot


def build_loop(
    plan: Plan,
    feed: Feed,
    *,
    session_id: str,
    book: SqliteVenueBook | None = None,
    gateway: Gateway | None = None,
    recovery: Recovery | None = None,
    block_rows: int = BLOCK_ROWS,
    pins: Sequence[Pin] = (),
    revisions: Collection[Strategy] = (),
) -> TradingLoop:
    """Make the loop of a session: its bot, its venue, and what it has to recover.

    The venue is a simulated one, unless there is a gateway to another. `pins` go on by the `revisions` that
    their texts read as.
    """
    bars_only = feed.bar_length_us is not None
    specs, lane_of = lane_specs(plan, feed.instruments)
    one_way = gateway is not None and gateway.link.rules.one_way
    bot = build_bot(
        plan, feed, session_id=session_id, pins=pins, revisions=revisions, one_way=one_way, rows=block_rows
    )
    if gateway is not None:
        return TradingLoop(bot, gateway, lane_of=lane_of, bar_length_us=feed.bar_length_us, recovery=recovery)
    venue = SimulatedVenue(
        [spec.instrument for spec in specs],
        plan.settings.paper,
        balances=plan.settings.equity,
        bars_only=bars_only,
        book=book,
    )
    if book is not None:
        venue.recall(book.load(recovery.cursor.venue_seq if recovery else 0), expected=recovery is not None)
    return TradingLoop(bot, venue, lane_of=lane_of, bar_length_us=feed.bar_length_us, recovery=recovery)


def refuse_on_bars(plan: Plan, bar_length_us: int) -> None:
    """Raise ConfigInvalid naming every clause that bars of one length cannot answer."""
    found = [fault for one in plan.strategies for fault in clauses_unfit_for_bars(one, bar_length_us)]
    if found:
        raise ConfigInvalid(found)


def open_feeds(
    plan: Plan, data: Path, *, portfolio: bool = False, clock: Clock | None = None, speed: float | None = None
) -> list[RecordedFeed] | list[MergedFeed]:
    """Open a data file, every file of a folder, or with `portfolio` all of them as one feed.

    Raises InputInvalid for data in a currency that the account has nothing of.
    """
    known = {instrument.id: instrument for instrument in plan.instruments}
    feeds = open_data(data, known=known, paper=plan.settings.paper, clock=clock, speed=speed)
    for feed in feeds:
        for instrument in feed.instruments:
            if instrument.quote not in plan.settings.equity:
                raise InputInvalid(
                    f"{feed.path.parent / SIDECAR_NAME}: {feed.path.name} is {instrument.id}, quoted in "
                    f"{instrument.quote}, and the account has none; correct the instrument there, or add "
                    f"{instrument.quote} to account.equity in config.yaml"
                )
    return [MergedFeed(feeds, clock=clock, speed=speed)] if portfolio else feeds


def backtest(
    plan: Plan,
    feed: RecordedFeed | MergedFeed,
    *,
    name: str,
    block_rows: int = BLOCK_ROWS,
    progress: Callable[[int], None] | None = None,
) -> Run:
    """Run the plan's strategies over a feed with a fresh account and return what was recorded."""
    plan = on_instruments(plan, feed.instruments)
    loop = build_loop(plan, feed, session_id="backtest", block_rows=block_rows)
    records: list[Record] = []
    span = DataSpan(feed.instruments)

    def take(group: Group) -> None:
        records.extend(group.records)

    def chunks() -> Iterator[Chunk]:
        for chunk in feed.read(0):
            span.add(chunk)
            yield chunk

    run_batch(loop, chunks(), take, progress=progress)
    loop.bot.close_books(loop.ts_us)
    records.extend(loop.bot.take_records())
    return Run(
        name=name,
        instruments=feed.instruments,
        book=feed.book,
        span=span,
        equity=plan.settings.equity,
        records=records,
    )
