"""The schedule: cron jobs in UTC that only say that they are due; whoever owns the state does the work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final, Protocol

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, EVENT_JOB_SUBMITTED
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from botd.errors import InputInvalid

QUEUE_MAX: Final = 64
GRACE_S: Final = 3600  # a job missed by up to this much (a suspended machine) still comes due, once

_TROUBLE: Final = {
    EVENT_JOB_ERROR: "failed",
    EVENT_JOB_MISSED: f"was missed by more than {GRACE_S} s",
    EVENT_JOB_MAX_INSTANCES: "came due while it was still running",
}

Alert = Callable[[str, str], None]  # (job name, message)


class JobSpec(Protocol):
    """A job as the plan names it."""

    @property
    def name(self) -> str: ...

    @property
    def cron(self) -> str:
        """Five crontab fields in UTC, weekdays by name."""
        ...


@dataclass(frozen=True, slots=True)
class JobDue:
    """A job of the schedule has come due."""

    name: str
    ts_us: int  # the moment it was scheduled for, microseconds UTC


def build_schedule(jobs: Iterable[JobSpec], alert: Alert, *, queue_max: int = QUEUE_MAX) -> Schedule:
    """Make the schedule of a plan. Raises InputInvalid for a job that no calendar has."""
    return Schedule(_triggers(jobs), alert, queue_max=queue_max)


def _triggers(jobs: Iterable[JobSpec]) -> dict[str, BaseTrigger]:
    return {job.name: read_trigger(job) for job in jobs}


def read_trigger(job: JobSpec) -> BaseTrigger:
    """Return when a job comes due. Raises InputInvalid.

    Days of the week must be names: the scheduler's crontab counts from Monday = 0, cron from Sunday.
    """
    fields = job.cron.split()
    if len(fields) == 5 and any(letter.isdigit() for letter in fields[4]):
        raise InputInvalid(f"schedule {job.name}: weekday '{fields[4]}' must be a name, such as mon-fri")
    try:
        return CronTrigger.from_crontab(job.cron, timezone=UTC)
    except ValueError as error:
        raise InputInvalid(f"schedule {job.name}: '{job.cron}' is not a crontab line ({error})") from error


class Schedule:
    """Put a JobDue into `due` whenever a job comes due. A full queue drops it and tells `alert`."""

    def __init__(self, triggers: dict[str, BaseTrigger], alert: Alert, *, queue_max: int = QUEUE_MAX) -> None:
        self.due: asyncio.Queue[JobDue] = asyncio.Queue(queue_max)
        self._triggers = triggers
        self._alert = alert
        self._scheduled_us: dict[str, int] = {}
        self._scheduler: AsyncIOScheduler | None = None  # while it keeps time

    async def run(self) -> None:
        """Keep time until cancelled."""
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # what matters reaches `alert`
        scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "misfire_grace_time": GRACE_S, "max_instances": 1},
        )
        scheduler.add_listener(self._submitted, EVENT_JOB_SUBMITTED)
        scheduler.add_listener(self._troubled, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        for name, trigger in self._triggers.items():
            self._add(scheduler, name, trigger)
        scheduler.start()
        self._scheduler = scheduler
        try:
            await asyncio.Event().wait()
        finally:
            self._scheduler = None
            scheduler.shutdown(wait=False)
            await asyncio.sleep(0)  # it stops at the loop's next turn only

    def go_by(self, jobs: Iterable[JobSpec]) -> None:
        """Keep the times of other jobs from here on; one that stays as it is misses none."""
        before, self._triggers = self._triggers, _triggers(jobs)
        if self._scheduler is None:
            return
        for name in before.keys() - self._triggers.keys():
            self._scheduler.remove_job(name)
        for name, trigger in self._triggers.items():
            if str(before.get(name)) != str(trigger):
                self._add(self._scheduler, name, trigger)

    def _add(self, scheduler: AsyncIOScheduler, name: str, trigger: BaseTrigger) -> None:
        scheduler.add_job(self._enqueue, trigger, args=(name,), id=name, name=name, replace_existing=True)

    def _submitted(self, event: Any) -> None:
        """Remember the moment a job was scheduled for; called before the job itself runs."""
        self._scheduled_us[event.job_id] = round(event.scheduled_run_times[-1].timestamp() * 1_000_000)

    async def _enqueue(self, name: str) -> None:  # a coroutine: plain functions run in threads
        try:
            self.due.put_nowait(JobDue(name, self._scheduled_us[name]))
        except asyncio.QueueFull:
            self._alert(name, f"job {name} came due and {self.due.maxsize} others still wait: it is dropped")

    def _troubled(self, event: Any) -> None:
        self._alert(event.job_id, f"job {event.job_id} {_TROUBLE[event.code]}")
