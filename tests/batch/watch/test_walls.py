"""Walls: whatever is raised where the code of one job or stream runs, the waits for the others go on.

Each place is a method of what exists once for a job or a stream; it is made to raise for one job, the victim, while
jobs of several shapes are followed beside it by the same watcher.
"""

from __future__ import annotations

import asyncio
import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.log_stream import LogStream
from airflow_batch_jobs.batch.logs.cursor import EventKeys
from airflow_batch_jobs.batch.logs.event import LogEvent, Numbering
from airflow_batch_jobs.batch.logs.followed_stream import FollowedStream
from airflow_batch_jobs.batch.logs.lateness import Lateness
from airflow_batch_jobs.batch.logs.line_queue import LineQueue
from airflow_batch_jobs.batch.logs.scan import LogGroup
from airflow_batch_jobs.batch.watch.followed_job import FollowedJob
from airflow_batch_jobs.batch.watch.followed_logs import FollowedLogs
from airflow_batch_jobs.batch.watch.followed_parts import FollowedParts
from airflow_batch_jobs.errors import BatchJobsError, EndpointError
from tests.batch.virtual import VirtualAws, follow_to_end, run
from tests.batch.watch.neighbours import LINES, is_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_batch_jobs.batch.watch import JobFollower
    from airflow_batch_jobs.batch.watch.updates import Update
    from airflow_batch_jobs.local.server import LocalAws

#: To trace it takes as long as the run itself, and finds no line that others miss.
pytestmark = pytest.mark.no_cover

ERRORS: tuple[Callable[[], Exception], ...] = (
    lambda: AttributeError("'NoneType' object has no attribute 'get'"),
    lambda: OSError(24, "Too many open files"),
    MemoryError,
    lambda: requests.ConnectionError("no route to the identity provider"),
    lambda: ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeJobs"),
    lambda: EndpointConnectionError(endpoint_url="http://127.0.0.1"),
    lambda: EndpointError("no answer", action="batch:DescribeJobs"),
    lambda: RuntimeError("can't start new thread"),
    StopIteration,
    lambda: RecursionError("maximum recursion depth exceeded"),
    TimeoutError,
    lambda: UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
)
#: What exists once for a job or a stream, or handles one at a time.
CLASSES = (
    FollowedJob,
    FollowedLogs,
    FollowedParts,
    FollowedStream,
    EventKeys,
    LineQueue,
    Numbering,
    JobDetail,
    LogStream,
    LogEvent,
    Lateness,
    LogGroup,
)
#: What does not run for one job or stream: constructors, and what only a caller's own code uses.
NOT_PLACES = {
    "__init__",
    "__post_init__",
    "__hash__",
    "__eq__",
    "__repr__",
    "__replace__",
    "__setattr__",
    "__delattr__",
}


def places() -> list[tuple[type, str]]:
    """Return every method and property of the classes."""
    return [
        (cls, name)
        for cls in CLASSES
        for name, value in vars(cls).items()
        if name not in NOT_PLACES and (inspect.isfunction(value) or isinstance(value, (property, classmethod)))
    ]


class Victim:
    """One of several followed jobs, in whose code something is raised."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.follower: JobFollower | None = None
        self.left = 0
        self.met = 0

    def owns(self, thing: Any) -> bool:
        """Tell whether something belongs to this job."""
        job = self.follower._job if self.follower else None
        if isinstance(thing, JobDetail):
            return thing.job_id.startswith(self.job_id)
        if isinstance(thing, (dict, str, LogStream)):
            return self.job_id in repr(thing) or any(name in repr(thing) for name in self._streams(job))
        if job is None:
            return False
        if isinstance(thing, FollowedStream):
            return thing._owner is job.logs
        return any(thing is each for each in (job, job.logs, job._parts, *self._of_streams(job)))

    def _streams(self, job: Any) -> list[str]:
        return [stream.stream for stream in job.logs.streams()] if job else []

    def _of_streams(self, job: Any) -> Iterator[Any]:
        for stream in job.logs._live.values():
            yield from (stream._keys, stream.lines, stream.lines._numbering)


@contextmanager
def raising(cls: type, name: str, victim: Victim, error: Callable[[], Exception]) -> Iterator[None]:
    """Let a method raise for the victim, as often as `victim.left` says."""
    original = vars(cls)[name]
    is_asking = False

    def meets(*things: Any) -> bool:
        nonlocal is_asking
        if is_asking or victim.left <= 0:  # the question itself uses what it asks about
            return False
        is_asking = True
        try:
            return any(map(victim.owns, things))
        finally:
            is_asking = False

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if meets(*args, *kwargs.values()):
                victim.left -= 1
                victim.met += 1
                raise error()
            return function(*args, **kwargs)

        return wrapper

    if isinstance(original, property):
        assert original.fget
        replacement: Any = property(wrap(original.fget))
    elif isinstance(original, classmethod):
        replacement = classmethod(wrap(original.__func__))
    else:
        replacement = wrap(original)
    setattr(cls, name, replacement)
    try:
        yield
    finally:
        setattr(cls, name, original)


def play(aws: LocalAws, cls: type, name: str, error: Callable[[], Exception], times: int) -> tuple[Victim, list[Any]]:
    """Follow a victim and its neighbours to their ends; return what became of each, the victim first."""
    script: dict[str, Any] = {"starting": 0, "running": 12, "lines": {"count": LINES, "rate": 1.0}}
    aws.script(definition="talk", **script)
    aws.script(definition="fail", **{**script, "attempts": [1]})
    talk, fail = aws.register("talk"), aws.register("fail")
    [array] = aws.submit(talk, arrayProperties={"size": 2})
    ids = [*aws.submit(talk, count=2), *aws.submit(fail), array]

    async def main() -> tuple[Victim, list[Any]]:
        watcher = VirtualAws(aws).watcher(status_calls_per_second=1)
        followers = [watcher.follow(each) for each in ids]
        number = -1 if cls is FollowedParts or name in {"listed", "_part_answered", "_ask_parts", "part_ids"} else 0
        followers.insert(0, followers.pop(number))
        victim = Victim(followers[0]._job_id)
        victim.follower, victim.left = followers[0], times
        with raising(cls, name, victim, error):
            async with asyncio.timeout(900):
                ends = await asyncio.gather(*map(follow_to_end, followers), return_exceptions=True)
        return victim, ends

    return run(main())


class Odd:
    """A client whose answers are changed before anybody reads them."""

    def __init__(self, client: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._client, self._change = client, change
        self.meta = client.meta

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda **request: self._change(method(**request))


def follow_beside(
    aws: LocalAws, odd: str | None, ids: list[str], change: Callable[[dict[str, Any]], dict[str, Any]]
) -> list[list[Update] | BaseException]:
    """Follow jobs to their ends beside one that need not have any, while every answer is changed."""
    make = aws.clients()

    async def main() -> list[list[Update] | BaseException]:
        watcher = VirtualAws(aws).watcher(
            lambda service, **how: Odd(make(service, **how), change), status_calls_per_second=1
        )
        beside = asyncio.create_task(follow_to_end(watcher.follow(odd))) if odd else None
        async with asyncio.timeout(900):
            ends = await asyncio.gather(*(follow_to_end(watcher.follow(each)) for each in ids), return_exceptions=True)
        if beside:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)
        return ends

    return run(main())


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = (
    "status", "statusReason", "createdAt", "startedAt", "stoppedAt", "attempts", "container", "jobQueue", "tags",
    "parameters", "dependsOn", "timeout", "retryStrategy", "arrayProperties", "nodeProperties", "nodeDetails",
    "ecsProperties", "eksProperties", "jobArn", "jobDefinition", "isTerminated",
)  # fmt: skip


@pytest.mark.long
@given(odd=st.dictionaries(st.sampled_from(MEMBERS), ANYTHING, min_size=1, max_size=3), entry=ANYTHING)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_odd_entry_of_an_answer_ends_at_most_the_wait_for_its_job(
    frozen_aws: LocalAws, odd: dict[str, Any], entry: Any
) -> None:
    """Whatever AWS says of one job, and whatever else stands between the entries."""
    frozen_aws.script(definition="talk", starting=0, running=12, lines={"count": LINES, "rate": 1.0})
    ids = frozen_aws.submit(frozen_aws.register("talk"), count=3)

    def change(answer: dict[str, Any]) -> dict[str, Any]:
        if "jobs" in answer:
            jobs = [{**job, **odd} if job["jobId"] == ids[0] else job for job in answer["jobs"]]
            return {**answer, "jobs": [entry, *jobs]}
        return answer

    assert all(map(is_whole, follow_beside(frozen_aws, ids[0], ids[1:], change)))


@pytest.mark.long
@given(events=st.lists(ANYTHING | st.fixed_dictionaries({}, optional={
    "timestamp": ANYTHING, "message": ANYTHING, "eventId": ANYTHING, "ingestionTime": ANYTHING,
    "logStreamName": ANYTHING,
}), max_size=4))  # fmt: skip
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_odd_event_of_a_page_costs_no_other_line(frozen_aws: LocalAws, events: list[Any]) -> None:
    """Whatever stands among the events of a page, every line comes once."""
    frozen_aws.script(definition="talk", starting=0, running=12, lines={"count": LINES, "rate": 1.0})

    def change(answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "events": [*events, *answer["events"]]} if "events" in answer else answer

    ids = frozen_aws.submit(frozen_aws.register("talk"), count=2)
    assert all(map(is_whole, follow_beside(frozen_aws, None, ids, change)))


@pytest.mark.parametrize("times", [1, pytest.param(1_000_000, marks=pytest.mark.long)])
@pytest.mark.parametrize(("cls", "name"), places(), ids=lambda each: getattr(each, "__name__", each))
def test_what_is_raised_for_one_job_ends_at_most_its_own_wait(
    frozen_aws: LocalAws, cls: type, name: str, times: int
) -> None:
    """With an error that names the job and the cause, at every place; the neighbours get each line and their end."""
    number = places().index((cls, name)) + (times > 1)
    error = ERRORS[number % len(ERRORS)]
    victim, (own, *neighbours) = play(frozen_aws, cls, name, error, times)
    assert all(map(is_whole, neighbours)), neighbours
    if isinstance(own, BaseException):
        assert isinstance(own, (BatchJobsError, type(error())))
        assert victim.met
