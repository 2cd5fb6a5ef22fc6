"""The HTTP API of a daemon: its plan, its brake and its control files, put behind a server."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from botd import __version__
from botd.api.facts import Account, ConfigFacts, Durations, Mark, Snapshot
from botd.api.keeper import ApiProcess
from botd.api.link import Answer, Asked, Begin, News, ReloadNews
from botd.api.listening import listen
from botd.api.settings import ApiSettings
from botd.api.tokens import find_tokens
from botd.config.plan import ApiAddress, Plan
from botd.core.bot import Bot
from botd.core.records import Record
from botd.core.reload import ReloadOutcome
from botd.core.restraint import ACCOUNT, Cause, TradingCommand, Verb
from botd.core.updates import TradingStateRecord
from botd.errors import InputInvalid
from botd.reception import ApiNeeds
from botd.runtime.brake import Brake
from botd.runtime.control import ControlFiles
from botd.runtime.view import View, look

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0  # how often positions are valued for whoever may ask
ANSWERS_NAME: Final = "api-answers.jsonl"
ADDRESS_NAME: Final = "api-address"
_SWITCHES: Final = {"true": True, "false": False}


def settings_of(address: ApiAddress, environment: Mapping[str, str]) -> ApiSettings | None:
    """Return where to listen, None for nowhere: `api:` of config.yaml, BOTD_API_<KEY> in its place.

    Raises InputInvalid for what is no value, and for an address that would be open to too many.
    """

    def text(key: str) -> str | None:
        return environment.get(f"BOTD_API_{key}")

    def switch(key: str, otherwise: bool) -> bool:
        given = text(key)
        if given is not None and given not in _SWITCHES:
            raise InputInvalid(f"BOTD_API_{key} must be true or false, not {given!r}")
        return otherwise if given is None else _SWITCHES[given]

    port = text("PORT")
    if port is not None and not (port.isdecimal() and int(port) <= 65_535):
        raise InputInvalid(f"BOTD_API_PORT must be a port such as 8080, not {port!r}")
    hosts = text("HOSTS")
    if not switch("ENABLED", address.enabled):
        return None
    return ApiSettings(
        host=text("HOST") or address.host,
        port=address.port if port is None else int(port),
        expose=switch("EXPOSE", address.expose),
        behind_proxy=switch("BEHIND_PROXY", address.behind_proxy),
        read_open=address.read_open,
        hosts=address.hosts if hosts is None else tuple(hosts.replace(",", " ").split()),
        origins=address.origins,
    )


class DaemonControls:
    """What people ask through the API, as `botd halt` and `botd resume` ask it."""

    def __init__(self, brake: Brake, files: ControlFiles) -> None:
        self._brake = brake
        self._files = files

    def halt(self, who: str, reason: str, then: Callable[[], None]) -> None:
        """Take no new entries: at once, and from the file HALT at every start until it is resumed."""
        command = TradingCommand(verb=Verb.HALT, cause=Cause.COMMAND, who=who, reason=reason)
        log.critical("halt asked for: no new entry is sent", extra={"who": who, "reason": reason})
        self._brake.ask(command)
        try:
            self._files.ask_halt(Cause.COMMAND, who, reason)
        except InputInvalid as error:
            log.error("the halt is in force and may not survive a restart", extra={"error": str(error)})
        # once more: a resume that was asked for earlier may have been heard in between
        self._brake.ask(command, then=then)

    def resume(self, who: str, reason: str, then: Callable[[], None]) -> None:
        """Lift every halt; one that the process does not live to obey stands at the next start."""
        log.warning("resume asked for", extra={"who": who, "reason": reason})
        self._files.drop_halt()
        command = TradingCommand(verb=Verb.RESUME, cause=Cause.COMMAND, who=who, reason=reason)
        self._brake.ask(command, then=then)

    def ask(self, command: TradingCommand, then: Callable[[], None]) -> None:
        self._brake.ask(command, then=then)


class DaemonApi:
    """The API of one daemon. The address is taken when it is made, so that a start fails early."""

    def __init__(self, settings: ApiSettings, needs: ApiNeeds, environment: Mapping[str, str]) -> None:
        """Raise InputInvalid where the address or a token cannot be had."""
        plan = needs.plan()
        self._needs = needs
        self._settings = settings
        self._state_path = plan.state_path
        self._mode = plan.mode
        self._tokens = find_tokens(plan.state_path.parent, environment, makes=settings.is_local)
        self._clock = needs.clock
        self._controls = DaemonControls(needs.brake, needs.files)
        self._started_us = needs.clock.now_us()
        self._looked_s = -LOOK_EVERY_S
        self._session_id = ""
        self._trades = self._books = False
        self._row_us = self._row_at_us = 0
        self._trading_state = "active"
        self._snapshot: Snapshot | None = None
        self._commits = Durations()
        self._told: tuple[str, int] | None = None  # of the plan that its process has been told of
        listening = _listen(settings)
        host, port = listening.getsockname()[:2]
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self.process = ApiProcess(
            listening,
            environment,
            begin=self._begin,
            news=self._news,
            heard=self._heard,
            monotonic=needs.clock.monotonic,
        )

    def __enter__(self) -> Self:
        _write_address(self._state_path.parent / ADDRESS_NAME, self.address)
        log.info("the API listens", extra={"address": self.address})
        self.process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._trades = False
        self.process.stop()

    # ---- told by the trading thread ---------------------------------------------------------------

    def books(self, *, open: bool) -> None:
        self._books = open
        if not open:
            self.process.shut()

    def begin(self, session_id: str) -> None:
        self._session_id = session_id

    def trades(self, on: bool) -> None:
        self._trades = on

    def heard(self, records: Sequence[Record]) -> None:
        for one in records:
            if isinstance(one, TradingStateRecord) and one.scope == ACCOUNT:
                self._trading_state = one.state
        self.process.publish(records)

    def observe(self, bot: Bot, ts_us: int) -> None:
        self._row_us = ts_us
        self._row_at_us = self._clock.now_us()
        now_s = self._clock.monotonic()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            self._snapshot = snapshot_of(look(bot, ts_us))
            self._trading_state = self._snapshot.trading_state

    def committed(self, seconds: float) -> None:
        self._commits.add(seconds)

    # ---- what its process is told -----------------------------------------------------------------

    def _begin(self, news: News) -> Begin:
        return Begin(
            settings=self._settings,
            state_path=self._state_path,
            answers_path=self._state_path.parent / ANSWERS_NAME,
            tokens=self._tokens,
            mode=self._mode,
            version=__version__,
            started_us=self._started_us,
            pid=os.getpid(),
            news=news,
        )

    def _news(self, groups: Sequence[Sequence[Record]], whole: bool) -> News:
        plan, desk = self._needs.plan(), self._needs.reload()
        swapped_us = desk.swapped_us() if desk is not None else None
        applied_us = self._started_us if swapped_us is None else swapped_us
        told = (plan.config_hash, applied_us)
        config = _config(plan, applied_us) if whole or told != self._told else None
        self._told = told
        return News(
            session_id=self._session_id,
            trades=self._trades,
            books=self._books,
            trading_state=self._trading_state,
            row_us=self._row_us,
            row_at_us=self._row_at_us,
            lag_s=self._needs.lag_s(),
            open_files=_open_files(),
            snapshot=self._snapshot,
            commits=self._commits.copy(),
            config=config,
            reloads=None if desk is None else ReloadNews(last=desk.last(), swapped_us=swapped_us),
            groups=groups,
        )

    # ---- what people ask of it --------------------------------------------------------------------

    def _heard(self, asked: Asked) -> None:
        def then() -> None:
            self.process.answer(Answer(number=asked.number))

        if asked.what == "reload":
            self._reload(asked)
        elif asked.what == "halt":
            self._controls.halt(asked.who, asked.reason, then)
        elif asked.what == "resume":
            self._controls.resume(asked.who, asked.reason, then)
        else:
            self._controls.ask(asked.command(), then)

    def _reload(self, asked: Asked) -> None:
        def over(found: Future[ReloadOutcome]) -> None:
            if found.cancelled():
                answer = Answer(number=asked.number)
            elif (error := found.exception()) is not None:
                answer = Answer(number=asked.number, broke=f"the reload broke: {error}")
            else:
                answer = Answer(number=asked.number, outcome=found.result())
            self.process.answer(answer)

        desk = self._needs.reload()
        if desk is None:  # it stops
            self.process.answer(Answer(number=asked.number))
        else:
            desk.request(asked.who).add_done_callback(over)


def _config(plan: Plan, applied_us: int) -> ConfigFacts:
    return ConfigFacts(
        config_hash=plan.config_hash,
        applied_us=applied_us,
        files=plan.files,
        warning_us=plan.lifecycle.warning_us,
        automatic_timeout=plan.lifecycle.automatic_timeout,
        holding_max_us={one.id: one.protect.holding_max_us for one in plan.strategies},
        positions_tracked_max=plan.orders.positions_tracked_max,
    )


def _open_files() -> int | None:
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return None


def snapshot_of(view: View) -> Snapshot:
    """Return what the API says of a bot at one moment."""
    exposure: dict[str, Decimal] = {}
    marks: dict[tuple[str, str], Mark] = {}
    for one in view.positions:
        marks[one.strategy, one.instrument.id] = Mark(price=one.mark, unrealized_pnl=one.unrealized)
        if one.mark is not None:
            quote = one.instrument.quote
            exposure[quote] = exposure.get(quote, Decimal(0)) + abs(one.qty) * one.mark
    return Snapshot(
        trading_state=view.trading,
        rows=view.rows,
        marks=marks,
        accounts=tuple(
            Account(
                currency=one.currency,
                equity=one.equity,
                drawdown=one.drawdown,
                exposure=exposure.get(one.currency, Decimal(0)),
            )
            for one in view.accounts
        ),
    )


def _listen(settings: ApiSettings) -> socket.socket:
    where = f"{settings.host} port {settings.port}"
    try:
        return listen(settings.host, settings.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputInvalid(
                f"the API cannot listen on {where}: something else does, perhaps another botd; stop it, or "
                "set api.port in config.yaml to another"
            ) from error
        raise InputInvalid(
            f"the API cannot listen on {where}: {error.strerror}; set api.host and api.port in config.yaml"
        ) from error


def _write_address(path: Path, address: str) -> None:
    """Leave where the API is for the dashboard and for scripts."""
    try:
        path.write_text(f"{address}\n", encoding="utf-8")
    except OSError as error:
        log.warning("the API's address is not in the state folder", extra={"reason": error.strerror})
