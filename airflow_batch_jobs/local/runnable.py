"""The RUNNABLE jobs of each queue, in the order of their submits, and since when each has its place."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.jobs import Job


class RunnableJobs:
    """What GetJobQueueSnapshot shows.

    Args:
        now_ms: Returns the time, in milliseconds since the epoch.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        #: By queue and number, with the time of their entrance.
        self._jobs: dict[str, dict[int, tuple[Job, int]]] = {}
        #: By queue: the numbers of jobs that came or went, and when. Both ascend: a change that a later one ahead of it
        #: has overtaken is gone.
        self._changes: dict[str, list[tuple[int, int]]] = {}

    def enter(self, job: Job) -> None:
        """Add a job, whose number says where."""
        self._jobs.setdefault(job.queue_arn, {})[job.number] = (job, self._now_ms())
        self._note_change(job)

    def leave(self, job: Job) -> None:
        """Take a job out: those behind it move on."""
        del self._jobs[job.queue_arn][job.number]
        self._note_change(job)

    def front(self, queue_arn: str, most: int) -> list[tuple[Job, int]]:
        """Return a queue's first jobs, each with the time at which it came to its place."""
        changes = self._changes.get(queue_arn, [])
        front = []
        for number, (job, entered_at) in heapq.nsmallest(most, self._jobs.get(queue_arn, {}).items()):
            ahead = bisect_left(changes, (number, 0))
            front.append((job, max(entered_at, changes[ahead - 1][1] if ahead else 0)))
        return front

    def _note_change(self, job: Job) -> None:
        changes = self._changes.setdefault(job.queue_arn, [])
        while changes and changes[-1][0] >= job.number:
            changes.pop()
        changes.append((job.number, self._now_ms()))
