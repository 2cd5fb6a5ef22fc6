"""Signals while no event loop listens."""

from __future__ import annotations

import os
import signal

import pytest

from botd.runtime.shutdown import SIGNALS, StopRequest, note_signals


def raise_signal(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_is_noted_and_breaks_nothing(number: signal.Signals) -> None:
    request = StopRequest()
    before = signal.getsignal(number)
    with note_signals(request):
        raise_signal(number)
        assert (request.requested, request.at_once, request.cause) == (True, False, number.name)
    assert signal.getsignal(number) is before


def test_request_raises_where_it_is_checked() -> None:
    request = StopRequest()
    request.check()
    request.ask("SIGTERM")
    with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
        request.check()


def test_third_signal_finds_the_systems_own_handling() -> None:
    request = StopRequest()
    before = signal.getsignal(signal.SIGTERM)
    with note_signals(request):
        raise_signal(signal.SIGTERM)
        raise_signal(signal.SIGINT)
        assert request.at_once
        assert signal.getsignal(signal.SIGTERM) is signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is before
