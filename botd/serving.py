"""The HTTP API of a daemon: its plan, its brake and its control files, put behind a server."""

from __future__ import annotations

import errno
import logging
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from botd import __version__
from botd.api.facts import Account, ConfigFacts, Facts, Mark, Snapshot, Wire
from botd.api.library import Library
from botd.api.listening import listen
from botd.api.routes import Context
from botd.api.settings import ApiSettings
from botd.api.tally import Tally
from botd.api.thread import Serve, ServingThread
from botd.api.tokens import find_tokens
from botd.config.plan import ApiAddress
from botd.core.bot import Bot
from botd.core.records import Record
from botd.core.restraint import ACCOUNT, Cause, TradingCommand, Verb
from botd.core.updates import TradingStateRecord
from botd.errors import InputInvalid
from botd.reception import ApiNeeds
from botd.runtime.brake import Brake
from botd.runtime.control import ControlFiles
from botd.runtime.view import View, look

log = logging.getLogger(__name__)

SWITCH_S: Final = 0.00005  # that the API's thread may keep trading waiting; Python's own is 5 ms
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
        folder = plan.state_path.parent
        self._needs = needs
        self._settings = settings
        self._state_path = plan.state_path
        self._tokens = find_tokens(folder, environment, makes=settings.is_local)
        self._clock = needs.clock
        self._started_us = needs.clock.now_us()
        self._looked_s = -LOOK_EVERY_S
        self._facts = Facts(
            mode=plan.mode,
            version=__version__,
            started_us=self._started_us,
            config=self._config,
            lag_s=needs.lag_s,
        )
        self._wire = Wire()
        self._library = Library(plan.state_path, needs.clock)
        self._tally = Tally()
        self._listening = _listen(settings)
        host, port = self._listening.getsockname()[:2]
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self._thread = ServingThread(self._listening, self._make, monotonic=needs.clock.monotonic)

    def __enter__(self) -> Self:
        _write_address(self._state_path.parent / ADDRESS_NAME, self.address)
        log.info("the API listens", extra={"address": self.address})
        sys.setswitchinterval(SWITCH_S)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._facts.trades = False
        self._thread.stop()
        self._library.close()

    # ---- told by the trading thread ---------------------------------------------------------------

    def books(self, *, open: bool) -> None:
        if open:
            self._library.open()
        else:
            self._library.shut()

    def begin(self, session_id: str) -> None:
        self._facts.session_id = session_id

    def trades(self, on: bool) -> None:
        self._facts.trades = on

    def heard(self, records: Sequence[Record]) -> None:
        for one in records:
            if isinstance(one, TradingStateRecord) and one.scope == ACCOUNT:
                self._facts.trading_state = one.state
        self._wire.publish(records)

    def observe(self, bot: Bot, ts_us: int) -> None:
        facts = self._facts
        facts.row_us = ts_us
        facts.row_at_us = self._clock.now_us()
        now_s = self._clock.monotonic()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            facts.snapshot = snapshot_of(look(bot, ts_us))
            facts.trading_state = facts.snapshot.trading_state

    def committed(self, seconds: float) -> None:
        self._facts.commits.add(seconds)

    # ---- the API's thread -------------------------------------------------------------------------

    def _make(self) -> Serve:
        # half a second of imports that a start need not wait for
        from botd.api.answers import Answers
        from botd.api.gate import Gate
        from botd.api.server import Server

        context = Context(
            settings=self._settings,
            clock=self._clock,
            facts=self._facts,
            wire=self._wire,
            tally=self._tally,
            library=self._library,
            controls=DaemonControls(self._needs.brake, self._needs.files),
            reload=self._needs.reload,
        )
        answers = Answers(self._state_path.parent / ANSWERS_NAME, self._clock)
        server = Server(context, Gate(self._settings, self._tokens, self._clock), answers)

        return server.serve

    def _config(self) -> ConfigFacts:
        plan = self._needs.plan()
        desk = self._needs.reload()
        swapped_us = desk.swapped_us() if desk is not None else None
        return ConfigFacts(
            config_hash=plan.config_hash,
            applied_us=self._started_us if swapped_us is None else swapped_us,
            files=plan.files,
            warning_us=plan.lifecycle.warning_us,
            automatic_timeout=plan.lifecycle.automatic_timeout,
            holding_max_us={one.id: one.protect.holding_max_us for one in plan.strategies},
            positions_tracked_max=plan.orders.positions_tracked_max,
        )


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
