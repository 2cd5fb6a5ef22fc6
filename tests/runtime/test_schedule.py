from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from botd.config.plan import Job
from botd.errors import InputInvalid
from botd.runtime.schedule import GRACE_S, JobDue, Schedule, build_schedule, read_trigger


class Alerts:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.heard = asyncio.Event()

    def __call__(self, name: str, message: str) -> None:
        self.told.append((name, message))
        self.heard.set()


@pytest.fixture
def alerts() -> Alerts:
    return Alerts()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# 2025-11-21 is a Friday. Expected times are read off a calendar.
@pytest.mark.parametrize(
    ("cron", "after", "due"),
    [
        ("0 * * * *", "2025-11-21 14:03:22", "2025-11-21 15:00:00"),
        ("0 0 * * *", "2025-11-21 14:03:22", "2025-11-22 00:00:00"),
        ("5 0 * * *", "2025-11-21 00:05:00", "2025-11-21 00:05:00"),
        ("5 0 * * *", "2025-11-21 00:05:01", "2025-11-22 00:05:00"),
        ("0 0 * * sun", "2025-11-21 14:03:22", "2025-11-23 00:00:00"),
        ("0 9 * * mon-fri", "2025-11-21 14:03:22", "2025-11-24 09:00:00"),
        ("*/15 * * * *", "2025-12-31 23:50:00", "2026-01-01 00:00:00"),
        ("30 1 29 2 *", "2025-11-21 14:03:22", "2028-02-29 01:30:00"),
    ],
)
def test_P3_jobs_come_due_at_utc_calendar_times(  # noqa: N802
    monkeypatch: pytest.MonkeyPatch, cron: str, after: str, due: str
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    assert read_trigger(Job(name="job", cron=cron)).get_next_fire_time(None, at(after)) == at(due)


@pytest.mark.parametrize("cron", ["0 0 * * 0", "0 0 * * 1-5"])
def test_weekdays_by_number_are_refused(cron: str) -> None:
    with pytest.raises(InputInvalid, match=r"schedule report: weekday '.*' must be a name, such as mon-fri"):
        read_trigger(Job(name="report", cron=cron))


@pytest.mark.parametrize("cron", ["", "0 0 * *", "61 * * * *", "soon"])
def test_lines_that_no_crontab_has_are_refused(alerts: Alerts, cron: str) -> None:
    with pytest.raises(InputInvalid, match="schedule report: "):
        build_schedule([Job(name="report", cron=cron)], alerts)


async def test_due_jobs_are_enqueued_in_order_with_the_moment_they_were_scheduled_for(alerts: Alerts) -> None:
    start = datetime.now(UTC) + timedelta(milliseconds=100)
    every = IntervalTrigger(seconds=1, start_date=start, timezone=UTC)
    schedule = Schedule({"once": DateTrigger(start, timezone=UTC), "every": every}, alerts)
    running = asyncio.create_task(schedule.run())
    due = [await asyncio.wait_for(schedule.due.get(), 5.0) for _ in range(3)]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    first_us = round(start.timestamp() * 1e6)
    assert {due[0], due[1]} == {JobDue("once", first_us), JobDue("every", first_us)}
    assert due[2] == JobDue("every", first_us + 1_000_000)
    assert alerts.told == []


async def test_job_missed_while_asleep_comes_due_once_for_its_own_moment(alerts: Alerts) -> None:
    moment = datetime.now(UTC) - timedelta(seconds=GRACE_S - 60)
    schedule = Schedule({"report": DateTrigger(moment, timezone=UTC)}, alerts)
    running = asyncio.create_task(schedule.run())
    due = await asyncio.wait_for(schedule.due.get(), 5.0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert due == JobDue("report", round(moment.timestamp() * 1e6))


async def test_job_missed_for_too_long_is_told_and_not_run(alerts: Alerts) -> None:
    moment = datetime.now(UTC) - timedelta(seconds=GRACE_S + 60)
    schedule = Schedule({"report": DateTrigger(moment, timezone=UTC)}, alerts)
    running = asyncio.create_task(schedule.run())
    await asyncio.wait_for(alerts.heard.wait(), 5.0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert alerts.told == [("report", "job report was missed by more than 3600 s")]
    assert schedule.due.empty()


async def test_full_queue_drops_the_job_and_says_so(alerts: Alerts) -> None:
    now = datetime.now(UTC)
    jobs = {name: DateTrigger(now, timezone=UTC) for name in ("first", "second")}
    schedule = Schedule(jobs, alerts, queue_max=1)
    running = asyncio.create_task(schedule.run())
    await asyncio.wait_for(alerts.heard.wait(), 5.0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    kept = schedule.due.get_nowait().name
    (told,) = alerts.told
    assert {kept, told[0]} == {"first", "second"}
    assert told[1] == f"job {told[0]} came due and 1 others still wait: it is dropped"


async def test_schedule_without_jobs_waits_and_can_run_again(alerts: Alerts) -> None:
    schedule = build_schedule([], alerts)
    for _ in range(2):
        running = asyncio.create_task(schedule.run())
        await asyncio.sleep(0.01)
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert schedule.due.empty()


async def test_other_jobs_are_kept_from_a_reload_on_and_the_rest_left_alone(
    alerts: Alerts,
) -> None:
    stays, goes = Job(name="stays", cron="0 0 1 1 *"), Job(name="goes", cron="0 1 1 1 *")
    schedule = build_schedule([stays, goes], alerts)
    running = asyncio.create_task(schedule.run())
    await asyncio.sleep(0)  # its first turn
    schedule.go_by([stays, Job(name="comes", cron="30 2 1 1 *")])
    scheduler = schedule._scheduler
    assert scheduler is not None
    kept = {job.id: (job.next_run_time.hour, job.next_run_time.minute) for job in scheduler.get_jobs()}
    assert kept == {"stays": (0, 0), "comes": (2, 30)}
    schedule.go_by([replace(stays, cron="0 5 1 1 *")])
    (moved,) = scheduler.get_jobs()
    assert (moved.id, moved.next_run_time.hour) == ("stays", 5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    schedule.go_by([goes])  # for the next time that it runs
    assert list(schedule._triggers) == ["goes"]
