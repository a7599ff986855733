"""What a wait writes into the task log, and how it ends, in virtual time."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from contextlib import suppress
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from airflow_batch_jobs.batch.log_stream import MOST_NAMED
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.task.handover import UNREAD_BYTES, Outcome, WaitPlan
from airflow_batch_jobs.task.wait import ASK_AGAIN_SECONDS, JobWait, WaitListener
from tests.batch.virtual import VirtualAws, run, run_beside

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from airflow_batch_jobs.local.server import LocalAws


def waited(aws: LocalAws, *events: tuple[float, Callable[[], object]], **how: Any) -> tuple[Outcome, list[str]]:
    """Submit a job and wait for it; return the outcome and the lines of the task log."""
    outcome, lines = logged(aws, *events, **how)
    return outcome, [line for _, line in lines]


def logged(
    aws: LocalAws,
    *events: tuple[float, Callable[[], object]],
    deadline_seconds: float | None = None,
    is_current: Callable[[], Awaitable[bool]] | None = None,
    job: Mapping[str, Any] = MappingProxyType({}),
    definition: str = "job:1",
    **plan: Any,
) -> tuple[Outcome, list[tuple[str, str]]]:
    """Submit a job and wait for it; return the outcome and the lines of the task log with their levels."""
    [job_id] = aws.submit(definition, **job)

    async def main() -> Outcome:
        virtual = VirtualAws(aws)
        deadline = None if deadline_seconds is None else virtual.now() + timedelta(seconds=deadline_seconds)
        whole_plan = WaitPlan(job_id=job_id, deadline=deadline, **plan)
        async with JobWait(whole_plan, virtual.watcher(), is_current=is_current) as wait:
            return await run_beside(wait.outcome(), *events) if events else await wait.outcome()

    with capture_logs() as entries:
        outcome = run(main())
    return outcome, [(entry["log_level"], str(entry["event"])) for entry in entries]


@pytest.fixture
def aws(frozen_aws: LocalAws) -> LocalAws:
    """The frozen local AWS with a definition."""
    frozen_aws.register("job")
    return frozen_aws


def test_states_are_a_line_each_and_lines_come_between_them(aws: LocalAws) -> None:
    """The log reads as the job went."""
    aws.script(definition="job", running=60, lines=["one", "two"])
    outcome, lines = waited(aws)
    assert lines[0] in {"SUBMITTED", "PENDING", "RUNNABLE"}
    assert [line for line in lines if line in JobStatus.__members__][-2:] == ["RUNNING", "SUCCEEDED"]
    assert lines.index("one") < lines.index("two")
    assert outcome.succeeded
    assert outcome.summary.startswith("SUCCEEDED in 1 min")


def test_a_failed_job_is_diagnosed(aws: LocalAws) -> None:
    """The outcome says why, in a form that crosses to the worker; the log in one line, and no other says so."""
    aws.script(definition="job", attempts=[{"exit_code": 137, "reason": "OutOfMemoryError: killed"}])
    outcome, lines = logged(aws)
    assert outcome.failed
    assert "memory" in str(outcome.diagnosis).lower()
    [failure] = [(level, line) for level, line in lines if level == "error" or "FAILED" in line]
    assert failure[0] == "error"
    assert failure[1].startswith("The container ran out of memory (exit code 137). Give it more memory")


def test_a_failed_array_is_one_line_as_well(aws: LocalAws) -> None:
    """Which its children have to be known for: the counts come at once."""
    aws.script(definition="job", attempts=[{"exit_code": 3}])
    outcome, lines = logged(aws, job={"arrayProperties": {"size": 2}})
    assert outcome.failed
    [(_, failure)] = [line for line in lines if line[0] == "error"]
    assert failure.startswith("2 of 2 children failed; child 0: The container failed by itself (exit code 3). Read the")
    assert lines.index(("info", "Children: 2 FAILED")) < lines.index(("error", failure))
    assert [line for _, line in lines if line.startswith("FAILED")] == []


def test_a_failed_multi_node_job_is_one_line_as_well(aws: LocalAws) -> None:
    """The same: which node failed, and no line before that says no more than FAILED."""
    container = {"image": "i", "command": ["c"], "vcpus": 1, "memory": 128}
    aws.clients()("batch").register_job_definition(
        jobDefinitionName="job",
        type="multinode",
        nodeProperties={
            "numNodes": 2,
            "mainNode": 0,
            "nodeRangeProperties": [{"targetNodes": "0:1", "container": container}],
        },
    )
    aws.script(definition="job", attempts=[{"exit_code": 3}])
    _, lines = logged(aws, definition="job:2")
    assert [level for level, line in lines if "FAILED" in line or "exit code 3" in line] == ["error"]


def test_a_further_attempt_is_told_with_its_number(aws: LocalAws) -> None:
    """Of how many, and how the one before ended, once; what AWS says of every job that ends is no reason."""
    aws.script(definition="job", running=60, attempts=[{"exit_code": 3}, {"exit_code": 0}])
    _, lines = waited(aws, job={"retryStrategy": {"attempts": 3}})
    states = [line for line in lines if line.startswith("attempt 2 of 3: ")]
    assert [line for line in states if line.endswith(" (attempt 1: exit code 3)")] == states[:1]
    assert states[-1].startswith("attempt 2 of 3: RUNNING")
    assert not [line for line in lines if "Essential container" in line]


def test_the_id_is_not_told_again(aws: LocalAws) -> None:
    """It is told at the submit: no line of the wait has it, whatever becomes of the job."""
    reason = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none"
    aws.script(definition="job", runnable=900, runnable_reason=reason, attempts=[{"exit_code": 1}])
    for how in ({}, {"deadline_seconds": 300}):
        outcome, lines = waited(aws, **how)
        assert not [line for line in lines if outcome.job_id in line]


@pytest.mark.long
def test_a_job_that_is_stuck_says_why_once(aws: LocalAws) -> None:
    """What may pass by itself is a warning once it has lasted, and not at every look."""
    reason = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none"
    aws.script(definition="job", runnable=7200, runnable_reason=reason)
    outcome, lines = logged(aws, deadline_seconds=3600, terminate_on_kill=False)
    assert outcome.timed_out
    at_first, worry = [(level, line) for level, line in lines if line.startswith("RUNNABLE: No instance of the types")]
    assert at_first == ("info", f"RUNNABLE: No instance of the types that it may run on is available. ({reason})")
    assert worry[0] == "warning"
    assert ". Allow more instance types" in worry[1]
    assert "(RUNNABLE for 10 min" in worry[1]
    assert worry[1].endswith(f"; {reason})")


@pytest.mark.long
def test_what_has_to_be_mended_before_a_job_starts_is_a_warning_at_the_first_look(aws: LocalAws) -> None:
    """With what to do, and once."""
    reason = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - the job asks for more than there may be"
    aws.script(definition="job", runnable=7200, runnable_reason=reason)
    _, lines = logged(aws, deadline_seconds=3600, terminate_on_kill=False)
    said = "RUNNABLE: The job asks for more vCPUs than its compute environments can have. Raise `maxvCpus` of"
    assert [level for level, line in lines if line.startswith(said)] == ["warning"]
    assert len([line for _, line in lines if line.startswith("RUNNABLE: ")]) == 1


def test_a_reason_that_goes_away_is_nothing_to_worry_about(aws: LocalAws) -> None:
    """A healthy queue reports a lack of capacity while its first instance boots."""
    reason = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - no instance yet"
    aws.script(definition="job", runnable=300, runnable_reason=reason, running=10)
    outcome, lines = logged(aws)
    assert outcome.succeeded
    assert not [line for level, line in lines if level == "warning"]


def test_a_deadline_terminates_the_job_and_waits_for_its_last_lines(aws: LocalAws) -> None:
    """The outcome is a timeout although the job has ended by then."""
    aws.script(definition="job", running=3600, stopping=20, lines={"count": 600, "rate": 1.0})
    outcome, lines = waited(aws, deadline_seconds=60)
    assert outcome.timed_out
    assert outcome.failed
    assert any(line.startswith("The task's time ran out") for line in lines)
    assert "execution_timeout" in outcome.job["status_reason"]


def test_a_deadline_of_an_attempt_that_was_replaced_leaves_the_job(aws: LocalAws) -> None:
    """The next attempt may have adopted the job; the wait keeps asking, since no answer at all looks the same."""
    aws.script(definition="job", running=3600)
    answers = iter([False, False, True])

    async def is_current() -> bool:
        return next(answers)

    outcome, _ = waited(aws, deadline_seconds=60, is_current=is_current)
    assert outcome.timed_out
    [job] = aws.jobs()
    assert (job["stoppedAt"] - job["createdAt"]) / 1000 == pytest.approx(60 + 2 * ASK_AGAIN_SECONDS, abs=2)


def test_a_deadline_leaves_a_job_alone_that_is_only_watched(aws: LocalAws) -> None:
    """A sensor's time is up, not its job's."""
    aws.script(definition="job", running=3600)
    outcome, _ = waited(aws, deadline_seconds=60, terminate_on_kill=False)
    assert outcome.timed_out
    assert outcome.job["status"] == "RUNNING"
    assert not aws.counts().get("TerminateJob")


def test_a_job_that_may_not_be_terminated_is_reported(aws: LocalAws) -> None:
    """The wait ends all the same, and the log names the permission."""
    aws.script(definition="job", running=3600)
    aws.fault("TerminateJob", "denied")
    outcome, lines = waited(aws, deadline_seconds=60)
    assert outcome.timed_out
    assert any("may still be running" in line and "batch:TerminateJob" in line for line in lines)


def test_an_outage_is_told_once_and_waited_out(aws: LocalAws) -> None:
    """A wait survives an endpoint that is gone for two minutes."""
    aws.script(definition="job", running=600)
    outage = (
        (30.0, lambda: aws.fault("*", "drop")),
        (150.0, aws.clear_faults),
    )
    outcome, lines = waited(aws, *outage)
    assert outcome.succeeded
    assert lines.count("AWS Batch answers again.") == 1


@pytest.mark.long
def test_what_was_known_of_a_wait_goes_without_a_garbage_collection(aws: LocalAws) -> None:
    """A triggerer leaves waits out of its collections."""
    aws.script(definition="job", running=60, lines=5)
    [job_id] = aws.submit("job:1")

    async def main() -> weakref.ref[JobWait]:
        async with JobWait(WaitPlan(job_id=job_id), VirtualAws(aws).watcher(), listener=WaitListener()) as wait:
            await wait.outcome()
        return weakref.ref(wait)

    gc.collect()
    gc.disable()
    try:
        assert run(main())() is None
    finally:
        gc.enable()


@pytest.mark.long
def test_whoever_holds_a_wait_goes_without_a_garbage_collection(aws: LocalAws) -> None:
    """A trigger answers its own wait's question, and neither keeps the other alive."""
    aws.script(definition="job", running=60)
    [job_id] = aws.submit("job:1")

    class Holder:
        """Stands for the trigger of a wait."""

        wait: JobWait

        async def is_current(self) -> bool:
            """Answer the wait's question."""
            return True

    async def main() -> weakref.ref[Holder]:
        holder = Holder()
        holder.wait = JobWait(WaitPlan(job_id=job_id), VirtualAws(aws).watcher(), is_current=holder.is_current)
        async with holder.wait:
            await holder.wait.outcome()
        return weakref.ref(holder)

    gc.collect()
    gc.disable()
    try:
        assert run(main())() is None
    finally:
        gc.enable()


def test_a_wait_that_was_cut_off_goes_on(aws: LocalAws) -> None:
    """A user's stop cancels it; the last lines are waited for nevertheless."""
    aws.script(definition="job", running=60, lines={"count": 60, "rate": 1.0})
    [job_id] = aws.submit("job:1")

    async def main() -> Outcome:
        async with JobWait(WaitPlan(job_id=job_id), VirtualAws(aws).watcher()) as wait:
            for _ in range(20):
                with suppress(TimeoutError):
                    await asyncio.wait_for(wait.outcome(), 1.7)
            return await wait.outcome()

    with capture_logs() as entries:
        assert run(main()).succeeded
    lines = [entry["event"] for entry in entries if entry["event"].startswith("line ")]
    assert lines == [f"line {number}" for number in range(1, 61)]


def test_an_unknown_job_ends_the_wait_with_an_error(frozen_aws: LocalAws) -> None:
    """After a minute an id that AWS does not know is an error."""

    async def main() -> Outcome:
        virtual = VirtualAws(frozen_aws)
        async with JobWait(WaitPlan(job_id="nobody"), virtual.watcher()) as wait:
            return await wait.outcome()

    outcome = run(main())
    assert outcome.error is not None
    assert outcome.error["type"] == "JobNotFoundError"


def test_streams_that_are_not_complete_are_named(aws: LocalAws) -> None:
    """A few one by one, with the reason and the place; the others are counted."""
    aws.script(definition="job", running=5, lines=3)
    aws.fault("FilterLogEvents", "denied")
    _, lines = waited(aws)
    [line] = [line for line in lines if "is not complete" in line]
    assert line.startswith("The log is not complete; the rest is in log group ")
    assert line.endswith(", region us-east-1. CloudWatch Logs does not let it be read.")

    [job_id] = aws.submit("job:1", arrayProperties={"size": MOST_NAMED + 3})

    async def main() -> Outcome:
        async with JobWait(WaitPlan(job_id=job_id), VirtualAws(aws).watcher()) as wait:
            return await wait.outcome()

    with capture_logs() as entries:
        run(main())
    told = [str(entry["event"]) for entry in entries if "complete" in str(entry["event"])]
    assert [line.partition(" is not")[0] for line in told[:-1]] == [f"The log of child {n}" for n in range(MOST_NAMED)]
    assert told[-1].startswith("3 more log streams of the job are not complete")


@pytest.mark.long
def test_an_event_is_small_however_much_of_a_log_is_left(aws: LocalAws) -> None:
    """Streams for whose cursors there is no space are named; those of the others fit, and lines may come twice."""
    aws.script(definition="job", running=20, lines={"count": 800, "rate": 50.0})
    [job_id] = aws.submit("job:1", arrayProperties={"size": 200})

    async def main() -> Outcome:
        watcher = VirtualAws(aws).watcher(log_lines_per_second=20, unread_bytes=UNREAD_BYTES)
        async with JobWait(WaitPlan(job_id=job_id), watcher) as wait:
            return await wait.outcome()

    with capture_logs() as entries:
        outcome = run(main())
    assert len(json.dumps(outcome.to_event())) < 48 * 1024
    told = [str(entry["event"]) for entry in entries]
    [more] = [line for line in told if "more log streams of the job are not complete" in line]
    assert len(outcome.unread) + MOST_NAMED + int(more.split()[0]) == 200
    assert sum("Too many log streams of the job have lines left." in line for line in told) == MOST_NAMED
    assert any(line.startswith("What is left of the log is read from further back") for line in told)


def told_of(aws: LocalAws, job_id: str) -> list[tuple[dict[str, Any], bool]]:
    """Wait for a job; return what there was to tell of it meanwhile, each as it was then, and whether it was urgent."""
    told: list[tuple[dict[str, Any], bool]] = []

    async def main() -> None:
        def on_news(job: Callable[[], Any], *, is_urgent: bool) -> None:
            told.append((job(), is_urgent))

        plan = WaitPlan(job_id=job_id)
        async with JobWait(plan, VirtualAws(aws).watcher(), on_news=on_news) as wait:
            outcome = await wait.outcome()
        told.append((outcome.job, False))

    run(main())
    return told


def test_what_is_urgent_to_tell_is_that_a_job_runs_or_why_it_does_not(aws: LocalAws) -> None:
    """Each time with all that is known: a second attempt has the first one's end."""
    aws.register("twice", retryStrategy={"attempts": 2})
    reason = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none left"
    timetable = {"runnable": 20, "runnable_reason": reason, "starting": 20, "running": 20}
    aws.script(definition="twice", **timetable, attempts=[{"exit_code": 3}, {}])
    [job_id] = aws.submit("twice:1")
    told = told_of(aws, job_id)
    urgent = [(job["status"], len(job["attempts"])) for job, is_urgent in told if is_urgent]
    assert list(dict.fromkeys(urgent)) == [("RUNNABLE", 0), ("RUNNING", 1), ("RUNNABLE", 1), ("RUNNING", 2)]
    waiting = next(job for job, is_urgent in told if is_urgent)
    assert waiting["why_waiting"]["cause"] == "capacity"
    again = next(job for job, _ in told if job["status"] == "RUNNING" and len(job["attempts"]) == 2)
    first, second = again["attempts"]
    assert (first["exit_code"], second["exit_code"], second["stopped_at"]) == (3, None, None)
    end, _ = told[-1]
    assert end["status"] == "SUCCEEDED"
    assert [change["status"] for change in end["history"]].count("RUNNING") == 2


@pytest.mark.long
def test_counts_of_an_arrays_children_are_told_and_are_not_urgent(aws: LocalAws) -> None:
    """With the failed ones, and at the end the hours of all."""
    aws.register("few", containerProperties={"image": "i", "vcpus": 2, "memory": 1024, "command": ["x"]})
    aws.script(definition="few", running=60, attempts=[{"exit_code": 4}])
    [job_id] = aws.submit("few:1", arrayProperties={"size": 3})
    told = told_of(aws, job_id)
    counts = [job["children"] for job, is_urgent in told if not is_urgent]
    assert {"RUNNING": 3} in counts
    end, _ = told[-1]
    assert end["children"] == {"FAILED": 3}
    assert end["created_at"] < end["started_at"] < end["stopped_at"]
    assert [child["exit_code"] for child in end["failed_children"]] == [4, 4, 4]
    assert end["vcpu_hours"] == pytest.approx(2 * 3 * 60 / 3600, abs=0.02)
    assert end["diagnosis"]["summary"].startswith("3 of 3 children failed")
