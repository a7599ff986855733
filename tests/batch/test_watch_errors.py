"""JobWatcher when AWS does not behave, in virtual time over the local AWS."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import HTTPClientError

from airflow_batch_jobs.batch.aws import Trouble, trouble
from airflow_batch_jobs.batch.watch import Ended, JobWatcher, LogLines, Problem, StatusChange, Waiting
from airflow_batch_jobs.batch.watching.calls import ask
from airflow_batch_jobs.errors import (
    AccessDeniedError,
    BatchJobsError,
    CredentialsError,
    EndpointError,
    JobNotFoundError,
    RequestRefusedError,
)
from tests.batch.virtual import VirtualAws, consume, follow_to_end, lines_of, run, run_beside

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.watching.updates import Update
    from airflow_batch_jobs.local.server import LocalAws


def talking(aws: LocalAws, count: int = 1, **script: Any) -> list[str]:
    """Submit jobs that write a line a second for 30 s, and return their ids."""
    aws.script(definition="talk", **{"running": 30, "lines": {"count": 30, "rate": 1.0}, **script})
    return aws.submit(aws.register("talk"), count=count)


def assert_complete(updates: list[Update], count: int = 30) -> None:
    """See that all lines came once each and in order, and the end."""
    assert lines_of(updates) == [f"line {number}" for number in range(1, count + 1)]
    assert isinstance(updates[-1], Ended)


@pytest.mark.parametrize("kind", ["throttle", "drop", "server_error", "not_json", "expired"])
def test_what_passes_is_waited_out(frozen_aws: LocalAws, kind: str) -> None:
    """With 30 of 100 calls failing every line comes once, in order, and no follower ends."""
    [job_id] = talking(frozen_aws)
    frozen_aws.fault("*", kind, share=0.3)

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    assert_complete(run(main()))


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


@pytest.mark.parametrize("stumble", [AttributeError, UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), TypeError])
def test_what_botocore_stumbles_over_is_no_bug_of_ours(stumble: Any) -> None:
    """JSON that is not AWS's makes botocore's parser fail; that is an endpoint out of order."""

    class Client:
        def describe_jobs(self, **_: Any) -> None:
            raise stumble

    with pytest.raises(HTTPClientError) as raised:
        ask(Client(), "describe_jobs", "jobs", jobs=[])
    assert trouble(raised.value) is Trouble.TRANSIENT


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
    """When AWS bears half of the calls that there would be, only a few of them are throttled."""
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
    waiting = [update.problem for update in updates if isinstance(update, Waiting)]
    assert len(waiting) == 2
    assert "DescribeJobs" in waiting[0]
    assert waiting[1] == ""
    assert seconds < 204 + 15
    dropped = [call for call in frozen_aws.requests() if call.outcome == "dropped"]
    assert 10 < len(dropped) < 90  # twice 120 s, with up to 5 s between two calls


def test_who_comes_during_an_outage_is_told_of_it(frozen_aws: LocalAws) -> None:
    """A follower that begins while AWS does not answer hears so at once."""
    ids = talking(frozen_aws, 2, running=100)
    frozen_aws.fault("*", "drop")

    async def main() -> None:
        watcher = VirtualAws(frozen_aws).watcher()
        async with watcher.follow(ids[0]) as first:
            assert isinstance(await anext(first), Waiting)
            async with watcher.follow(ids[1]) as second:
                assert isinstance(await anext(second), Waiting)

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
    waiting = [update.problem for update in updates if isinstance(update, Waiting)]
    assert "logs:FilterLogEvents" in waiting[0]
    assert waiting[1:] == [""]


def test_an_unknown_id_is_an_error_after_a_minute(frozen_aws: LocalAws) -> None:
    """Within the minute AWS may not know a job yet; then it is said clearly."""

    async def main() -> float:
        with pytest.raises(JobNotFoundError, match="no-such-job"):
            await follow_to_end(VirtualAws(frozen_aws).watcher().follow("no-such-job"))
        return asyncio.get_running_loop().time()

    assert 60 <= run(main()) <= 66


def test_an_unknown_id_of_long_ago_is_an_error_soon(frozen_aws: LocalAws) -> None:
    """When the job was submitted long ago, AWS has forgotten it, and a second look is enough."""

    async def main() -> float:
        virtual = VirtualAws(frozen_aws)
        long_ago = virtual.now() - timedelta(days=3)
        with pytest.raises(JobNotFoundError):
            await follow_to_end(virtual.watcher().follow("no-such-job", submitted_at=long_ago))
        return asyncio.get_running_loop().time()

    assert run(main()) <= 6


def test_a_job_that_aws_does_not_know_yet_is_followed_when_it_does(frozen_aws: LocalAws) -> None:
    """A DescribeJobs that lags behind the submit by 40 s costs nothing but time, nor does one that leaves jobs out."""
    [job_id] = talking(frozen_aws, running=90, lines={"count": 90, "rate": 1.0})
    frozen_aws.fault("DescribeJobs", "lag", seconds=40)
    frozen_aws.fault("DescribeJobs", "omit", share=0.3)

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    assert_complete(run(main()), 90)


def test_a_job_that_was_known_and_is_forgotten_is_an_error(frozen_aws: LocalAws) -> None:
    """A follower does not wait for ever for a job that AWS does not mention any more."""
    [job_id] = talking(frozen_aws, running=1_000)

    async def main() -> None:
        watcher = VirtualAws(frozen_aws).watcher()
        await run_beside(
            follow_to_end(watcher.follow(job_id)), (20, lambda: frozen_aws.fault("DescribeJobs", "omit", share=1.0))
        )

    with pytest.raises(JobNotFoundError):
        run(main())


def test_without_the_permission_to_describe_all_followers_end(frozen_aws: LocalAws) -> None:
    """The error names the action that is missing."""
    ids = talking(frozen_aws, 3)
    frozen_aws.fault("DescribeJobs", "denied")

    async def main() -> list[Any]:
        watcher = VirtualAws(frozen_aws).watcher()
        return await asyncio.gather(*(follow_to_end(watcher.follow(each)) for each in ids), return_exceptions=True)

    for error in run(main()):
        assert isinstance(error, AccessDeniedError)
        assert error.action == "batch:DescribeJobs"
        assert "batch:DescribeJobs" in str(error)


def test_without_the_permission_to_read_logs_the_status_goes_on(frozen_aws: LocalAws) -> None:
    """One problem is told, with the action and the group; the job is followed to its end all the same."""
    [job_id] = talking(frozen_aws)
    frozen_aws.fault("FilterLogEvents", "denied")

    async def main() -> tuple[list[Update], float]:
        updates = await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))
        return updates, asyncio.get_running_loop().time()

    updates, seconds = run(main())
    [problem] = [update.message for update in updates if isinstance(update, Problem)]
    assert "logs:FilterLogEvents" in problem
    assert "/aws/batch/job" in problem
    assert isinstance(updates[-1], Ended)
    assert updates[-1].detail.is_final
    assert seconds < 34 + 6
    assert len(frozen_aws.requests("FilterLogEvents")) == 1


def test_a_stream_that_cloudwatch_refuses_is_a_problem_of_its_own_job(frozen_aws: LocalAws) -> None:
    """A request that is refused for what it asks ends no follower."""
    [job_id] = talking(frozen_aws)
    frozen_aws.fault("FilterLogEvents", "error", code="InvalidParameterException", status=400, message="no such name")

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    updates = run(main())
    [problem] = [update.message for update in updates if isinstance(update, Problem)]
    assert "no such name" in problem
    assert isinstance(updates[-1], Ended)


def test_expired_credentials_have_the_clients_built_anew(frozen_aws: LocalAws) -> None:
    """A client whose credentials have run out is replaced, and nothing is lost."""
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
    assert made.count("batch") == 2
    assert made.count("logs") == 2


def test_without_credentials_all_followers_end(frozen_aws: LocalAws) -> None:
    """No credentials, and credentials that AWS does not know, are errors that asking again would not mend."""
    [job_id] = talking(frozen_aws)

    def without(service: str, **_: Any) -> Any:
        from botocore.exceptions import NoCredentialsError

        raise NoCredentialsError(service=service)

    async def main(clients: Any) -> None:
        await follow_to_end(VirtualAws(frozen_aws).watcher(clients).follow(job_id))

    with pytest.raises(CredentialsError):
        run(main(without))
    frozen_aws.fault(
        "DescribeJobs", "error", code="UnrecognizedClientException", status=403, message="the security token is invalid"
    )
    with pytest.raises(CredentialsError):
        run(main(None))


def test_an_id_that_aws_takes_offence_at_ends_its_own_follower_only(frozen_aws: LocalAws) -> None:
    """A call that is refused is divided until the id that is the reason is alone."""
    ids = talking(frozen_aws, 5, running=10, lines=[])
    make = frozen_aws.clients()

    def clients(service: str, **how: Any) -> Any:
        client = make(service, **how)

        def refuse(params: dict[str, Any], **_: Any) -> None:
            if ids[3] in params["jobs"]:
                from botocore.exceptions import ClientError

                answer: Any = {"Error": {"Code": "ClientException", "Message": "bad id"}}
                answer["ResponseMetadata"] = {"HTTPStatusCode": 400}
                raise ClientError(answer, "DescribeJobs")

        if service == "batch":
            client.meta.events.register("provide-client-params.batch.DescribeJobs", refuse)
        return client

    async def main() -> list[Any]:
        watcher = VirtualAws(frozen_aws).watcher(clients)
        return await asyncio.gather(*(follow_to_end(watcher.follow(each)) for each in ids), return_exceptions=True)

    outcomes = run(main())
    assert isinstance(outcomes[3], RequestRefusedError)
    assert all(isinstance(updates[-1], Ended) for number, updates in enumerate(outcomes) if number != 3)


def test_a_bug_ends_every_follower_with_itself(frozen_aws: LocalAws) -> None:
    """What nobody expected is never waited for in silence: it comes out of every follower, and a new watch works."""
    ids = talking(frozen_aws, 3)

    class OurBugError(Exception):
        """Something that is not AWS's."""

    def broken(service: str, **_: Any) -> Any:
        raise OurBugError(service)

    async def main() -> list[Any]:
        watcher = VirtualAws(frozen_aws).watcher(broken)
        return await asyncio.gather(*(follow_to_end(watcher.follow(each)) for each in ids), return_exceptions=True)

    assert [type(error) for error in run(main())] == [OurBugError] * 3

    async def again() -> list[Update]:
        failing = [True]
        make = frozen_aws.clients()

        def clients(service: str, **how: Any) -> Any:
            if failing.pop() if failing else False:
                raise OurBugError(service)
            return make(service, **how)

        watcher = VirtualAws(frozen_aws).watcher(clients)
        async with watcher.follow(ids[0]) as first:
            with pytest.raises(OurBugError):
                await anext(first)
            return await follow_to_end(watcher.follow(ids[0]))

    assert_complete(run(again()))


def test_a_watcher_that_is_cancelled_from_outside_leaves_nobody_waiting(frozen_aws: LocalAws) -> None:
    """Somebody who cancels all tasks of a loop ends the followers, too."""
    [job_id] = talking(frozen_aws, running=1_000)

    async def main() -> None:
        async with VirtualAws(frozen_aws).watcher().follow(job_id) as follower:
            await anext(follower)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            with pytest.raises(BatchJobsError, match="cancelled"):
                await consume(follower, [])

    run(main())


def test_describe_now_and_terminate_say_why_they_cannot(frozen_aws: LocalAws) -> None:
    """Access denied, and an endpoint that stays away, are our own errors with the action's name."""
    [job_id] = talking(frozen_aws, running=1_000)

    async def main() -> None:
        watcher = VirtualAws(frozen_aws).watcher()
        await asyncio.sleep(10)
        frozen_aws.fault("TerminateJob", "denied", times=1)
        with pytest.raises(AccessDeniedError, match="batch:TerminateJob"):
            await watcher.terminate(job_id, "enough")
        frozen_aws.fault("TerminateJob", "server_error")
        with pytest.raises(EndpointError, match="batch:TerminateJob"):
            await watcher.terminate(job_id, "enough")
        frozen_aws.clear_faults()
        frozen_aws.fault("TerminateJob", "expired", times=1)
        frozen_aws.fault("TerminateJob", "drop", times=1)
        await watcher.terminate(job_id, "enough")
        async with watcher.follow(job_id) as follower:
            frozen_aws.fault("DescribeJobs", "denied")
            with pytest.raises(AccessDeniedError):
                await follower.describe_now()
            with pytest.raises(AccessDeniedError):
                await follower.describe_now()

    run(main())


def test_a_failed_array_whose_children_may_not_be_listed_ends_all_the_same(frozen_aws: LocalAws) -> None:
    """Which children failed is left out of the end when AWS does not tell."""
    frozen_aws.script(definition="talk", running=5, attempts=[1])
    [job_id] = frozen_aws.submit(frozen_aws.register("talk"), arrayProperties={"size": 2})
    frozen_aws.fault("ListJobs", "throttle", times=1)
    frozen_aws.fault("ListJobs", "denied")

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id, copy_logs=False))

    end = run(main())[-1]
    assert isinstance(end, Ended)
    assert end.parts == ()


def test_problems_and_states_come_before_the_error_that_ends_a_follower(frozen_aws: LocalAws) -> None:
    """What was known before the end of the following is told first."""
    [job_id] = talking(frozen_aws, running=1_000)

    async def main() -> list[Update]:
        updates: list[Update] = []
        async with VirtualAws(frozen_aws).watcher().follow(job_id) as follower:
            await asyncio.sleep(20)
            frozen_aws.fault("DescribeJobs", "denied")
            await asyncio.sleep(20)
            with pytest.raises(AccessDeniedError):
                await consume(follower, updates)
        return updates

    updates = run(main())
    assert isinstance(updates[0], StatusChange)
    assert any(isinstance(update, LogLines) for update in updates)


def test_a_watcher_in_use_needs_no_options(frozen_aws: LocalAws) -> None:
    """The defaults are those of the configuration."""
    options = JobWatcher(frozen_aws.clients()).options
    assert (options.status_calls_per_second, options.log_calls_per_second, options.log_lines_per_second) == (10, 4, 400)
    assert (options.log_settle_seconds, options.log_lookback_seconds) == (5, 120)
