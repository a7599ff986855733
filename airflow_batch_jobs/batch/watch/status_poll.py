"""StatusPoll: asks DescribeJobs on behalf of all followers, a hundred jobs per call.

Whatever goes wrong for one job, in its entry of an answer or where the answer is taken, ends at most the wait for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

from airflow_batch_jobs.batch.aws import Trouble, trouble
from airflow_batch_jobs.batch.aws.clock import SystemClock
from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.operations import job_id_of
from airflow_batch_jobs.batch.watch.alarm import Alarm
from airflow_batch_jobs.batch.watch.ask_queue import MOST_IDS, AskQueue
from airflow_batch_jobs.batch.watch.aws_time import AwsTime
from airflow_batch_jobs.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_batch_jobs.batch.aws import Service
    from airflow_batch_jobs.batch.watch.ask_queue import Asker, Question
    from airflow_batch_jobs.batch.watch.paced_calls import Channel


class PartLister(Protocol):
    """What wants to know which children of an array failed."""

    def listed(self, job_ids: Sequence[str]) -> None:
        """Take the ids of the failed children, at most the first hundred; none if AWS does not tell."""

    def fail(self, error: Exception) -> None:
        """Take note that there will be no list, because of this error."""


class StatusPoll:
    """Asks AWS about jobs when they are due.

    Args:
        channel: How to reach AWS Batch.
        time: Learns the time at AWS from the answers.
    """

    def __init__(self, channel: Channel, time: AwsTime) -> None:
        self._channel = channel
        self._queue = AskQueue()
        self._descriptions = Descriptions(time)
        self._refused: deque[list[Question]] = deque()
        self._listings: deque[tuple[str, PartLister]] = deque()
        self._alarm = Alarm()

    def ask(self, job_id: str, asker: Asker, due: float, *, is_part: bool = False) -> None:
        """Ask about a job, once, at `due` (in the loop's seconds) or earlier; the answer goes to the asker."""
        self._queue.ask(job_id, (asker,), due, is_part=is_part)
        self._alarm.ring()

    def forget(self, asker: Asker, job_ids: Iterable[str]) -> None:
        """Stop asking on behalf of an asker; it may still get the answers to calls in flight."""
        self._queue.forget(asker, job_ids)

    def list_failed(self, array_id: str, lister: PartLister) -> None:
        """Find out which children of an array failed."""
        self._listings.append((array_id, lister))
        self._alarm.ring()

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as calls:
            while True:
                delay = max(self._channel.delay(), self._due_in())
                if delay > 0:
                    await self._alarm.wait(delay)
                    continue
                self._channel.spend()
                if self._listings:
                    calls.create_task(self._list(*self._listings.popleft()))
                else:
                    now = asyncio.get_running_loop().time()
                    calls.create_task(self._describe(self._next(now), now))

    def _due_in(self) -> float:
        if self._listings or self._refused:
            return 0.0
        return self._queue.due() - asyncio.get_running_loop().time()

    def _next(self, now: float) -> list[Question]:
        return self._refused.popleft() if self._refused else self._queue.take(now)

    async def _describe(self, questions: list[Question], asked_at: float) -> None:
        job_ids = [question.job_id for question in questions]
        try:
            details = await self._channel.ask(partial(self._descriptions.ask, job_ids=job_ids))
        except Exception as error:  # noqa: BLE001 - it may have to do with one of the jobs only
            self._failed(questions, error, asked_at)
        else:
            for question in questions:
                for asker in question.askers:
                    _answer(asker, question.job_id, details.get(question.job_id), asked_at)
        finally:
            self._alarm.ring()

    def _failed(self, questions: list[Question], error: Exception, asked_at: float) -> None:
        kind = trouble(error) if isinstance(error, AwsError) else Trouble.REFUSED
        if kind.retry:
            for question in questions:
                self._queue.ask(question.job_id, question.askers, asked_at, is_part=question.is_part)
        elif kind.give_up:
            _fail([*questions, *self._queue], error)
        elif len(questions) > 1:
            # One id that AWS objects to, or that we stumble over, must not end the rest.
            middle = len(questions) // 2
            self._refused.extend((questions[:middle], questions[middle:]))
        else:
            _fail(questions, error)

    async def _list(self, array_id: str, lister: PartLister) -> None:
        try:
            job_ids = await self._channel.ask(partial(_failed_children, array_id=array_id))
        except AwsError as error:
            if trouble(error).retry:
                self._listings.append((array_id, lister))
            else:
                _list(lister, ())
        except Exception as error:  # noqa: BLE001 - it has to do with this array only
            lister.fail(error)
        else:
            _list(lister, job_ids)
        finally:
            self._alarm.ring()


class Descriptions:
    """Describes jobs, and returns the same `JobDetail` as before while AWS describes a job in the same words.

    A job that waits or runs is described every few seconds in the same words, and reading those took a fifth of a
    watcher's time. Nothing is kept alive here: a detail that nothing else holds any more is read again.

    Args:
        time: Learns the time at AWS from the answers; one that nobody asks if None.
    """

    def __init__(self, time: AwsTime | None = None) -> None:
        self._time = time or AwsTime(SystemClock())
        self._held: WeakValueDictionary[tuple[str, int], JobDetail] = WeakValueDictionary()

    def ask(self, batch: Service, job_ids: Sequence[str]) -> dict[str, JobDetail | BaseException]:
        """Describe up to a hundred jobs in one call, in the calling thread.

        Returns:
            The jobs by id, without those that AWS does not know; in place of one that cannot be read, the error.
        """
        asked_ms = self._time.machine_ms()

        def read(answer: Mapping[str, Any]) -> dict[str, JobDetail | BaseException]:
            self._time.answered(answer, asked_ms)
            region = batch.region_name()
            jobs = [job for job in answer["jobs"] if isinstance(job, dict) and isinstance(job.get("jobId"), str)]
            return {job["jobId"]: self._read(job, region) for job in jobs}

        return batch.call("describe_jobs", read, jobs=list(job_ids))

    def _read(self, job: Mapping[str, Any], region: str) -> JobDetail | BaseException:
        words = job["jobId"], hash(repr(job))
        detail = self._held.get(words)
        if detail is None:
            try:
                detail = self._held[words] = JobDetail.from_response(job, region)
            except BaseException as error:  # noqa: BLE001 - the other ninety-nine can be read
                return error
        return detail


def _answer(asker: Asker, job_id: str, detail: JobDetail | BaseException | None, asked_at: float) -> None:
    if isinstance(detail, BaseException):
        asker.fail(detail)
        return
    try:
        asker.answered(job_id, detail, asked_at)
    except Exception as error:  # noqa: BLE001 - it ends the one that it came from
        asker.fail(error)


def _list(lister: PartLister, job_ids: Sequence[str]) -> None:
    try:
        lister.listed(job_ids)
    except Exception as error:  # noqa: BLE001 - as above
        lister.fail(error)


def _fail(questions: Iterable[Question], error: Exception) -> None:
    for asker in {asker for question in questions for asker in question.askers}:
        # Each copy is raised somewhere else, and grows a traceback there.
        asker.fail(copy(error) if isinstance(error, AwsError) else error)


def _failed_children(batch: Service, array_id: str) -> list[str]:
    return batch.call(
        "list_jobs",
        lambda answer: [job_id_of(job) for job in answer["jobSummaryList"]][:MOST_IDS],
        arrayJobId=array_id,
        jobStatus="FAILED",
        maxResults=MOST_IDS,
    )
