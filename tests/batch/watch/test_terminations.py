"""Stops of many jobs at once, in virtual time: at the rate that AWS bears, and each for itself."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import NoCredentialsError

from airflow_batch_jobs.batch.aws import KeptClients, clients
from airflow_batch_jobs.batch.operations import TERMINATE_SECONDS
from airflow_batch_jobs.batch.watch import JobWatcher
from airflow_batch_jobs.batch.watch.terminations import CALLS_AT_ONCE
from airflow_batch_jobs.errors import AccessDeniedError, CredentialsError, ThrottledError
from tests.batch.virtual import VirtualAws, run
from tests.batch.watch.scripted import submitted
from tests.local.documented import needs

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.local.server import LocalAws

#: How long a trigger lives on after its task was stopped.
LIFE_SECONDS = 45.0
#: Tests of what is done with TerminateJobs; without it, see the last ones.
TOGETHER = needs("batch", "TerminateJobs")


def running(aws: LocalAws, count: int) -> list[str]:
    """Return the ids of jobs that run for hours."""
    ids = submitted(aws, count, running=36_000)
    aws.advance(60)
    aws.clear_requests()
    return ids


def left(aws: LocalAws) -> int:
    """Return the number of jobs that nobody has terminated."""
    return sum(not job.get("isTerminated") for job in aws.jobs())


def altered(aws: LocalAws, **methods: Callable[..., Any]) -> ClientFactory:
    """Return a factory of clients some of whose methods are others.

    Args:
        aws: The local AWS.
        methods: They get the client, and the request.
    """
    make = aws.clients()

    class Altered:
        def __init__(self, client: Any) -> None:
            self._client = client

        def __getattr__(self, name: str) -> Any:
            if name in methods:
                return lambda **request: methods[name](self._client, **request)
            return getattr(self._client, name)

    return lambda service, **how: Altered(make(service, **how))


async def stop(watcher: JobWatcher, job_id: str, **how: Any) -> float:
    """Terminate a job; return how long it took until AWS had accepted that, in seconds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await watcher.terminate(job_id, "a user's stop", **how)
    return loop.time() - began


@pytest.mark.long
@pytest.mark.parametrize(
    ("faults", "most_calls"),
    [
        pytest.param([("TerminateJob*", "throttle", 25.0)], 40, id="both share the rate", marks=TOGETHER),
        pytest.param([("TerminateJob", "throttle", 25.0), ("TerminateJobs", "denied", None)], 1_300, id="denied"),
        pytest.param([("TerminateJob", "throttle", 25.0), ("TerminateJobs", "not_json", None)], 1_300, id="a proxy"),
        pytest.param([("TerminateJob", "throttle", 25.0), ("TerminateJobs", "throttle", None)], 1_300, id="throttled"),
        pytest.param([("TerminateJob", "throttle", None)], 1_300, id="only the other one works", marks=TOGETHER),
    ],
)
def test_a_thousand_jobs_of_two_triggerers_are_terminated_in_time(
    frozen_aws: LocalAws, faults: list[tuple[str, str, float | None]], most_calls: int
) -> None:
    """Whatever AWS allows of either operation, if it is 25 calls a second together."""
    ids = running(frozen_aws, 1_000)

    async def main() -> list[float]:
        virtual = VirtualAws(frozen_aws)
        watchers = [virtual.watcher(), virtual.watcher()]
        for watcher in watchers:  # it is known from earlier stops, or from the preparation, what botocore can do
            await watcher.terminate(ids.pop(), "a user's stop")
        for operation, kind, rate in faults:
            frozen_aws.fault(operation, kind, rate=rate)
        return await asyncio.gather(*(stop(watchers[number % 2], job_id) for number, job_id in enumerate(ids)))

    assert max(run(main())) < LIFE_SECONDS
    assert left(frozen_aws) == 0
    assert sum(frozen_aws.counts().get(name, 0) for name in ("TerminateJob", "TerminateJobs")) < most_calls


def test_one_stop_goes_out_at_once(frozen_aws: LocalAws) -> None:
    """As TerminateJob, and also after many that AWS has throttled."""
    [*many, one, another] = running(frozen_aws, 102)

    async def main() -> tuple[float, float]:
        watcher = VirtualAws(frozen_aws).watcher()
        first = await stop(watcher, one)
        frozen_aws.fault("TerminateJob*", "throttle", times=30)
        await asyncio.gather(*(stop(watcher, job_id) for job_id in many))
        return first, await stop(watcher, another)

    assert max(run(main())) < 0.2
    assert left(frozen_aws) == 0


def test_what_can_wait_lets_stops_pass(frozen_aws: LocalAws) -> None:
    """A sweep that ends many jobs, each for a reason of its own, does not keep a user's stop waiting."""
    [*orphans, one] = running(frozen_aws, 300)

    async def main() -> tuple[float, dict[str, Exception]]:
        watcher = VirtualAws(frozen_aws).watcher()
        sweep = asyncio.create_task(
            watcher.terminate_all({job_id: f"orphan {job_id}" for job_id in orphans}, is_urgent=False)
        )
        await asyncio.sleep(1)
        return await stop(watcher, one), await sweep

    took, failed = run(main())
    assert took < 0.2
    assert not failed
    assert left(frozen_aws) == 0
    assert {job["statusReason"] for job in frozen_aws.jobs()} == {
        "a user's stop",
        *(f"orphan {id_}" for id_ in orphans),
    }


@TOGETHER
def test_jobs_that_terminate_jobs_does_not_end_are_tried_alone(frozen_aws: LocalAws) -> None:
    """TerminateJob says what is wrong with each; what was throttled, or is not mentioned, is terminated in the end."""
    ids = running(frozen_aws, 60)
    denied, throttled, unmentioned = ids[10], ids[20], ids[30]
    reached: list[list[str]] = []

    def some(client: Any, *, jobs: list[str], reason: str) -> dict[str, Any]:
        reached.append(jobs)
        codes = {denied: "AccessDenied"} | ({throttled: "ThrottlingException"} if len(reached) == 1 else {})
        good = [job_id for job_id in jobs if job_id not in {*codes, unmentioned}]
        errors = [{"job": job_id, "code": code, "message": "m"} for job_id, code in codes.items() if job_id in jobs]
        return {**client.terminate_jobs(jobs=good, reason=reason), "errors": errors}

    def one(client: Any, *, jobId: str, reason: str) -> Any:  # noqa: N803 - as AWS names it
        if jobId == denied:
            frozen_aws.fault("TerminateJob", "denied", times=1)
        return client.terminate_job(jobId=jobId, reason=reason)

    async def main() -> dict[str, Exception]:
        watcher = VirtualAws(frozen_aws).watcher(altered(frozen_aws, terminate_jobs=some, terminate_job=one))
        await watcher.terminate(ids[0], "r")
        return await watcher.terminate_all(dict.fromkeys(ids[1:], "r"))

    failed = run(main())
    assert failed.keys() == {denied}
    assert isinstance(failed[denied], AccessDeniedError)
    assert "batch:TerminateJob" in str(failed[denied])
    assert left(frozen_aws) == 1


@TOGETHER
@pytest.mark.parametrize(
    "error",
    [
        OSError("no"),
        MemoryError(),
        RuntimeError("can't start new thread"),
        KeyError("x"),
        SystemExit(1),
        asyncio.CancelledError(),
    ],
)
def test_whatever_goes_wrong_for_one_job_keeps_no_other(frozen_aws: LocalAws, error: BaseException) -> None:
    """It is tried again for a while, and the error goes to who asked for that job."""
    [bad, *good] = running(frozen_aws, 60)

    def many(client: Any, *, jobs: list[str], reason: str) -> Any:
        if bad in jobs:
            raise error
        return client.terminate_jobs(jobs=jobs, reason=reason)

    def one(client: Any, *, jobId: str, reason: str) -> Any:  # noqa: N803 - as AWS names it
        if jobId == bad:
            raise error
        return client.terminate_job(jobId=jobId, reason=reason)

    async def main() -> tuple[list[Any], float]:
        loop = asyncio.get_running_loop()
        watcher = VirtualAws(frozen_aws).watcher(altered(frozen_aws, terminate_jobs=many, terminate_job=one))
        others = [asyncio.create_task(stop(watcher, job_id)) for job_id in good]
        ended = await asyncio.gather(stop(watcher, bad), *others, return_exceptions=True)
        return ended, loop.time()

    [failed, *times], over = run(main())
    assert isinstance(failed, Exception)
    assert max(times) < 10
    assert TERMINATE_SECONDS <= over < TERMINATE_SECONDS + 5
    assert left(frozen_aws) == 1


def test_without_terminate_jobs_in_botocore_all_are_terminated(frozen_aws: LocalAws) -> None:
    """One by one."""
    ids = running(frozen_aws, 60)
    make = frozen_aws.clients()

    class Old:
        def __init__(self, client: Any) -> None:
            self.terminate_job, self.meta = client.terminate_job, client.meta

    async def main() -> None:
        watcher = VirtualAws(frozen_aws).watcher(lambda service, **how: Old(make(service, **how)))
        assert not await watcher.terminate_all(dict.fromkeys(ids, "r"))

    run(main())
    assert left(frozen_aws) == 0
    assert frozen_aws.counts()["TerminateJob"] == 60


def test_a_termination_goes_on_when_nobody_waits_for_it(frozen_aws: LocalAws) -> None:
    """And whoever asks for it again waits for the same one."""
    [job_id] = running(frozen_aws, 1)
    frozen_aws.fault("TerminateJob", "throttle")

    async def main() -> None:
        watcher = VirtualAws(frozen_aws).watcher()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watcher.terminate(job_id, "first"), 5)
        frozen_aws.clear_faults()
        await watcher.terminate(job_id, "second")

    run(main())
    assert frozen_aws.job(job_id)["statusReason"] == "first"


def test_a_full_rate_is_told_after_a_while(frozen_aws: LocalAws) -> None:
    """When no try of 45 s was let through, with few calls meanwhile."""
    [job_id] = running(frozen_aws, 1)
    frozen_aws.fault("TerminateJob", "throttle")

    async def main() -> float:
        with pytest.raises(ThrottledError, match="batch:TerminateJob"):
            await VirtualAws(frozen_aws).watcher().terminate(job_id, "r")
        return asyncio.get_running_loop().time()

    assert LIFE_SECONDS <= run(main()) < LIFE_SECONDS + 5
    assert 20 <= frozen_aws.counts()["TerminateJob"] <= 50


@pytest.mark.parametrize("steps", range(12))
def test_who_asks_while_the_last_one_is_answered_is_heard(frozen_aws: LocalAws, steps: int) -> None:
    """However many steps of the event loop lie between the two."""
    [first, second] = running(frozen_aws, 2)

    async def main() -> None:
        watcher = VirtualAws(frozen_aws).watcher()
        await watcher.terminate(first, "r")
        for _ in range(steps):
            await asyncio.sleep(0)
        await watcher.terminate(second, "r")

    run(main())
    assert left(frozen_aws) == 0


def test_a_stop_waits_for_credentials_that_are_not_found(frozen_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as it is tried at all: botocore finds none, too, while the metadata of the host does not answer."""
    ids, make, away = running(frozen_aws, 3), frozen_aws.clients(), [True]
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)

    def clients(service: str, **how: Any) -> Any:
        if away[0]:
            raise NoCredentialsError(service=service)
        return make(service, **how)

    async def main() -> None:
        watcher = VirtualAws(frozen_aws).watcher(clients)
        stops = asyncio.gather(*(stop(watcher, job_id) for job_id in ids[:2]))
        await asyncio.sleep(30)
        away[0] = False
        await stops
        away[0] = True
        watcher = VirtualAws(frozen_aws).watcher(clients)
        began = asyncio.get_running_loop().time()
        with pytest.raises(CredentialsError, match="Unable to locate credentials"):
            await stop(watcher, ids[2])
        assert TERMINATE_SECONDS <= asyncio.get_running_loop().time() - began < TERMINATE_SECONDS + 10

    run(main())
    assert left(frozen_aws) == 1


def test_stops_take_a_few_threads(frozen_aws: LocalAws) -> None:
    """Calls that hang do not add up."""
    ids = running(frozen_aws, 200)
    open_now = most = 0

    async def main() -> None:
        virtual = VirtualAws(frozen_aws)

        async def call(work: Callable[[], Any]) -> Any:
            nonlocal open_now, most
            open_now += 1
            most = max(most, open_now)
            try:
                await asyncio.sleep(3)
                return await virtual.call(work)
            finally:
                open_now -= 1

        watcher = JobWatcher(frozen_aws.clients(), clock=virtual, run=call)
        failed = await watcher.terminate_all({job_id: f"reason {job_id}" for job_id in ids})
        assert not failed

    run(main())
    assert most == CALLS_AT_ONCE
    assert left(frozen_aws) == 0


def test_a_client_that_hangs_while_it_is_made_keeps_no_stop(aws: LocalAws) -> None:
    """The client for stops exists by then, also where the clients of a session are made one after the other."""
    aws.script(definition="long", running=60)
    [job_id] = aws.submit(aws.register("long"))
    make, making, hangs, release = aws.clients(), threading.Lock(), threading.Event(), threading.Event()

    def clients(service: str, **how: Any) -> Any:
        with making:
            if service == "logs":
                hangs.set()
                release.wait(60)
            return make(service, **how)

    async def main() -> float:
        async with JobWatcher(clients).follow(job_id, poll_interval=0.2) as follower:
            async for _ in follower:
                if follower.log_streams():
                    break
            assert await asyncio.to_thread(hangs.wait, 60)
            began = time.monotonic()
            await follower.terminate("a user's stop")
            return time.monotonic() - began

    try:
        assert asyncio.run(main()) < 30
    finally:
        release.set()
    assert aws.job(job_id)["isTerminated"]


def test_a_look_up_that_hangs_keeps_no_stop(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though all that need a client wait for the first one: another one is made beside it."""
    monkeypatch.setattr(clients, "_HANG_SECONDS", 0.1)
    [job_id] = aws.submit(aws.register("long", ["sleep", "60"]))
    opened, hangs, release = list[int](), threading.Event(), threading.Event()

    def open_session() -> ClientFactory:
        opened.append(1)
        if len(opened) == 1:
            hangs.set()
            release.wait(60)
            raise OSError("too late")
        return aws.clients()

    async def main() -> None:
        async with JobWatcher(KeptClients(open_session)).follow(job_id, poll_interval=0.2) as follower:
            assert await asyncio.to_thread(hangs.wait, 60)
            await asyncio.wait_for(follower.terminate("a user's stop"), 30)

    try:
        asyncio.run(main())
    finally:
        release.set()
    assert aws.job(job_id)["isTerminated"]


def test_a_users_stop_overtakes_what_lies_in_line(frozen_aws: LocalAws) -> None:
    """Also the termination of the same job, which was not urgent until then."""
    ids = running(frozen_aws, 300)

    async def main() -> float:
        watcher = VirtualAws(frozen_aws).watcher()
        reasons = {job_id: f"orphan {job_id}" for job_id in ids}
        sweep = asyncio.create_task(watcher.terminate_all(reasons, is_urgent=False))
        await asyncio.sleep(0.2)
        took = await stop(watcher, ids[-1])
        await sweep
        return took

    assert run(main()) < 1
    assert left(frozen_aws) == 0
