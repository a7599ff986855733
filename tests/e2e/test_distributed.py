"""Celery, PostgreSQL, Redis, two workers and two triggerers, as docker-compose.yaml starts them; logs go to an S3."""

from __future__ import annotations

import json
import os
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.e2e import chaos_world, stores
from tests.e2e.chaos_world import World
from tests.e2e.cluster import Cluster
from tests.e2e.runs import FINAL, Run, until
from tests.e2e.versions import LOST_TASKS_STAY_LOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.parts import Component

DAG_FOLDERS = (Path(__file__).parent / "cluster_dags", Path(__file__).parents[2] / "dags")
BUCKET = "task-logs"

pytestmark = pytest.mark.skipif(
    stores.redis_server() is None and "REQUIRE_REDIS" not in os.environ,
    reason="no redis-server: its wheel is for Python 3.11, elsewhere it has to be on the PATH",
)


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """Airflow's settings for a remote log store, on an S3 of its own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        _, port = server.get_host_and_port()
        url = f"http://127.0.0.1:{port}"
        session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1")
        session.client("s3", endpoint_url=url).create_bucket(Bucket=BUCKET)
        extra = {"region_name": "us-east-1", "endpoint_url": url}
        yield {
            "AIRFLOW_CONN_AWS_LOGS": json.dumps({"conn_type": "aws", "login": "x", "password": "x", "extra": extra}),
            "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": f"s3://{BUCKET}/airflow",
            "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "aws_logs",
            "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
        }
    finally:
        server.stop()


@pytest.fixture(scope="module")
def cluster(s3: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster, with the example DAGs and those of the tests."""
    dags = tmp_path_factory.mktemp("dags")
    for folder in DAG_FOLDERS:
        shutil.copytree(folder, dags, dirs_exist_ok=True)
    with Cluster(tmp_path_factory.mktemp("cluster"), dags, s3) as cluster:
        chaos_world.prepare(cluster.cloud)
        cluster.cloud.fault("SubmitJob", "drop", share=0.5, after=True, parameter="retryStrategy")
        yield cluster


@pytest.fixture(scope="module")
def world(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The cluster as a world for chaos."""
    airflow: Any = cluster  # as much of a world as is needed
    return World(airflow, cluster.cloud, tmp_path_factory.mktemp("points"))


@pytest.fixture(scope="module")
def both(cluster: Cluster) -> tuple[Run, Run]:
    """The example pipeline, and beside it a task that is stopped; both are over before another test kills processes."""
    until(lambda: "source_survey" in cluster.api.dag_ids(), 60)
    pipeline = Run.start(cluster.api, "source_survey")
    stopped = Run.start(cluster.api, "one", conf={"definition": "long"})
    triggerer_of(cluster, stopped)  # until one has taken it up, a stop reaches nobody
    stopped.mark("failed")
    finished(pipeline, 240)
    return pipeline, stopped


@pytest.fixture
def pipeline(both: tuple[Run, Run]) -> Run:
    """The example pipeline, after its end."""
    return both[0]


@pytest.fixture
def stopped(both: tuple[Run, Run]) -> Run:
    """A task that was marked failed while its job ran."""
    return both[1]


def finished(run: Run, seconds: float) -> dict[str, int]:
    """Wait for a run's end and return how many of its task instances are in which state."""

    def states() -> list[str]:
        return [each["state"] for each in run.api.task_instances(run.dag_id, run.run_id)]

    until(lambda: set(states()) <= set(FINAL), seconds, every=2)
    found = states()
    return {state: found.count(state) for state in set(found)}


def missing_lines(world: World, run: Run, task_id: str = "job") -> set[str]:
    """Return what the jobs of a task have written and none of its logs shows."""
    shown: set[str] = set()
    for about in run.api.task_instances(run.dag_id, run.run_id):
        if about["task_id"] == task_id:
            mapped = Run(run.api, run.dag_id, run.run_id, task_id, about["map_index"])
            for number in range(1, about["try_number"] + 1):
                shown.update(mapped.lines(number))
    return set(world.written(world.jobs(run))) - shown


def taken_along(cluster: Cluster, triggerer: Component, run: Run) -> set[str]:
    """Return the job's lines in a triggerer's own files of triggers that have ended.

    Airflow uploads such a file a second or two after it has been told of the end. Whoever kills the triggerer meanwhile
    takes the file along, and nobody copies it once more.
    """
    folder = cluster.home / triggerer.name / "logs" / f"dag_id={run.dag_id}" / f"run_id={run.run_id}"
    texts = [path.read_text() for path in folder.rglob("*.trigger.*.log")]
    entries = [json.loads(line) for text in texts if '"trigger completed"' in text for line in text.splitlines()]
    return {entry["event"] for entry in entries if entry.get("logger") == "batch.job"}


def is_whole(cluster: Cluster, world: World, lost: Component, run: Run) -> bool:
    """Tell whether every line of a task's jobs is in one of its logs, but for what a lost triggerer has taken along."""
    return missing_lines(world, run) <= taken_along(cluster, lost, run)


def test_every_service_is_healthy(cluster: Cluster) -> None:
    """By the health checks of the file."""
    checked = [service for service in cluster.services if service.healthcheck]
    assert len(checked) == 8
    for service in checked:
        until(partial(cluster.is_healthy, service), 60)


def test_the_example_pipeline_runs(cluster: Cluster, world: World, pipeline: Run) -> None:
    """Its tasks succeed, and their logs are soon complete in the remote store."""
    assert set(finished(pipeline, 240)) == {"success"}
    tasks = {each["task_id"] for each in cluster.api.task_instances(pipeline.dag_id, pipeline.run_id)}
    # A trigger's log is uploaded when the trigger has ended, which may be after its task went on.
    until(lambda: not set.intersection(*(missing_lines(world, pipeline, task_id) for task_id in tasks)), 60, every=2)


def test_a_stopped_task_ends_its_job(world: World, stopped: Run) -> None:
    """Whichever triggerer waits for it; the last lines are in the log."""
    assert world.job(stopped, "FAILED")["isTerminated"]
    assert until(lambda: not missing_lines(world, stopped), 60)


@pytest.mark.skipif(bool(LOST_TASKS_STAY_LOST), reason=LOST_TASKS_STAY_LOST)
def test_the_loss_of_a_worker_and_a_triggerer_costs_no_job_and_no_line(cluster: Cluster, world: World) -> None:
    """120 mapped jobs, where AWS loses half of the answers, and some whose logs flow: one job each, no line lost."""
    deferred = Run.start(cluster.api, "one", conf={"definition": "lasting"})
    waited = Run.start(cluster.api, "two_on_workers")
    triggerer, worker = triggerer_of(cluster, deferred), worker_of(cluster, waited)
    many = Run.start(cluster.api, "many")
    until(lambda: len([job for job in world.jobs(many) if job["status"] == "SUCCEEDED"]) > 20, 120, every=1)
    for lost in (worker, triggerer):
        lost.kill()
        cluster.start(lost.name.rpartition("-")[0])
    assert {job["status"] for job in world.jobs(deferred) + world.jobs(waited)} == {"RUNNING"}
    for run, number in ((deferred, 1), (waited, 2), (many, 120)):
        assert finished(run, 600) == {"success": number}
        assert len(world.jobs(run)) == number
        until(partial(is_whole, cluster, world, triggerer, run), 60, every=5)
    assert "is copied from its beginning" in deferred.text()
    assert max(each["try_number"] for each in cluster.api.task_instances(waited.dag_id, waited.run_id)) > 1


def triggerer_of(cluster: Cluster, run: Run) -> Component:
    """Return the triggerer that copies the log of a run's job, once it does."""

    def find() -> Component | None:
        for triggerer in cluster.all_of("triggerer"):
            folder = cluster.home / triggerer.name / "logs" / f"dag_id={run.dag_id}" / f"run_id={run.run_id}"
            if any(path.read_text().count("batch.job") > 20 for path in folder.rglob("*.trigger.*.log")):
                return triggerer
        return None

    return until(find, 120)  # type: ignore[no-any-return]  # what `find` returns


def worker_of(cluster: Cluster, run: Run) -> Component:
    """Return a worker that waits for one of a run's jobs."""

    def find() -> Component | None:
        pids = {each["pid"] for each in run.api.task_instances(run.dag_id, run.run_id) if each["state"] == "running"}
        for worker in cluster.all_of("worker"):
            if pids & {process.pid for process in worker.processes()}:
                return worker
        return None

    return until(find, 60)  # type: ignore[no-any-return]  # what `find` returns
