"""Terminations: has AWS terminate the jobs of a watcher, a thousand at once if need be."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from contextvars import Context
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.aws import Trouble, trouble
from airflow_batch_jobs.batch.aws.pacing import Pace
from airflow_batch_jobs.batch.aws.trouble import may_pass
from airflow_batch_jobs.batch.operations import (
    MOST_TOGETHER,
    TERMINATE_SECONDS,
    knows_terminate_jobs,
    terminate_backoff,
    terminate_once,
    terminate_together,
)
from airflow_batch_jobs.errors import AwsError

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.aws import Service
    from airflow_batch_jobs.batch.aws.pacing import Backoff
    from airflow_batch_jobs.batch.watch.aws_calls import AwsCalls

#: What AWS is reported to allow an account, all of its callers together; the pace finds out where it is less.
CALLS_PER_SECOND = 50.0
#: Each call in flight takes a thread, and one of the connections that botocore keeps for a client.
CALLS_AT_ONCE = 10
#: How soon a client is made: after that for the first look at the jobs, and before that for their logs.
_FIRST_SECONDS = 0.1
#: How often it is made sure that there is one.
_PREPARE_SECONDS = 15.0
#: AWS's code for a job that may be tried again with others; what is wrong with any other is told by TerminateJob.
_THROTTLED = "ThrottlingException"


@dataclass(slots=True, eq=False)
class _Termination:
    """One job that is to be terminated.

    Attributes:
        job_id: The job.
        reason: Becomes its statusReason.
        is_urgent: Whether it goes ahead of those that are not.
        give_up_at: When it is tried for the last time, in the loop's seconds.
        done: Its result is what AWS said in the end: None, or why not.
        is_alone: Whether TerminateJobs has not terminated it, so that TerminateJob has to say why.
        backoff: The delays between its tries.
    """

    job_id: str
    reason: str
    is_urgent: bool
    give_up_at: float
    done: asyncio.Future[Exception | None]
    is_alone: bool = False
    backoff: Backoff = field(default_factory=terminate_backoff)


class _Together:
    """Whether the next call may be TerminateJobs.

    After one that failed come a few of TerminateJob, and more after each further one, so that a failure of either
    operation alone keeps no job running. After one that was denied there is no other: AWS asks for no permission of its
    own, but roles and proxies may.

    Attributes:
        is_known: Whether botocore has the operation; not before that was seen.
    """

    _MOST_ALONE = 64

    def __init__(self) -> None:
        self.is_known = False
        self._is_barred = False
        self._failures = 0
        self._alone = 0

    def is_next(self) -> bool:
        """Return whether the next call of more than one job is TerminateJobs; it has to follow."""
        if not self.is_known or self._is_barred:
            return False
        self._alone -= 1
        return self._alone < 0

    def succeeded(self) -> None:
        """Forget the failures."""
        self._failures = self._alone = 0

    def failed(self, error: Exception) -> None:
        """Take note of what was wrong with a call."""
        is_refused = isinstance(error, AwsError) and trouble(error) in {Trouble.DENIED, Trouble.REFUSED}
        self._is_barred = self._is_barred or is_refused
        self._failures += 1
        self._alone = min(2**self._failures, self._MOST_ALONE)


class Terminations:
    """Has AWS terminate jobs, as fast as it allows and in the order in which that was asked for.

    All share one pace and a few threads. Jobs that are terminated for the same reason share a call, unless the role or
    botocore cannot do that. What fails for a reason that may pass is tried again, a little later each time; whatever
    goes wrong for one job keeps no other waiting.

    A termination that was asked for goes on although nobody waits for it any more.

    Args:
        calls: Makes the calls.
    """

    def __init__(self, calls: AwsCalls) -> None:
        self._calls = calls
        self._pace = Pace(CALLS_PER_SECOND)
        self._open: dict[str, _Termination] = {}
        self._urgent: deque[_Termination] = deque()
        self._others: deque[_Termination] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._next_call: asyncio.TimerHandle | None = None
        self._together = _Together()

    async def terminate(self, job_id: str, reason: str, *, is_urgent: bool = True) -> None:
        """Have AWS terminate a job. Does not wait for its end.

        Args:
            job_id: The job.
            reason: Becomes its statusReason, unless it is being terminated already.
            is_urgent: Whether it goes ahead of those that are not.

        Raises:
            AwsError: AWS refused, or was busy or away for `TERMINATE_SECONDS`.
        """
        loop = asyncio.get_running_loop()
        termination = self._open.get(job_id)
        if termination is None:
            give_up_at = loop.time() + TERMINATE_SECONDS
            termination = _Termination(job_id, reason, is_urgent, give_up_at, loop.create_future())
            self._open[job_id] = termination
            self._line_up(termination)
        elif is_urgent and not termination.is_urgent:
            termination.is_urgent = True
            if termination in self._others:
                self._others.remove(termination)
                self._line_up(termination)
        if error := await asyncio.shield(termination.done):
            raise copy(error)  # each is raised somewhere else, and grows a traceback there

    async def keep_prepared(self) -> None:
        """Make the client before it is needed, and anew once another session has replaced its own, until cancelled.

        By the time it is needed, what makes clients may be held up: by a client that hangs while it is made, or by an
        outage of what gives out credentials.
        """
        await asyncio.sleep(_FIRST_SECONDS)
        while True:
            with suppress(Exception):  # whoever needs the client will be told
                self._together.is_known = await self._calls.use("batch", None, knows_terminate_jobs, urgent=True)
            await asyncio.sleep(_PREPARE_SECONDS)

    def _line_up(self, termination: _Termination) -> None:
        (self._urgent if termination.is_urgent else self._others).append(termination)
        self._plan_call()

    def _plan_call(self) -> None:
        """See to it that the next call goes out as soon as it may."""
        if self._next_call is None and (self._urgent or self._others) and len(self._under_way) < CALLS_AT_ONCE:
            loop = asyncio.get_running_loop()
            # In the context of who happens to ask, what is logged here would go to the log of its task.
            self._next_call = loop.call_later(self._pace.delay(loop.time()), self._call, context=Context())

    def _call(self) -> None:
        self._next_call = None
        loop = asyncio.get_running_loop()
        if self._pace.delay(loop.time()) <= 0:  # it may have slowed down meanwhile
            self._pace.spend(loop.time())
            call = loop.create_task(self._end(self._next()))
            self._under_way.add(call)
            call.add_done_callback(self._is_over)
        self._plan_call()

    def _is_over(self, call: asyncio.Task[None]) -> None:
        self._under_way.discard(call)
        self._plan_call()

    def _next(self) -> list[_Termination]:
        """Take what the next call is to terminate."""
        line = self._urgent or self._others
        first = line.popleft()
        if first.is_alone or not self._together.is_next():
            return [first]
        others = [each for each in line if each.reason == first.reason and not each.is_alone][: MOST_TOGETHER - 1]
        taken = {first.job_id, *(each.job_id for each in others)}
        rest = [each for each in line if each.job_id not in taken]
        line.clear()
        line.extend(rest)
        return [first, *others]

    async def _end(self, terminations: list[_Termination]) -> None:
        try:
            if len(terminations) == 1:
                await self._end_one(terminations[0])
            else:
                await self._end_together(terminations)
        except asyncio.CancelledError:  # the event loop ends
            for termination in terminations:
                self._open.pop(termination.job_id, None)
                termination.done.cancel()
            raise

    async def _end_one(self, termination: _Termination) -> None:
        call = partial(_terminate_one, job_id=termination.job_id, reason=termination.reason)
        loop = asyncio.get_running_loop()
        try:
            self._together.is_known = await self._calls.use("batch", None, call, urgent=True)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told to who asked, and keeps nobody else
            if self._may_pass(error) and loop.time() < termination.give_up_at:
                loop.call_later(termination.backoff.next_delay(), self._line_up, termination)
            else:
                self._answer(termination, error)
        else:
            self._pace.succeeded()
            self._answer(termination, None)

    async def _end_together(self, terminations: list[_Termination]) -> None:
        job_ids, reason = [each.job_id for each in terminations], terminations[0].reason
        call = partial(terminate_together, job_ids=job_ids, reason=reason)
        try:
            codes = await self._calls.use("batch", None, call, urgent=True)
        except Exception as error:  # noqa: BLE001 - as above: TerminateJob will tell, of each job for itself
            self._together.failed(error)
            is_alone = not self._may_pass(error)
            for each in terminations:
                each.is_alone = is_alone
                self._try_again(each)
            return
        self._together.succeeded()
        if _THROTTLED in codes.values():
            self._pace.throttled(asyncio.get_running_loop().time())
        else:
            self._pace.succeeded()
        for each in terminations:
            if (code := codes.get(each.job_id)) is None:
                self._answer(each, None)
            else:
                each.is_alone = code != _THROTTLED
                self._try_again(each)

    def _try_again(self, termination: _Termination) -> None:
        """Line up what TerminateJobs has not terminated; what is to go alone, or has no time left, goes at once."""
        loop = asyncio.get_running_loop()
        termination.is_alone = termination.is_alone or loop.time() >= termination.give_up_at
        delay = 0.0 if termination.is_alone else termination.backoff.next_delay()
        loop.call_later(delay, self._line_up, termination)

    def _may_pass(self, error: Exception) -> bool:
        """Slow down if AWS is busy or out of order; tell whether the same may succeed later."""
        if not isinstance(error, AwsError):
            return True  # for the moment, for instance, this machine has no thread left
        if trouble(error) in {Trouble.THROTTLED, Trouble.TRANSIENT}:
            self._pace.throttled(asyncio.get_running_loop().time())
        return may_pass(error)

    def _answer(self, termination: _Termination, error: Exception | None) -> None:
        del self._open[termination.job_id]
        termination.done.set_result(error)


def _terminate_one(batch: Service, job_id: str, reason: str) -> bool:
    """Terminate a job; return whether it could have been one of many."""
    terminate_once(batch, job_id, reason)
    return knows_terminate_jobs(batch)
