"""The sweep alongside a triggerer's watcher, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from airflow_batch_jobs.batch.identity import TaskIdentity, TaskKey, new_job_name, task_tags
from airflow_batch_jobs.task.connection import AwsConnection
from airflow_batch_jobs.task.metrics import StatsMeter
from airflow_batch_jobs.task.orphan_watch import OrphanWatch
from airflow_batch_jobs.task.triggerer import Triggerer
from tests.backends import Stats
from tests.batch.virtual import VirtualAws, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.batch.meter import Meter
    from airflow_batch_jobs.local.server import LocalAws
    from tests.task.api_server import ApiServer

GONE_TASK = TaskIdentity(TaskKey("d", "r", "t"), deployment="here")


@pytest.fixture
def aws(frozen_aws: LocalAws) -> LocalAws:
    """The frozen local AWS with a definition of a job that runs for an hour and another queue."""
    frozen_aws.register("job")
    frozen_aws.script(definition="job", running=3600)
    frozen_aws.clients()("batch").create_job_queue(
        jobQueueName="other", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "local"}]
    )
    return frozen_aws


def orphan(aws: LocalAws, queue: str = "default") -> str:
    """Submit a job for a task instance that does not exist."""
    name = new_job_name(GONE_TASK.job_name_prefix())
    return aws.submit("job:1", jobName=name, jobQueue=queue, tags=task_tags(GONE_TASK))[0]


def watched(
    aws: LocalAws, seconds: float, happen: Callable[[], object] = lambda: None, meter: Meter | None = None
) -> tuple[list[str], asyncio.Task[None]]:
    """Follow a job for some time with a sweep alongside; return what is logged, and the sweep's task afterwards.

    Args:
        aws: The local AWS.
        seconds: How long.
        happen: Called in the middle of it.
        meter: What the watcher measures with.
    """
    [followed] = aws.submit("job:1")

    async def main() -> asyncio.Task[None]:
        watcher = VirtualAws(aws).watcher(meter=meter)
        sweeping = OrphanWatch(watcher, "here", asyncio.Semaphore(1)).start()
        async with watcher.follow(followed, copy_logs=False):
            await asyncio.sleep(seconds / 2)
            happen()
            await asyncio.sleep(seconds / 2)
        await asyncio.wait({sweeping}, timeout=100)
        return sweeping

    with capture_logs() as entries:
        task = run(main())
    return [str(entry["event"]) for entry in entries], task


def test_an_orphan_is_ended_once_its_grace_time_is_over(aws: LocalAws, api_server: ApiServer) -> None:
    """In a queue whose jobs are followed, with a line in the triggerer's log; the sweep ends with its watcher."""
    job_id, elsewhere = orphan(aws), orphan(aws, "other")
    lines, task = watched(aws, 900)
    assert aws.job(job_id)["isTerminated"]
    assert not aws.job(elsewhere)["isTerminated"]
    [line] = lines
    assert line.startswith(f"Terminated: d.t of run r is gone. Job: {job_id} (d-t-")
    assert len(api_server.asked) == 1
    assert task.done()
    assert task.exception() is None


def test_orphans_are_counted_by_their_queue(aws: LocalAws, api_server: ApiServer) -> None:
    """Each once, since it is ended by the sweep that finds it."""
    del api_server
    stats = Stats()
    orphan(aws)
    watched(aws, 900, meter=(meter := StatsMeter(stats, has_tags=True)))
    meter.flush()
    assert [told for told in stats.told if told[0] == "batch_jobs.orphans"] == [
        ("batch_jobs.orphans", 1, {"queue": "default"})
    ]


def test_a_sweep_comes_once_a_minute(aws: LocalAws, api_server: ApiServer) -> None:
    """Two looks at each queue, each of one listing for each active state."""
    watched(aws, 290)
    assert aws.counts()["ListJobs"] == 4 * 2 * 5
    assert not api_server.asked


def test_a_sweep_that_fails_is_tried_again(aws: LocalAws, api_server: ApiServer) -> None:
    """A failure of AWS or of the API server neither ends it nor terminates anything meanwhile."""
    aws.advance(900)
    job_id = orphan(aws)
    aws.advance(900)
    api_server.failures = 2
    aws.fault("ListJobs", "throttle", times=1)
    lines, _ = watched(aws, 280)
    assert [line.partition(":")[0] for line in lines[:3]] == [
        "The sweep for orphans failed and will be tried again"
    ] * 3
    assert aws.job(job_id)["isTerminated"]


@pytest.mark.parametrize(
    ("settings", "count", "said"),
    [
        ({}, 0, []),
        ({"SWEEP_ORPHANS": "True"}, 0, ["[batch_jobs] deployment is empty"]),
        ({"SWEEP_ORPHANS": "True", "DEPLOYMENT": "here"}, 1, []),
        ({"DEPLOYMENT": "here"}, 0, []),
    ],
)
def test_a_triggerer_sweeps_where_that_is_configured(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], count: int, said: list[str]
) -> None:
    """Once for each set of AWS settings, and never without a deployment."""
    for name, value in settings.items():
        monkeypatch.setenv(f"AIRFLOW__BATCH_JOBS__{name}", value)

    async def main() -> int:
        for _ in range(2):
            Triggerer.here().watcher(AwsConnection())
        return len([task for task in asyncio.all_tasks() if task.get_name() == "OrphanWatch"])

    with capture_logs() as entries:
        assert run(main()) == count
    assert [str(entry["event"]).partition(",")[0] for entry in entries] == said


def test_an_owner_is_asked_about_by_its_run(aws: LocalAws, api_server: ApiServer) -> None:
    """The question names the DAG, the task and the run of the tags."""
    orphan(aws)
    watched(aws, 700)
    owner = TaskKey("d", "r", "t")
    [question] = api_server.asked
    assert (question.dag_id, question.task_ids, question.run_ids) == (owner.dag_id, [owner.task_id], [owner.run_id])
