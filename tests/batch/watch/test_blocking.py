"""A job's lines are followed as they come, by plain code."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from airflow_batch_jobs.batch.definition import JobDefinition
from airflow_batch_jobs.batch.job import BatchJob
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.watch import WatchOptions, channel
from airflow_batch_jobs.batch.watch import blocking as live
from airflow_batch_jobs.errors import AccessDeniedError, AwsError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from airflow_batch_jobs.local.server import LocalAws


def submitted(aws: LocalAws, *command: str, **script: Any) -> BatchJob:
    """A job that was submitted: of a command, or of a script."""
    if script:
        aws.script(definition="align", **script)
    aws.register("align", list(command) or ["align"])
    job = BatchJob(JobDefinition.named("align:1"), clients=aws.clients())
    job.submit("default")
    return job


pytestmark = pytest.mark.usefixtures("brisk")


@pytest.mark.long
def test_lines_are_followed_as_they_come(aws: LocalAws, tmp_path: Path) -> None:
    """The first line arrives while the job runs: only then the job goes on to its last."""
    gate = tmp_path / "gate"
    job = submitted(aws, "sh", "-c", f"echo first; until [ -e {gate} ]; do sleep 0.05; done; echo last")
    seen = []
    for _, event in job.logs(follow=True):
        seen.append(event.message)
        if event.message == "first":
            gate.touch()
    assert seen[-2:] == ["first", "last"]
    assert job.status() is JobStatus.SUCCEEDED


def test_lines_are_followed_inside_of_a_running_event_loop(aws: LocalAws) -> None:
    """A notebook runs a loop of its own; each change of the job's state can be shown there."""
    job = submitted(aws, running=0.1, lines=["one", "two"])

    async def cell() -> list[str]:
        return [
            event.message for _, event in job.logs(follow=True, on_change=lambda detail: seen.append(detail.status))
        ]

    seen: list[JobStatus] = []
    assert asyncio.run(cell()) == ["one", "two"]
    assert seen[-1] is JobStatus.SUCCEEDED


def test_a_silence_of_aws_can_be_shown_while_lines_are_followed(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it has lasted for a while, in one sentence, and when it ends."""
    monkeypatch.setattr(channel, "SILENT_SECONDS", 0.1)
    job = submitted(aws, running=600, lines=["one"])
    aws.wait_for_status(str(job.job_id), "RUNNING")
    said: list[str] = []

    def on_problem(problem: str) -> None:
        said.append(problem)
        if problem:
            aws.clear_faults()
        else:
            job.terminate("enough")

    lines = job.logs(follow=True, on_problem=on_problem)
    assert next(iter(lines))[1].message == "one"
    aws.fault("DescribeJobs", "server_error")
    assert not list(lines)
    problem, end = said
    assert problem.startswith("No answer from AWS Batch for ")
    assert not end


def test_a_reader_may_stop_following(aws: LocalAws) -> None:
    """A caller that has seen enough leaves, the job keeps running, and no thread stays."""
    job = submitted(aws, running=600, lines=["one", "two"])
    with contextlib.closing(cast("Generator[Any]", job.logs(follow=True))) as lines:
        next(lines)
    assert job.is_running()
    assert not any("airflow-batch-jobs-loop" in thread.name for thread in threading.enumerate())


def test_more_lines_than_the_watcher_passes_on_are_read_after_the_end(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line comes once and in order, also when most of them wait for the job's end."""
    monkeypatch.setattr(live, "OPTIONS", WatchOptions(log_settle_seconds=0.1, log_lines_per_second=10))
    job = submitted(aws, running=0.2, lines={"count": 6000, "rate": 60_000.0, "text": "{number}"})
    numbers = [int(event.message) for _, event in job.logs(follow=True)]
    assert numbers == list(range(numbers[0], numbers[0] + 6000))


def test_a_job_that_may_not_be_looked_at_is_an_error(aws: LocalAws) -> None:
    """What ends the watcher ends the iteration."""
    lines = submitted(aws, running=600).logs(follow=True)
    aws.fault("DescribeJobs", "denied")
    with pytest.raises(AccessDeniedError, match="batch:DescribeJobs"):
        list(lines)


def test_a_log_that_may_not_be_read_is_an_error(aws: LocalAws) -> None:
    """The permission is named."""
    job = submitted(aws, running=600, lines=["one"])
    aws.fault("FilterLogEvents", "denied")
    with pytest.raises(AwsError, match="logs:FilterLogEvents"):
        list(job.logs(follow=True))
