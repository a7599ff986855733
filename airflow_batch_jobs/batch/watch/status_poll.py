"""StatusPoll: asks DescribeJobs on behalf of all followers, a hundred jobs per call.

Whatever goes wrong for one job, in its entry of an answer or where the answer is taken, ends at most the wait for it. A
call that fails again and again while others are answered is halved, until the job that is the reason is alone. While no
call is answered at all, calls stay whole, so that an outage costs none more than it must.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from airflow_batch_jobs.batch.aws import Trouble, trouble
from airflow_batch_jobs.batch.aws.outage import SILENT_SECONDS
from airflow_batch_jobs.batch.aws.pacing import Backoff
from airflow_batch_jobs.batch.aws.trouble import may_pass
from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.operations import MOST_DESCRIBED, failed_children
from airflow_batch_jobs.batch.watch.alarm import Alarm
from airflow_batch_jobs.batch.watch.ask_queue import AskQueue
from airflow_batch_jobs.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_batch_jobs.batch.aws import Service
    from airflow_batch_jobs.batch.watch.ask_queue import Asker, Question
    from airflow_batch_jobs.batch.watch.aws_time import AwsTime
    from airflow_batch_jobs.batch.watch.channel import Channel


#: The longest delay between two questions about a job that fail although others are answered.
_LONGEST_ALONE_SECONDS = 10.0
#: How many parts of calls are asked at most, so that the time after an outage is not spent on small calls.
_MOST_PIECES = 32
#: How long credentials are waited for where botocore finds none, and where those found have expired: others may have
#: been put into the connection, which is looked up anew for each client.
_CREDENTIALS_SECONDS = 20.0
_RENEWAL_SECONDS = 300.0
#: A list that failed so often while other calls were answered is not asked for any more.
_MOST_LISTINGS = 3


@dataclass(eq=False, slots=True)
class _Call:
    """What one call asks.

    Attributes:
        questions: The questions.
        due: When it is to be made, in seconds.
        is_piece: Whether it is a part of one that failed because of one of its jobs.
        alone_since: Since when, in seconds, its one question has been asked by itself, since it fails although others
            are answered; None if that is not so.
        is_told: Whether who asks knows that.
        delays: How long it then waits after each failure.
    """

    questions: list[Question]
    due: float
    is_piece: bool = False
    alone_since: float | None = None
    is_told: bool = False
    delays: Backoff = field(default_factory=partial(Backoff, longest=_LONGEST_ALONE_SECONDS))


@dataclass(eq=False, slots=True)
class _Listing:
    """A list of an array's failed children that is to be asked for.

    Attributes:
        array_id: The array.
        asker: What wants to know.
        failures: How often there was no answer, other than in an outage.
        answers: How many other calls had been answered by then.
    """

    array_id: str
    asker: Asker
    failures: int = 0
    answers: int = -1


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
        self._pieces: list[_Call] = []
        self._piece_is_next = False
        self._probe_is_next = False
        self._under_way: set[_Call] = set()
        self._answers = 0
        self._failures = 0
        self._failed_at: dict[str, int] = {}
        self._failing_since: dict[Trouble, float] = {}
        self._listings: deque[_Listing] = deque()
        self._listing_is_next = False
        self._alarm = Alarm()

    def ask(self, job_id: str, asker: Asker, due: float, *, is_part: bool = False) -> None:
        """Ask about a job, once, at `due` (in the loop's seconds) or earlier; the answer goes to the asker."""
        for question in _about(job_id, self._pieces):
            question.askers.add(asker)
            return
        self._queue.ask(job_id, (asker,), due, is_part=is_part)
        self._alarm.ring()

    def forget(self, asker: Asker, job_ids: Iterable[str]) -> None:
        """Stop asking on behalf of an asker; it may still get the answers to calls in flight."""
        self._queue.forget(asker, job_ids)
        for job_id in job_ids:
            self._failed_at.pop(job_id, None)
            for question in _about(job_id, (*self._pieces, *self._under_way)):
                question.askers.discard(asker)
        self._pieces = [piece for piece in self._pieces if any(question.askers for question in piece.questions)]

    def list_failed(self, array_id: str, asker: Asker) -> None:
        """Find out which children of an array failed."""
        self._listings.append(_Listing(array_id, asker))
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
                now = asyncio.get_running_loop().time()
                # They take turns: one that fails again and again would be asked for all the time.
                self._listing_is_next = not self._listing_is_next
                if self._listings and (self._listing_is_next or self._due() > now):
                    calls.create_task(self._list(self._listings.popleft()))
                else:
                    calls.create_task(self._describe(self._next(now), now))

    def _due_in(self) -> float:
        return 0.0 if self._listings else self._due() - asyncio.get_running_loop().time()

    def _due(self) -> float:
        """Return when a job is to be described, in seconds."""
        return min(self._queue.due(), *(piece.due for piece in self._pieces), math.inf)

    def _next(self, now: float) -> _Call:
        """Take what is to be asked next: pieces and what is in the queue take turns."""
        piece = min(self._pieces, key=lambda each: each.due, default=None)
        self._piece_is_next = not self._piece_is_next
        if piece is not None and piece.due <= now and (self._piece_is_next or self._queue.due() > now):
            self._pieces.remove(piece)
            return piece
        # While nothing is answered, every other call is about one job: if that is answered, another job is the reason.
        self._probe_is_next = self._failures > 1 and not self._probe_is_next
        return _Call(self._queue.take(now, 1 if self._probe_is_next else MOST_DESCRIBED), now)

    async def _describe(self, call: _Call, asked_at: float) -> None:
        ask = partial(self._descriptions.ask, job_ids=[question.job_id for question in call.questions])
        self._under_way.add(call)
        try:
            details = await self._channel.ask(ask, holds=not self._is_to_blame(call))
        except Exception as error:  # noqa: BLE001 - it may have to do with one of the jobs only
            self._failed(call, error, asked_at)
        else:
            self._answered()
            for question in call.questions:
                self._failed_at.pop(question.job_id, None)
                for asker in tuple(question.askers):
                    if call.is_told:
                        asker.no_answer("", self._channel.name)
                    _answer(asker, question.job_id, details.get(question.job_id), asked_at)
        finally:
            self._under_way.discard(call)
            self._alarm.ring()

    def _is_to_blame(self, call: _Call) -> bool:
        """Tell whether a call that fails would do so for a reason of its own: others have been answered meanwhile."""
        return call.alone_since is not None and self._failed_beside_others(call.questions[0])

    def _failed_beside_others(self, question: Question) -> bool:
        return self._failed_at.get(question.job_id, self._answers) < self._answers

    def _answered(self) -> None:
        self._answers += 1
        self._failures = 0
        self._failing_since.clear()

    def _failed(self, call: _Call, error: Exception, asked_at: float) -> None:
        kind = trouble(error) if isinstance(error, AwsError) else Trouble.REFUSED
        if isinstance(error, AwsError) and self._may_pass(kind, error):
            self._ask_again(call, error, asked_at)
            return
        self._answered()
        if kind.give_up or kind is Trouble.EXPIRED:
            waiting = [question for piece in self._pieces for question in piece.questions]
            _fail([*call.questions, *self._queue, *waiting], error)
        elif len(call.questions) > 1:
            # One id that AWS objects to, or that we stumble over, must not end the rest.
            self._halve(call.questions, asked_at)
        else:
            _fail(call.questions, error)

    def _may_pass(self, kind: Trouble, error: AwsError) -> bool:
        """Tell whether the same may be answered later; valid credentials are not waited for without end."""
        if kind is not Trouble.NO_CREDENTIALS:  # it is not that alone
            self._failing_since.pop(Trouble.NO_CREDENTIALS, None)
        if not (kind.renew and may_pass(error)):
            return kind.retry
        now = asyncio.get_running_loop().time()
        seconds = _RENEWAL_SECONDS if kind is Trouble.EXPIRED else _CREDENTIALS_SECONDS
        return now < self._failing_since.setdefault(kind, now) + seconds

    def _ask_again(self, call: _Call, error: Exception, asked_at: float) -> None:
        """Ask again what may be answered later; what has failed before, while others were answered, apart from them."""
        self._failures += 1
        questions = [question for question in call.questions if question.askers]  # the others have left meanwhile
        suspects = [each for each in questions if self._failed_beside_others(each)]
        self._failed_at.update((question.job_id, self._answers) for question in questions)
        if len(questions) == 1 and (suspects or call.alone_since is not None):
            self._leave_alone(replace(call, questions=questions), error)
        elif suspects and sum(piece.alone_since is None for piece in self._pieces) < _MOST_PIECES:
            self._halve(suspects, asked_at)
            self._put_back([each for each in questions if each not in suspects], asked_at)
        elif call.is_piece and questions:
            self._pieces.append(replace(call, questions=questions, due=asked_at))
        else:
            self._put_back(questions, asked_at)

    def _halve(self, questions: list[Question], due: float) -> None:
        middle = (len(questions) + 1) // 2
        halves = (questions[:middle], questions[middle:])
        self._pieces += [_Call(half, due, is_piece=True) for half in halves if half]

    def _put_back(self, questions: Iterable[Question], due: float) -> None:
        for question in questions:
            self._queue.ask(question.job_id, question.askers, due, is_part=question.is_part)

    def _leave_alone(self, call: _Call, error: Exception) -> None:
        """Ask about a job by itself from now on, more and more rarely, until that is answered."""
        now = asyncio.get_running_loop().time()
        since = now if call.alone_since is None else call.alone_since
        is_told = call.is_told or now - since >= SILENT_SECONDS
        if is_told and not call.is_told:
            for asker in call.questions[0].askers:
                asker.no_answer(self._channel.silence(now - since, error), self._channel.name)
        due = now + call.delays.next_delay()
        self._pieces.append(replace(call, due=due, is_piece=True, alone_since=since, is_told=is_told))

    async def _list(self, listing: _Listing) -> None:
        try:
            job_ids = await self._channel.ask(partial(failed_children, array_id=listing.array_id))
        except AwsError as error:
            listing.failures += self._answers > listing.answers
            listing.answers = self._answers
            if self._may_pass(trouble(error), error) and listing.failures < _MOST_LISTINGS:
                self._listings.append(listing)
            else:
                _list(listing.asker, ())
        except Exception as error:  # noqa: BLE001 - it has to do with this array only
            listing.asker.fail(error)
        else:
            _list(listing.asker, job_ids)
        finally:
            self._alarm.ring()


class Descriptions:
    """Describes jobs, and returns the same `JobDetail` as before while AWS describes a job in the same words.

    A job that waits or runs is described every few seconds in the same words, and reading those took a fifth of a
    watcher's time. Nothing is kept alive here: a detail that nothing else holds any more is read again.

    Args:
        time: Learns the time at AWS from the answers.
    """

    def __init__(self, time: AwsTime) -> None:
        self._time = time
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


def _about(job_id: str, calls: Iterable[_Call]) -> list[Question]:
    return [question for call in calls for question in call.questions if question.job_id == job_id]


def _answer(asker: Asker, job_id: str, detail: JobDetail | BaseException | None, asked_at: float) -> None:
    if isinstance(detail, BaseException):
        asker.fail(detail)
        return
    try:
        asker.answered(job_id, detail, asked_at)
    except Exception as error:  # noqa: BLE001 - it ends the one that it came from
        asker.fail(error)


def _list(asker: Asker, job_ids: Sequence[str]) -> None:
    try:
        asker.listed(job_ids)
    except Exception as error:  # noqa: BLE001 - as above
        asker.fail(error)


def _fail(questions: Iterable[Question], error: Exception) -> None:
    for asker in {asker for question in questions for asker in question.askers}:
        # Each copy is raised somewhere else, and grows a traceback there.
        asker.fail(copy(error) if isinstance(error, AwsError) else error)
