"""JobWatcher when AWS says no, or this package has a bug: which followers end, and with what, in virtual time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.watch import Ended, LogLines, NoAnswer, Problem, StatusChange
from airflow_batch_jobs.errors import (
    AccessDeniedError,
    BatchJobsError,
    CredentialsError,
    EndpointError,
    JobNotFoundError,
    RequestRefusedError,
    WaitCrashedError,
)
from tests.batch.virtual import VirtualAws, consume, follow_to_end, run, run_beside
from tests.batch.watch.scripted import assert_complete, talking

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.watch.updates import Update
    from airflow_batch_jobs.local.server import LocalAws


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


@pytest.mark.parametrize(
    ("behind_hours", "ahead_hours"), [(-14, 0), (-0.1, 0), (0.01, 0), (0.1, 0), (14, 0), (-14, 14), (14, 14), (14, -14)]
)
def test_clocks_that_are_wrong_cost_no_job_its_minute(
    frozen_aws: LocalAws, behind_hours: float, ahead_hours: float
) -> None:
    """The worker's and this machine's: a job that shows up late is followed, one that never does is not found."""
    [job_id] = talking(frozen_aws)
    frozen_aws.fault("DescribeJobs", "lag", seconds=40)

    async def main() -> float:
        told = VirtualAws(frozen_aws).now() - timedelta(hours=behind_hours)
        virtual = VirtualAws(frozen_aws, ahead_seconds=3600 * ahead_hours)
        assert_complete(await follow_to_end(virtual.watcher().follow(job_id, submitted_at=told)))
        begun = asyncio.get_running_loop().time()
        with pytest.raises(JobNotFoundError):
            await follow_to_end(virtual.watcher().follow("no-such-job", submitted_at=told))
        return asyncio.get_running_loop().time() - begun

    assert 60 <= run(main()) <= 66


def test_a_job_that_aws_does_not_know_yet_is_followed_when_it_does(frozen_aws: LocalAws) -> None:
    """A DescribeJobs that lags behind the submit by 40 s costs nothing but time, nor does one that leaves jobs out."""
    [job_id] = talking(frozen_aws, running=90, lines={"count": 90, "rate": 1.0})
    frozen_aws.fault("DescribeJobs", "lag", seconds=40)
    frozen_aws.fault("DescribeJobs", "omit", share=0.3)

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    assert_complete(run(main()), 90)


def test_a_job_that_was_known_and_is_forgotten_is_an_error(frozen_aws: LocalAws) -> None:
    """A follower does not wait forever for a job that AWS no longer mentions."""
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
    """A request that is refused because of what it asks ends no follower."""
    [job_id] = talking(frozen_aws)
    frozen_aws.fault("FilterLogEvents", "error", code="InvalidParameterException", status=400, message="no such name")

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    updates = run(main())
    [problem] = [update.message for update in updates if isinstance(update, Problem)]
    assert "no such name" in problem
    assert isinstance(updates[-1], Ended)


def test_without_credentials_all_followers_end(frozen_aws: LocalAws) -> None:
    """No credentials, and credentials that AWS does not know, are errors that asking again would not fix."""
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


def test_credentials_that_stay_expired_end_all_followers_after_five_minutes(frozen_aws: LocalAws) -> None:
    """Until then whoever renews them in the connection keeps the waits, which look it up anew."""
    ids = talking(frozen_aws, 3, running=2_000, lines=[])

    async def until_refused(follower: Any) -> float:
        with pytest.raises(CredentialsError, match="have expired; renew them"):
            await follow_to_end(follower)
        return asyncio.get_running_loop().time()

    async def main() -> list[float]:
        watcher = VirtualAws(frozen_aws).watcher()
        following = [asyncio.create_task(until_refused(watcher.follow(each))) for each in ids]
        await asyncio.sleep(30)
        frozen_aws.fault("DescribeJobs", "expired")
        return await asyncio.gather(*following)

    assert all(330 <= ended <= 400 for ended in run(main()))


@pytest.mark.parametrize(("is_disabled", "least", "most"), [("true", 0.0, 5.0), ("false", 15.0, 40.0)])
def test_credentials_are_waited_for_where_the_host_may_have_some(
    frozen_aws: LocalAws, monkeypatch: pytest.MonkeyPatch, is_disabled: str, least: float, most: float
) -> None:
    """Where its metadata are not asked, none will come."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", is_disabled)
    [job_id] = talking(frozen_aws)

    def without(service: str, **_: Any) -> Any:
        from botocore.exceptions import NoCredentialsError

        raise NoCredentialsError(service=service)

    async def main() -> float:
        with pytest.raises(CredentialsError):
            await follow_to_end(VirtualAws(frozen_aws).watcher(without).follow(job_id))
        return asyncio.get_running_loop().time()

    assert least <= run(main()) <= most


def test_credentials_that_are_not_found_for_seconds_are_waited_for(frozen_aws: LocalAws) -> None:
    """Botocore finds none, too, while the metadata of the host does not answer; asking goes on with new clients."""
    ids = talking(frozen_aws, 3, running=300, lines=[])
    make, away = frozen_aws.clients(), [False]

    def clients(service: str, **how: Any) -> Any:
        from botocore.exceptions import NoCredentialsError

        if away[0]:
            raise NoCredentialsError(service=service)
        return make(service, **how)

    async def main() -> list[list[Update]]:
        watcher = VirtualAws(frozen_aws).watcher(clients)
        following = [asyncio.create_task(follow_to_end(watcher.follow(each))) for each in ids]
        await asyncio.sleep(30)
        away[0] = True
        frozen_aws.fault("DescribeJobs", "expired", times=1)
        await asyncio.sleep(10)
        away[0] = False
        return await asyncio.gather(*following)

    assert [type(updates[-1]) for updates in run(main())] == [Ended] * 3


def test_an_id_that_aws_takes_offence_at_ends_its_own_follower_only(frozen_aws: LocalAws) -> None:
    """A call that is refused is split until the id that is the reason is alone."""
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


def test_a_bug_that_concerns_all_leaves_nobody_waiting(frozen_aws: LocalAws) -> None:
    """Every follower raises an error that names its job and the bug, and a new watch works."""
    ids = talking(frozen_aws, 3)

    class OurBugError(Exception):
        """Something that is not AWS's."""

    def broken(service: str, **_: Any) -> Any:
        raise OurBugError(service)

    async def main() -> list[Any]:
        watcher = VirtualAws(frozen_aws).watcher(broken)
        return await asyncio.gather(*(follow_to_end(watcher.follow(each)) for each in ids), return_exceptions=True)

    for job_id, error in zip(ids, run(main()), strict=True):
        assert isinstance(error, WaitCrashedError)
        assert isinstance(error.__cause__, OurBugError)
        assert job_id in str(error)

    async def again() -> list[Update]:
        failing = [True]
        make = frozen_aws.clients()

        def clients(service: str, **how: Any) -> Any:
            if failing.pop() if failing else False:
                raise OurBugError(service)
            return make(service, **how)

        watcher = VirtualAws(frozen_aws).watcher(clients)
        async with watcher.follow(ids[0]) as first:
            with pytest.raises(WaitCrashedError):
                await anext(first)
            return await follow_to_end(watcher.follow(ids[0]))

    assert_complete(run(again()))


def test_a_watcher_that_is_cancelled_from_outside_leaves_nobody_waiting(frozen_aws: LocalAws) -> None:
    """Cancelling all tasks of a loop ends the followers, too."""
    [job_id] = talking(frozen_aws, running=1_000)

    async def main() -> None:
        async with VirtualAws(frozen_aws).watcher().follow(job_id) as follower:
            await anext(follower)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            with pytest.raises(BatchJobsError, match="cancelled"):
                await consume(follower, [])

    run(main())


def test_a_termination_says_why_it_cannot_be(frozen_aws: LocalAws) -> None:
    """Access denied, and an endpoint that does not come back, are this package's errors with the action's name."""
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


@pytest.mark.long
@pytest.mark.parametrize(
    ("answer", "described"),
    [
        ({"jobSummaryList": [{}, {"jobId": "1a\ud83d"}, None]}, 1),
        ({"jobSummaryList": None}, 0),
        ({}, 0),
    ],
)
def test_a_list_of_children_that_makes_no_sense_keeps_neither_its_array_nor_others(
    frozen_aws: LocalAws, answer: dict[str, Any], described: int
) -> None:
    """Entries without an id are passed over; a list that never comes, while others do, is done without."""
    frozen_aws.script(definition="talk", running=5, attempts=[1])
    [job_id] = frozen_aws.submit(frozen_aws.register("talk"), arrayProperties={"size": 2})
    frozen_aws.script(definition="other", running=600)
    [other_id] = frozen_aws.submit(frozen_aws.register("other"))

    def alter(parsed: dict[str, Any], **_event: Any) -> None:
        first = parsed.pop("jobSummaryList")[:1]
        parsed.update(answer)
        if answer.get("jobSummaryList"):
            parsed["jobSummaryList"] = answer["jobSummaryList"] + first

    def clients(service: str, *, region_name: str | None = None, config: Any = None) -> Any:
        client = frozen_aws.clients()(service, region_name=region_name, config=config)
        client.meta.events.register("after-call.batch.ListJobs", alter)
        return client

    async def main() -> tuple[list[Update], float, list[Update]]:
        watcher = VirtualAws(frozen_aws).watcher(clients)
        others: list[Update] = []
        async with watcher.follow(other_id) as other:
            watching = asyncio.create_task(consume(other, others))
            updates = await follow_to_end(watcher.follow(job_id, copy_logs=False))
            ended = asyncio.get_running_loop().time()
            watching.cancel()
        return updates, ended, others

    updates, ended, others = run(main())
    end = updates[-1]
    assert isinstance(end, Ended)
    assert len(end.parts) == described
    assert ended < 60
    assert not any(isinstance(update, NoAnswer) for update in others)


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


@pytest.mark.parametrize("before", ["expired", "drop"])
def test_each_lack_of_credentials_has_its_own_time(frozen_aws: LocalAws, before: str) -> None:
    """Expired ones, or a call that was signed, are no reason to wait less for those that are not found."""
    [job_id] = talking(frozen_aws, running=300, lines=[])
    make, phases = frozen_aws.clients(), {"away": False}

    def clients(service: str, **how: Any) -> Any:
        from botocore.exceptions import NoCredentialsError

        if phases["away"]:
            raise NoCredentialsError(service=service)
        return make(service, **how)

    async def main() -> list[Update]:
        watcher = VirtualAws(frozen_aws).watcher(clients)
        following = asyncio.create_task(follow_to_end(watcher.follow(job_id)))
        await asyncio.sleep(30)
        phases["away"] = before == "drop"
        await asyncio.sleep(4 if before == "drop" else 0)
        phases["away"] = False
        frozen_aws.fault("DescribeJobs", before)
        await asyncio.sleep(30)
        frozen_aws.clear_faults()
        frozen_aws.fault("DescribeJobs", "expired", times=1)  # so that a new client is needed
        phases["away"] = True
        await asyncio.sleep(10)
        phases["away"] = False
        return await following

    assert isinstance(run(main())[-1], Ended)


def test_an_array_whose_children_nobody_can_list_for_want_of_credentials_ends(frozen_aws: LocalAws) -> None:
    """Its own end is known; they are waited for no longer than for anything else."""
    frozen_aws.script(definition="talk", running=5, attempts=[1])
    [job_id] = frozen_aws.submit(frozen_aws.register("talk"), arrayProperties={"size": 2})
    make = frozen_aws.clients()

    def clients(service: str, **how: Any) -> Any:
        client = make(service, **how)

        def list_jobs(**_: Any) -> Any:
            from botocore.exceptions import NoCredentialsError

            raise NoCredentialsError(service=service)

        client.list_jobs = list_jobs
        return client

    async def main() -> float:
        updates = await follow_to_end(VirtualAws(frozen_aws).watcher(clients).follow(job_id, copy_logs=False))
        assert isinstance(updates[-1], Ended)
        return asyncio.get_running_loop().time()

    assert run(main()) < 60
