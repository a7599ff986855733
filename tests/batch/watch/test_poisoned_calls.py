"""A call that fails because of one of its members costs the others seconds, and an outage no small calls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from airflow_batch_jobs.batch.operations import describe_jobs
from airflow_batch_jobs.batch.watch import Ended, NoAnswer
from tests.batch.virtual import VirtualAws, consume, run
from tests.batch.watch.scripted import assert_complete, talking

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow_batch_jobs.batch.watch.updates import Update
    from airflow_batch_jobs.local.server import LocalAws

FIELDS = {"describe_jobs": "jobs", "filter_log_events": "logStreamNames"}


def answered(code: str, status: int) -> Exception:
    """Return what botocore raises for an error that AWS answered."""
    answer: Any = {"Error": {"Code": code, "Message": "No."}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "x")


PASSING = [answered("ServerException", 500), answered("ThrottlingException", 400), ReadTimeoutError(endpoint_url="x")]


class Calls:
    """Clients of an AWS that fails each call which a function says fails; remembers what was asked for, and when."""

    def __init__(self, aws: LocalAws, operation: str, fails: Callable[[Collection[str]], Exception | None]) -> None:
        self._make, self._operation, self._fails = aws.clients(), operation, fails
        self.asked: list[tuple[float, list[str]]] = []

    def __call__(self, service: str, **how: Any) -> Any:
        """Make a client."""
        client = self._make(service, **how)
        method = getattr(client, self._operation, None)
        if method is not None:

            def call(**request: Any) -> Any:
                names = request[FIELDS[self._operation]]
                self.asked.append((asyncio.get_running_loop().time(), names))
                if error := self._fails(names):
                    raise error
                return method(**request)

            setattr(client, self._operation, call)
        return client

    def between(self, begin: float, end: float) -> list[list[str]]:
        """Return what was asked for in a span of seconds."""
        return [names for at, names in self.asked if begin <= at < end]


async def follow_all(virtual: VirtualAws, clients: Any, ids: list[str], seconds: float) -> list[list[Update]]:
    """Follow jobs for some seconds and return the updates of each."""
    watcher = virtual.watcher(clients)
    updates: list[list[Update]] = [[] for _ in ids]
    tasks = []
    for number, job_id in enumerate(ids):

        async def follow(job_id: str = job_id, into: list[Update] = updates[number]) -> None:
            async with watcher.follow(job_id) as follower:
                await consume(follower, into)

        tasks.append(asyncio.create_task(follow()))
    await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return updates


@pytest.mark.parametrize(("error", "poisoned"), [*zip(PASSING, [[7], [0, 39], [3, 4, 5, 150]], strict=True)])
def test_jobs_whose_descriptions_fail_cost_the_others_nothing(
    frozen_aws: LocalAws, error: Exception, poisoned: list[int]
) -> None:
    """Each is asked for alone, and its own followers are told that there is no answer."""
    ids = talking(frozen_aws, max(40, poisoned[-1] + 1))
    bad = {ids[number] for number in poisoned}
    calls = Calls(frozen_aws, "describe_jobs", lambda names: error if bad.intersection(names) else None)

    async def main() -> list[list[Update]]:
        return await follow_all(VirtualAws(frozen_aws), calls, ids, 150)

    updates = run(main())
    for job_id, each in zip(ids, updates, strict=True):
        if job_id in bad:
            assert {type(update) for update in each} == {NoAnswer}
        else:
            assert_complete(each)
    assert all(len(names) == 1 for names in calls.between(60, 150) if bad.intersection(names))


def test_a_job_that_is_described_again_joins_the_others(frozen_aws: LocalAws) -> None:
    """Its followers are told that there is an answer again, and get all that they have missed."""
    ids = talking(frozen_aws, 20)
    bad = ids[3]

    def fails(names: Collection[str]) -> Exception | None:
        return PASSING[0] if bad in names and asyncio.get_running_loop().time() < 90 else None

    calls = Calls(frozen_aws, "describe_jobs", fails)

    async def main() -> list[list[Update]]:
        return await follow_all(VirtualAws(frozen_aws), calls, ids, 150)

    updates = run(main())
    problems = [update.problem for update in updates[3] if isinstance(update, NoAnswer)]
    assert problems[0].startswith("No answer from AWS Batch for ")
    assert not problems[-1]
    assert all(isinstance(each[-1], Ended) for each in updates)


@pytest.mark.long
def test_an_outage_breaks_no_call_into_pieces(frozen_aws: LocalAws) -> None:
    """Neither are there more calls while it lasts than one every few seconds, nor small ones after it."""
    ids = talking(frozen_aws, 300, running=3_000, lines=[])

    def fails(_names: Collection[str]) -> Exception | None:
        return PASSING[0] if 20 <= asyncio.get_running_loop().time() < 320 else None

    calls = Calls(frozen_aws, "describe_jobs", fails)

    async def main() -> None:
        await follow_all(VirtualAws(frozen_aws), calls, ids, 350)

    run(main())
    assert len(calls.between(20, 320)) < 150
    recovered = calls.between(320, 330)
    assert {job_id for names in recovered for job_id in names} == set(ids)
    assert sum(len(names) < 50 for names in recovered) <= 4


@pytest.mark.parametrize(("error", "begin"), [*zip(PASSING, [0, 20, 0], strict=True)])
def test_a_stream_whose_calls_fail_costs_the_others_nothing(
    frozen_aws: LocalAws, error: Exception, begin: float
) -> None:
    """All lines of the others come, and their ends in time; its own job ends by the usual deadline, and says why."""
    ids = talking(frozen_aws, 60)
    bad: set[str] = set()

    def fails(names: Collection[str]) -> Exception | None:
        return error if bad.intersection(names) and asyncio.get_running_loop().time() >= begin else None

    calls = Calls(frozen_aws, "filter_log_events", fails)

    async def main() -> list[list[Update]]:
        virtual = VirtualAws(frozen_aws)
        frozen_aws.advance(10)  # until AWS tells the streams
        bad.update(stream.stream for stream in describe_jobs(frozen_aws.clients(), [ids[7]])[0].log_streams())
        return await follow_all(virtual, calls, ids, 330)

    updates = run(main())
    assert bad
    for job_id, each in zip(ids, updates, strict=True):
        end = each[-1]
        assert isinstance(end, Ended)
        if job_id == ids[7]:
            assert [*end.incomplete.values()] == ["CloudWatch Logs does not answer."]
        else:
            assert_complete(each)
            assert not end.incomplete
            assert not end.unread


@pytest.mark.parametrize("operation", FIELDS)
@pytest.mark.parametrize("error", [answered("403", 403), answered("407", 407), answered("RequestTimeTooSkewed", 403)])
def test_a_proxys_word_or_a_wrong_clock_costs_seconds(frozen_aws: LocalAws, operation: str, error: Exception) -> None:
    """Neither ends a wait, nor is a log left alone for it."""
    ids = talking(frozen_aws, 3)

    def fails(_names: Collection[str]) -> Exception | None:
        return error if 20 <= asyncio.get_running_loop().time() < 22 else None

    async def main() -> list[list[Update]]:
        return await follow_all(VirtualAws(frozen_aws), Calls(frozen_aws, operation, fails), ids, 70)

    for each in run(main()):
        assert_complete(each)


def test_a_log_for_which_there_are_no_credentials_here_is_left_to_the_worker(frozen_aws: LocalAws) -> None:
    """CloudWatch has not denied it: others' credentials may hold."""
    [job_id] = talking(frozen_aws)
    calls = Calls(frozen_aws, "filter_log_events", lambda _: answered("UnrecognizedClientException", 403))

    async def main() -> list[list[Update]]:
        return await follow_all(VirtualAws(frozen_aws), calls, [job_id], 300)

    [updates] = run(main())
    end = updates[-1]
    assert isinstance(end, Ended)
    assert len(end.unread) == 1
    assert not end.incomplete
