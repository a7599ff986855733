"""JobWatcher when AWS does not behave, in virtual time over the local AWS."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import requests
from botocore.exceptions import EndpointConnectionError, ProfileNotFound

from airflow_batch_jobs.batch.watch import Ended, JobWatcher, NoAnswer
from airflow_batch_jobs.errors import ConfigurationError
from tests.batch.virtual import VirtualAws, follow_to_end, run, run_beside
from tests.batch.watch.scripted import assert_complete, submitted, talking

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.batch.watch.updates import Update
    from airflow_batch_jobs.local.server import LocalAws


@pytest.mark.parametrize("kind", ["throttle", "drop", "server_error", "not_json", "expired"])
def test_what_passes_is_waited_out(frozen_aws: LocalAws, kind: str) -> None:
    """With 30 of 100 calls failing every line comes once, in order, and no follower ends."""
    [job_id] = talking(frozen_aws)
    frozen_aws.fault("*", kind, share=0.3)

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    assert_complete(run(main()))


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError("no route to the identity provider"),
        OSError(24, "Too many open files"),
        MemoryError(),
        RuntimeError("can't start new thread"),
        EndpointConnectionError(endpoint_url="https://sts"),
    ],
)
def test_what_keeps_a_client_from_being_made_is_waited_out(frozen_aws: LocalAws, error: Exception) -> None:
    """Whoever raises it, for a minute: the follower is told so, and no wait ends."""
    [job_id] = talking(frozen_aws, running=200, lines=[])
    make, until = frozen_aws.clients(), [0.0]

    def clients(service: str, *, region_name: str | None = None, config: Any = None) -> Any:
        if asyncio.get_running_loop().time() < until[0]:
            raise error
        return make(service, region_name=region_name, config=config)

    def expire() -> None:
        until[0] = 80.0
        frozen_aws.fault("DescribeJobs", "expired", times=1)

    async def main() -> list[Update]:
        follower = VirtualAws(frozen_aws).watcher(clients).follow(job_id, copy_logs=False)
        async with asyncio.timeout(900):
            return await run_beside(follow_to_end(follower), (20, expire))

    updates = run(main())
    assert isinstance(updates[-1], Ended)
    told = [update.problem for update in updates if isinstance(update, NoAnswer)]
    assert len(told) == 2
    assert (str(error) or repr(error)) in told[0]


def test_what_cannot_work_ends_the_waits(frozen_aws: LocalAws) -> None:
    """A profile that is on the workers' disk only does not come to the triggerer."""
    [job_id] = talking(frozen_aws)

    def clients(service: str, *, region_name: str | None = None, config: Any = None) -> Any:
        del service, region_name, config
        raise ProfileNotFound(profile="etl")

    async def main() -> None:
        async with asyncio.timeout(60):
            await follow_to_end(VirtualAws(frozen_aws).watcher(clients).follow(job_id))

    with pytest.raises(ConfigurationError, match=r"The config profile \(etl\) could not be found"):
        run(main())


def test_answers_that_get_lost_lose_no_line(frozen_aws: LocalAws) -> None:
    """A page that was sent and did not arrive is asked for again."""
    [job_id] = talking(frozen_aws)
    frozen_aws.fault("FilterLogEvents", "drop", share=0.4, after=True)

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    assert_complete(run(main()))


def test_an_answer_that_is_not_aws_is_waited_out(frozen_aws: LocalAws) -> None:
    """A proxy's page under an error status says nothing about the job, and ends no follower."""
    [job_id] = talking(frozen_aws)
    for operation in ("DescribeJobs", "FilterLogEvents"):
        frozen_aws.fault(operation, "error", code="404", status=404, share=0.3)

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    assert_complete(run(main()))


def test_a_page_token_that_cloudwatch_forgot_costs_no_line(frozen_aws: LocalAws) -> None:
    """A scan whose token is refused in the middle is repeated."""
    [job_id] = talking(frozen_aws, lines={"count": 3_000, "rate": 100.0})
    frozen_aws.fault("FilterLogEvents", "empty_page", share=0.5)
    refused = {"code": "InvalidParameterException", "status": 400, "parameter": "nextToken"}
    frozen_aws.fault("FilterLogEvents", "error", share=0.3, **refused)

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    assert_complete(run(main()), 3_000)


def test_throttling_slows_the_calls_down(frozen_aws: LocalAws) -> None:
    """If AWS allows half of the calls that there would be, only a few of them are throttled."""
    ids = talking(frozen_aws, 30, running=30, lines=[])
    frozen_aws.fault("DescribeJobs", "throttle", rate=5)

    async def main() -> None:
        watcher = VirtualAws(frozen_aws).watcher()
        followers = [watcher.follow(job_id, poll_interval=0.1, copy_logs=False) for job_id in ids]
        await asyncio.gather(*map(follow_to_end, followers))

    run(main())
    calls = frozen_aws.requests("DescribeJobs")
    throttled = [call for call in calls if call.outcome == "TooManyRequestsException"]
    assert 0 < len(throttled) < 0.1 * len(calls)


def test_an_endpoint_that_is_away_for_two_minutes_is_waited_for(frozen_aws: LocalAws) -> None:
    """Its followers are told once that they wait and once that it is over, and get every line."""
    [job_id] = talking(frozen_aws, running=200, lines={"count": 200, "rate": 1.0})

    async def main() -> tuple[list[Update], float]:
        virtual = VirtualAws(frozen_aws)
        watcher = virtual.watcher()
        updates = await run_beside(
            follow_to_end(watcher.follow(job_id)),
            (20, lambda: frozen_aws.fault("*", "drop")),
            (140, frozen_aws.clear_faults),
        )
        return updates, asyncio.get_running_loop().time()

    updates, seconds = run(main())
    assert_complete(updates, 200)
    waiting = [update for update in updates if isinstance(update, NoAnswer)]
    begun = {update.service: update.problem for update in waiting[:2]}
    assert "DescribeJobs" in begun["AWS Batch"]
    assert "FilterLogEvents" in begun[f"CloudWatch Logs in {frozen_aws.region}"]
    assert {update.service: update.problem for update in waiting[2:]} == dict.fromkeys(begun, "")
    assert len(waiting) == 4
    assert seconds < 204 + 15
    dropped = [call for call in frozen_aws.requests() if call.outcome == "dropped"]
    assert 10 < len(dropped) < 90  # twice 120 s, with up to 5 s between two calls


def test_a_problem_is_told_to_those_that_it_concerns(frozen_aws: LocalAws) -> None:
    """One region's logs to the jobs that write there, and AWS Batch to all, also while the logs' problem lasts."""
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]
    driver = {"logDriver": "awslogs", "options": {"awslogs-region": "eu-west-9"}}
    elsewhere: Any = {"image": "i", "resourceRequirements": needs, "logConfiguration": driver}
    [here] = submitted(frozen_aws, running=400, lines=[])
    frozen_aws.script(definition="away", running=400, lines=[])
    [away, late] = frozen_aws.submit(frozen_aws.register("away", containerProperties=elsewhere), count=2)
    make = frozen_aws.clients()

    def clients(service: str, *, region_name: str | None = None, config: Any = None) -> Any:
        if region_name == "eu-west-9":
            raise EndpointConnectionError(endpoint_url="https://logs.eu-west-9.amazonaws.com")
        return make(service, region_name=region_name, config=config)

    async def told(watcher: JobWatcher, job_id: str) -> list[tuple[str, bool]]:
        updates = await follow_to_end(watcher.follow(job_id))
        return [(each.service, bool(each.problem)) for each in updates if isinstance(each, NoAnswer)]

    async def main() -> list[list[tuple[str, bool]]]:
        watcher = VirtualAws(frozen_aws).watcher(clients)

        async def comes_late() -> list[tuple[str, bool]]:
            await asyncio.sleep(100)
            return await told(watcher, late)

        async def all_told() -> list[list[tuple[str, bool]]]:
            return list(await asyncio.gather(told(watcher, here), told(watcher, away), comes_late()))

        return await run_beside(
            all_told(),
            (200, lambda: frozen_aws.fault("DescribeJobs", "drop")),
            (300, frozen_aws.clear_faults),
        )

    batch = [("AWS Batch", True), ("AWS Batch", False)]
    logs = [("CloudWatch Logs in eu-west-9", True)]
    assert run(main()) == [batch, logs + batch, logs + batch]


def test_silence_is_told_as_failures_are(frozen_aws: LocalAws) -> None:
    """When calls neither return nor fail; and what was asked is asked again, by others that are not held up."""
    [job_id] = talking(frozen_aws)
    calls = 0

    async def main() -> list[Update]:
        virtual = VirtualAws(frozen_aws)

        async def call(work: Callable[[], Any]) -> Any:
            nonlocal calls
            calls += 1
            if calls < 4:
                await asyncio.sleep(36_000)
            return await virtual.call(work)

        watcher = JobWatcher(frozen_aws.clients(), clock=virtual, run=call)
        async with asyncio.timeout(300):
            return await follow_to_end(watcher.follow(job_id))

    updates = run(main())
    assert_complete(updates)
    told = [update.problem for update in updates if isinstance(update, NoAnswer)]
    assert told[0].startswith("No answer from AWS Batch for 30 s, still asking. A call to AWS, or the source")
    assert told[1:] == [""]


def test_who_comes_during_an_outage_is_told_of_it(frozen_aws: LocalAws) -> None:
    """A follower that begins while AWS does not answer hears so at once."""
    ids = talking(frozen_aws, 2, running=100)
    frozen_aws.fault("*", "drop")

    async def main() -> None:
        watcher = VirtualAws(frozen_aws).watcher()
        async with watcher.follow(ids[0]) as first:
            assert isinstance(await anext(first), NoAnswer)
            async with watcher.follow(ids[1]) as second:
                assert isinstance(await anext(second), NoAnswer)

    run(main())


def test_logs_that_are_away_are_told_of_too(frozen_aws: LocalAws) -> None:
    """When only CloudWatch does not answer, the status goes on and the followers are told."""
    [job_id] = talking(frozen_aws, running=60, lines={"count": 60, "rate": 1.0})

    async def main() -> list[Update]:
        frozen_aws.fault("FilterLogEvents", "server_error")
        watcher = VirtualAws(frozen_aws).watcher()
        return await run_beside(follow_to_end(watcher.follow(job_id)), (100, frozen_aws.clear_faults))

    updates = run(main())
    assert_complete(updates, 60)
    waiting = [update.problem for update in updates if isinstance(update, NoAnswer)]
    assert "logs:FilterLogEvents" in waiting[0]
    assert waiting[1:] == [""]


def test_expired_credentials_have_the_clients_built_anew(frozen_aws: LocalAws) -> None:
    """Clients whose credentials have expired are replaced, that for stops before it is needed, and nothing is lost."""
    [job_id] = talking(frozen_aws)
    make, made = frozen_aws.clients(), []

    def clients(service: str, **how: Any) -> Any:
        made.append(service)
        return make(service, **how)

    async def main() -> list[Update]:
        watcher = VirtualAws(frozen_aws).watcher(clients)
        return await run_beside(
            follow_to_end(watcher.follow(job_id)), (20, lambda: frozen_aws.fault("DescribeJobs", "expired", times=1))
        )

    assert_complete(run(main()))
    assert made.count("batch") == 4
    assert made.count("logs") == 2


def test_a_watcher_in_use_needs_no_options(frozen_aws: LocalAws) -> None:
    """The defaults are those of the configuration."""
    options = JobWatcher(frozen_aws.clients()).options
    assert (options.status_calls_per_second, options.log_calls_per_second, options.log_lines_per_second) == (10, 4, 400)
    assert (options.log_settle_seconds, options.log_lookback_seconds) == (5, 120)


_TIMES = ("createdAt", "startedAt", "stoppedAt")
_SURE = ("jobId", "status")  # without which it is no job, or has no end


@pytest.mark.parametrize("value", [None, [], "2026-11-27T00:00:00Z", -1, 10**30, "left out"])
def test_a_job_is_followed_to_its_end_whatever_else_aws_says_of_it(frozen_aws: LocalAws, value: Any) -> None:
    """Each member of its entry may be missing or odd, also all of its times at once."""
    frozen_aws.script(definition="talk", running=20, lines=3)
    entries = [_TIMES, *((name,) for name in _members(frozen_aws))]
    ids = frozen_aws.submit("talk:1", count=len(entries))
    odd = dict(zip(ids, entries, strict=True))

    def changed(entry: dict[str, Any]) -> dict[str, Any]:
        names = odd.get(entry["jobId"], ())
        left = {name: item for name, item in entry.items() if name not in names}
        return left if value == "left out" else left | dict.fromkeys(names, value)

    async def play() -> list[Any]:
        watcher = VirtualAws(frozen_aws).watcher(_altered(frozen_aws, changed))
        return await asyncio.gather(*(follow_to_end(watcher.follow(job_id)) for job_id in ids))

    assert all(isinstance(updates[-1], Ended) for updates in run(play()))


def _members(aws: LocalAws) -> list[str]:
    """Return the names of what AWS says of a job."""
    [job_id] = aws.submit(aws.register("talk"))
    [job] = aws.clients()("batch").describe_jobs(jobs=[job_id])["jobs"]
    return [name for name in job if name not in _SURE]


def _altered(aws: LocalAws, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[..., Any]:
    """Return clients that see the entries of DescribeJobs changed."""
    make = aws.clients()

    def client_of(service: str, **how: Any) -> Any:
        client = make(service, **how)
        if service == "batch":
            describe = client.describe_jobs

            def described(**request: Any) -> dict[str, Any]:
                answer = describe(**request)
                return {**answer, "jobs": [change(entry) for entry in answer["jobs"]]}

            client.describe_jobs = described
        return client

    return client_of
