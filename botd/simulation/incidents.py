"""What can befall a daemon and the machine it runs on, and how often."""

from __future__ import annotations

from typing import Final

from botd.simulation import disk as disks
from botd.simulation.chance import Site
from botd.simulation.host import DEATH

KILL: Final = Site("life.kill", 0.025)  # this and the next: of each half minute
POWER: Final = Site("life.power", 0.01)
STOP: Final = Site("life.stop", 0.015)
AGAIN: Final = Site("life.stop_again", 0.25)  # of each stop: a second signal while it stops
STOP_DEATH: Final = Site("life.stop_death", 0.3)  # of each stop: it dies at a point of it
CLOCK: Final = Site("clock.step", 0.01)  # of each half minute
SKEW: Final = Site("clock.skew", 0.2)  # of each start
BUSY: Final = Site("machine.busy", 0.1)  # of each start: it takes seconds to read what it has judged before
HALT: Final = Site("person.halt", 0.004)  # of each half minute
LOOK: Final = Site("person.look", 0.15)  # of each half minute: somebody looks at what halted, and resumes
RESOLVE: Final = Site("person.resolve", 0.5)  # of each look: somebody says that an order is over, which it is
EDIT: Final = Site("person.edit", 0.15)  # of each start: the files were changed meanwhile
TURN: Final = Site("person.turn", 0.05)  # of each start: a setting was changed that takes another session
HAND: Final = Site("person.hand", 0.03)  # of each half minute: somebody closes a position or cancels an order
SAVE: Final = Site("person.save", 0.03)  # of each half minute: the files are changed while it runs
SITES: Final = (
    *(
        Site(one.name, one.share / 12) for one in disks.SITES
    ),  # a daemon makes thousands of statements an hour
    Site(DEATH.name, 0.3),
    *(KILL, POWER, STOP, AGAIN, STOP_DEATH, CLOCK, SKEW, BUSY, HALT, LOOK, EDIT, TURN, HAND, SAVE),
)
