"""BatchOrphanSweepOperator at work, with `dag.test()`."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, get_current_context, task

from airflow_batch_jobs.batch.identity import DETACHED_TAG, TaskIdentity, TaskKey, new_job_name, task_tags
from airflow_batch_jobs.batch.orphans import GONE
from airflow_batch_jobs.operators import BatchJobOperator
from airflow_batch_jobs.sweep import BatchOrphanSweepOperator
from airflow_batch_jobs.task.supervisor import states_on_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

    from airflow_batch_jobs.local.server import LocalAws
    from tests.face.conftest import FinishedRun

    RunDag = Callable[[DAG], FinishedRun]

NOWHERE = TaskIdentity(TaskKey("no_such_dag", "no_such_run", "job"), deployment="tests")


@pytest.fixture
def cloud(airflow_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """The local AWS with jobs that keep running, and this Airflow with a name."""
    monkeypatch.setenv("AIRFLOW__BATCH_JOBS__DEPLOYMENT", "tests")
    airflow_aws.register("job")
    airflow_aws.script(definition="job", running=3600)
    return airflow_aws


def submit(aws: LocalAws, identity: TaskIdentity) -> str:
    """Submit a job as a task instance does, and return its id."""
    [job_id] = aws.submit("job:1", jobName=new_job_name(identity.job_name_prefix()), tags=task_tags(identity))
    return job_id


def sweep(**arguments: Any) -> BatchOrphanSweepOperator:
    """Return an operator that looks at young jobs too."""
    return BatchOrphanSweepOperator(
        **{"task_id": "sweep", "job_queues": ["default"], "grace_seconds": 0.0, **arguments}
    )


@pytest.mark.parametrize("dry_run", [True, False])
def test_the_orphans_alone_are_ended_and_returned(run_dag: RunDag, cloud: LocalAws, *, dry_run: bool) -> None:
    """A task that is gone or final loses its job; one that goes on, or does not wait, keeps it."""
    gone = submit(cloud, NOWHERE)
    with DAG(f"sweeping_{dry_run}", schedule=None) as dag:

        @task
        def finished() -> str:
            return _job_of(cloud, "finished")

        @task
        def later() -> None:
            """Has no state while the sweep runs."""

        @task
        def of_the_others() -> list[str]:
            return [_job_of(cloud, "sweep"), _job_of(cloud, "later")]

        submitted = BatchJobOperator(task_id="submitted", job_queue="default", definition="job:1", wait=False)
        finished() >> of_the_others() >> submitted >> sweep(dry_run=dry_run) >> later()
    run = run_dag(dag)

    assert run.run.state == "success"
    orphans = {gone, run.xcom("finished")}
    assert set(run.xcom("sweep")) == orphans
    terminated = {job["jobId"] for job in cloud.jobs() if job["isTerminated"]}
    assert terminated == (set() if dry_run else orphans)
    assert cloud.job(run.xcom("submitted"))["tags"][DETACHED_TAG] == "true"
    told = "would be terminated" if dry_run else "terminated"
    assert f"5 active jobs of this deployment: 2 {told}, 3 left" in run.output
    assert f"Job: {gone} (no_such_dag-job-" in run.output
    assert f"sweeping_{dry_run}.later of run {run.run.run_id} is cleared, or yet to be scheduled" in run.output
    assert f"sweeping_{dry_run}.sweep of run {run.run.run_id} is running" in run.output


def _job_of(cloud: LocalAws, task_id: str) -> str:
    """Submit a job for a task of the run that is asking."""
    ti = get_current_context()["ti"]
    return submit(cloud, replace(NOWHERE, key=TaskKey(ti.dag_id, ti.run_id, task_id)))


def test_airflow_tells_what_it_finds_and_nothing_of_the_rest(run_dag: RunDag, cloud: LocalAws) -> None:
    """A missing DAG, run, task or map index is gone; a task without a state is not."""
    del cloud
    told: dict[str, str | None] = {}
    with DAG("states", schedule=None) as dag:

        @task
        def number(each: int) -> int:
            return each

        @task
        def ask() -> None:
            ti = get_current_context()["ti"]
            here = TaskKey(ti.dag_id, ti.run_id, "number", 1)
            owners = {
                "mapped": here,
                "index": replace(here, map_index=7),
                "unmapped": replace(here, map_index=-1),
                "asking": replace(here, task_id="ask", map_index=-1),
                "waiting": replace(here, task_id="last", map_index=-1),
                "task": replace(here, task_id="number_1", map_index=-1),
                "run": replace(here, run_id="manual__2026-11-23T12:00:00+00:00"),
                "dag": replace(here, dag_id="no_such_dag"),
            }
            states = states_on_worker(owners.values())
            told.update({name: states[owner] for name, owner in owners.items()})

        @task
        def last() -> None:
            """Run after the sweep."""

        number.expand(each=[1, 2]) >> ask() >> last()
    assert run_dag(dag).run.state == "success"
    assert told == {
        "mapped": "success",
        "index": GONE,
        "unmapped": GONE,
        "asking": "running",
        "waiting": None,
        "task": GONE,
        "run": GONE,
        "dag": GONE,
    }


def test_without_a_deployment_the_task_fails(run_dag: RunDag, airflow_aws: LocalAws) -> None:
    """The error says what to set, and nothing is listed."""
    with DAG("nameless", schedule=None) as dag:
        sweep()
    run = run_dag(dag)
    assert run.state("sweep") == "failed"
    assert "AIRFLOW__BATCH_JOBS__DEPLOYMENT" in run.output
    assert "ListJobs" not in airflow_aws.counts()


def test_an_orphan_that_cannot_be_terminated_fails_the_task(run_dag: RunDag, cloud: LocalAws) -> None:
    """The others are terminated, and the missing permission is named."""
    submit(cloud, NOWHERE)
    submit(cloud, replace(NOWHERE, key=replace(NOWHERE.key, map_index=3)))
    cloud.fault("TerminateJob", "denied", times=1)
    with DAG("denied", schedule=None) as dag:
        sweep(dry_run=False)
    run = run_dag(dag)
    assert run.state("sweep") == "failed"
    assert "1 not terminated" in run.output
    assert "batch:TerminateJob" in run.output
    assert sum(job["isTerminated"] for job in cloud.jobs()) == 1


def test_a_single_queue_may_come_as_a_template(run_dag: RunDag, cloud: LocalAws) -> None:
    """A string is one queue, not its letters."""
    job_id = submit(cloud, NOWHERE)
    with DAG("templated", schedule=None, params={"queue": "default"}) as dag:
        sweep(job_queues="{{ params.queue }}")
    run = run_dag(dag)
    assert run.xcom("sweep") == [job_id]


@pytest.mark.long
def test_a_job_that_may_outlive_its_task_is_tagged(run_dag: RunDag, cloud: LocalAws) -> None:
    """With `wait=False` or `terminate_on_kill=False`, and only then."""
    cloud.script(definition="job", running=0.01)
    with DAG("tagging", schedule=None) as dag:
        ways: dict[str, dict[str, Any]] = {"a": {"wait": False}, "b": {"terminate_on_kill": False}, "c": {}}
        for task_id, options in ways.items():
            BatchJobOperator(task_id=task_id, job_queue="default", definition="job:1", poll_interval=0.2, **options)
    run_dag(dag)
    tags = {job["tags"]["airflow-task-id"]: job["tags"].get(DETACHED_TAG) for job in cloud.jobs()}
    assert tags == {"a": "true", "b": "true", "c": None}


def test_an_adopted_job_is_tagged_when_its_task_does_not_wait_any_more(run_dag: RunDag, cloud: LocalAws) -> None:
    """The DAG was changed between two attempts: the sweep would mistake the job of a finished task for an orphan."""

    class FirstAttemptWaited(BatchJobOperator):
        def execute(self, context: Context) -> Any:
            job_id = super().execute(context)
            if context["ti"].try_number == 1:
                [job] = cloud.jobs()
                cloud.clients()("batch").untag_resource(resourceArn=job["jobArn"], tagKeys=[DETACHED_TAG])
                raise RuntimeError
            return str(job_id)

    with DAG("changed", schedule=None) as dag:
        FirstAttemptWaited(
            task_id="job",
            job_queue="default",
            definition="job:1",
            wait=False,
            retries=1,
            retry_delay=timedelta(seconds=0),
        )
    assert run_dag(dag).run.state == "success"
    [job] = cloud.jobs()
    assert job["tags"][DETACHED_TAG] == "true"
