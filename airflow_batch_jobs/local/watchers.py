"""Waiting for something to happen to a job."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.jobs import Job


class Watchers:
    """Futures that wait for a job's status or for a line of its log."""

    def __init__(self) -> None:
        self._on_change: dict[str, list[tuple[Callable[[Job], bool], asyncio.Future[None]]]] = defaultdict(list)
        self._on_line: dict[str, list[tuple[str, asyncio.Future[None]]]] = defaultdict(list)

    def job_changed(self, job: Job) -> None:
        """Wake the waits for what a job has become."""
        if job.id in self._on_change:
            for is_met, future in self._on_change.pop(job.id):
                if future.done():
                    continue
                if is_met(job):
                    future.set_result(None)
                else:
                    self._on_change[job.id].append((is_met, future))

    def line_written(self, job: Job, line: str) -> None:
        """Wake the waits for a line that a job has written."""
        for text, future in self._on_line.get(job.id, ()):
            if text in line and not future.done():
                future.set_result(None)

    async def wait_for_change(self, job: Job, is_met: Callable[[Job], bool], seconds: float) -> None:
        """Wait until a job meets a condition.

        Raises:
            TimeoutError: It did not within this many seconds of real time.
        """
        if is_met(job):
            return
        future = asyncio.get_running_loop().create_future()
        self._on_change[job.id].append((is_met, future))
        async with asyncio.timeout(seconds):
            await future

    async def wait_for_line(self, job: Job, text: str, seconds: float) -> None:
        """Wait for a line of a job's log that contains a text; what was written before does not count.

        Raises:
            TimeoutError: None came within this many seconds of real time.
        """
        future = asyncio.get_running_loop().create_future()
        waiting = (text, future)
        self._on_line[job.id].append(waiting)
        try:
            async with asyncio.timeout(seconds):
                await future
        finally:
            self._on_line[job.id].remove(waiting)
            if not self._on_line[job.id]:
                del self._on_line[job.id]
