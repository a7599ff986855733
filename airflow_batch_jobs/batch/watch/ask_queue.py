"""AskQueue: which jobs DescribeJobs is to be asked about next, and for whom."""

from __future__ import annotations

import heapq
import math
import sys
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Protocol

from airflow_batch_jobs.batch.operations import MOST_DESCRIBED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_batch_jobs.batch.detail import JobDetail

#: Later than anything that is due, and earlier than what never is.
_EVER = sys.float_info.max


class Asker(Protocol):
    """What wants to know about jobs: `FollowedJob`, which cannot be named here, since it imports `StatusPoll`."""

    def answered(self, job_id: str, detail: JobDetail | None, asked_at: float) -> None:
        """Take an answer.

        Args:
            job_id: The job.
            detail: The job; None if AWS did not mention it.
            asked_at: When AWS was asked, in seconds.
        """

    def listed(self, job_ids: Sequence[str]) -> None:
        """Take the ids of an array's failed children, at most the first hundred; none if AWS does not tell."""

    def fail(self, error: BaseException) -> None:
        """Take note that there will be no more answers, because of this error or a bug that raised it."""

    def no_answer(self, problem: str, service: str) -> None:
        """Take note that a service does not answer for the moment, or, with an empty problem, that it does again."""


@dataclass(eq=False, slots=True)
class Question:
    """A job that AWS is to be asked about once.

    Attributes:
        job_id: The job.
        due: When, in seconds.
        is_part: Whether it is a part of a larger job; whole jobs go before parts.
        askers: What wants to know.
    """

    job_id: str
    due: float
    is_part: bool
    askers: set[Asker] = field(default_factory=set)


class AskQueue:
    """The questions to be asked, by the time they are due. Several about one job become one."""

    def __init__(self) -> None:
        self._questions: dict[str, Question] = {}
        self._jobs: list[tuple[float, int, Question]] = []
        self._parts: list[tuple[float, int, Question]] = []
        self._numbers = count()

    def __iter__(self) -> Iterator[Question]:
        return iter(self._questions.values())

    def ask(self, job_id: str, askers: Iterable[Asker], due: float, *, is_part: bool = False) -> None:
        """Ask about a job at a time, in seconds, or earlier if another asker wants that."""
        question = self._questions.get(job_id)
        if question is None:
            question = self._questions[job_id] = Question(job_id, math.inf, is_part)
        question.askers.update(askers)
        if due < question.due:
            question.due = due
            heapq.heappush(self._parts if question.is_part else self._jobs, (due, next(self._numbers), question))

    def forget(self, asker: Asker, job_ids: Iterable[str]) -> None:
        """Stop asking for an asker."""
        for job_id in job_ids:
            if question := self._questions.get(job_id):
                question.askers.discard(asker)
                if not question.askers:
                    del self._questions[job_id]

    def due(self) -> float:
        """Return when the next question is due, in seconds; infinite if there is none."""
        return min(self._next_due(self._jobs), self._next_due(self._parts))

    def take(self, now: float, most: int = MOST_DESCRIBED) -> list[Question]:
        """Take up to a hundred questions: the jobs that are due, then the parts, then what is due next."""
        taken: list[Question] = []
        for heap, until in ((self._jobs, now), (self._parts, now), (self._jobs, _EVER), (self._parts, _EVER)):
            while len(taken) < most and self._next_due(heap) <= until:
                question = heapq.heappop(heap)[2]
                del self._questions[question.job_id]
                taken.append(question)
        return taken

    def _next_due(self, heap: list[tuple[float, int, Question]]) -> float:
        """Return when the first question of a heap is due, after clearing away those that are no longer asked."""
        while heap:
            due, _, question = heap[0]
            if self._questions.get(question.job_id) is question and question.due == due:
                return due
            heapq.heappop(heap)
        return math.inf
