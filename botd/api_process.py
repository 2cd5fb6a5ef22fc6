"""The process that the API is served in: `python -m botd.api_process LINK LISTENING`, two descriptors.

It ends with its daemon, however that ends, and leaves signals to it. It holds no key of a venue, and what
it knows it was told or reads from the books: nothing that connects can make trading wait.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection

from botd.api.link import Begin, End
from botd.api.thread import Serve, ServingThread
from botd.processors import leave_one


def main(words: Sequence[str]) -> int:
    """Serve until the daemon says farewell; end at once where it is gone without."""
    for one in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(one, signal.SIG_IGN)
    leave_one()
    link, listening = Connection(int(words[0])), socket.socket(fileno=int(words[1]))
    try:
        begin: Begin = link.recv()
        return serve(begin, link, listening)
    except (EOFError, OSError):  # its address is free at once for the next one
        os._exit(1)


def serve(begin: Begin, link: Connection, listening: socket.socket) -> int:
    """Serve what the daemon says is to be served."""
    from botd.api.answers import Answers
    from botd.api.facts import Wire
    from botd.api.gate import Gate
    from botd.api.library import Library
    from botd.api.remote import Remote, RemoteLog
    from botd.api.routes import Context
    from botd.api.server import Server
    from botd.api.tally import Tally
    from botd.hardening import harden
    from botd.runtime.clock import WallClock

    harden({})
    clock, wire, tally = WallClock(), Wire(), Tally()
    library = Library(begin.state_path, clock)
    remote = Remote(link, begin, library, wire, clock)
    logging.captureWarnings(True)
    logging.basicConfig(handlers=[RemoteLog(remote.say)], level=logging.INFO)
    context = Context(
        settings=begin.settings,
        clock=clock,
        facts=remote.facts,
        wire=wire,
        tally=tally,
        library=library,
        controls=remote,
        reload=remote.reloads,
    )
    answers = Answers(begin.answers_path, clock)

    def make() -> Serve:
        return Server(context, Gate(begin.settings, begin.tokens, clock), answers).serve

    thread = ServingThread(listening, make, monotonic=clock.monotonic)
    thread.start()
    while not isinstance(told := link.recv(), End):
        remote.hear(told)
    thread.stop()
    library.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
