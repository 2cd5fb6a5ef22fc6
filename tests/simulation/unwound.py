"""A program that stands inside everything that Python would unwind, and takes note of what does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from botd.failpoints import Point, failpoint


class Unwound:
    """Takes note of everything that a killed process must not run."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    @contextlib.contextmanager
    def plain(self, name: str) -> Iterator[None]:
        try:
            yield
        finally:
            self.ran.append(f"{name}: with")

    @contextlib.asynccontextmanager
    async def waiting(self, name: str) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self.ran.append(f"{name}: async with")

    def numbers(self, name: str) -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            self.ran.append(f"{name}: generator")

    async def ticks(self, name: str) -> AsyncIterator[int]:
        try:
            while True:
                await asyncio.sleep(1)
                yield 1
        finally:
            self.ran.append(f"{name}: asynchronous generator")

    async def stand(self, name: str) -> None:
        """Wait inside everything that Python would unwind."""
        try:
            with self.plain(name):
                async with self.waiting(name), asyncio.timeout(1e6), asyncio.TaskGroup() as group:
                    group.create_task(self._tick(name))
                    for _ in self.numbers(name):
                        await asyncio.sleep(0.7)
                        failpoint(Point.TX_MID)
        except BaseException as error:
            self.ran.append(f"{name}: {type(error).__name__}")
            raise
        finally:
            self.ran.append(f"{name}: finally")

    async def _tick(self, name: str) -> None:
        try:
            async for _ in self.ticks(name):
                await asyncio.to_thread(len, name)
        finally:
            self.ran.append(f"{name}: task")
