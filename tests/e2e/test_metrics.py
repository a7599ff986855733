"""What a real Airflow tells StatsD and OpenTelemetry of its jobs, and what it tells the jobs, in one run of a DAG."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.demo.standalone import StandaloneAirflow
from tests.backends import attributes, otlp_collector, statsd_server
from tests.e2e.runs import Run, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_batch_jobs.local import LocalControl
    from tests.backends import Otlp, Statsd

DAGS = Path(__file__).parent / "measured_dags"


@dataclass(frozen=True)
class Measured:
    """A run that has ended, and where its Airflow sends what it measures.

    Attributes:
        deferred: The task whose job ran in two attempts and succeeded.
        on_worker: The task whose job failed with exit code 3.
        statsd: The StatsD server.
        collector: OpenTelemetry's collector.
    """

    deferred: Run
    on_worker: Run
    statsd: Statsd
    collector: Otlp

    def spans(self, name: str, count: int) -> list[Any]:
        """Return the spans of a name, once there are that many."""
        return list(
            until(lambda: found if len(found := [s for s in self.collector.spans if s.name == name]) >= count else None)
        )


@pytest.fixture(scope="module")
def measured(cloud: LocalControl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    """The run."""
    with statsd_server() as statsd, otlp_collector() as collector:
        environment = {
            "AIRFLOW_CONN_AWS_DEFAULT": cloud.airflow_connection(),
            "AIRFLOW__TRACES__OTEL_ON": "True",
            **statsd.settings,
            **collector.settings,
        }
        with StandaloneAirflow(tmp_path_factory.mktemp("measured"), DAGS, environment) as airflow:
            deferred = Run.start(airflow.api, "measured")
            on_worker = replace(deferred, task_id="on_worker")
            assert (deferred.wait_for_end(), on_worker.wait_for_end()) == ("success", "failed")
            yield Measured(deferred, on_worker, statsd, collector)


def test_statsd_is_told_of_jobs_on_a_worker_and_in_the_triggerer(measured: Measured) -> None:
    """Each job once, under the documented names."""
    told = until(lambda: ours if len((ours := measured.statsd.ours()).get("batch_jobs.ended", ())) > 1 else None, 30)
    assert told["batch_jobs.ended"] == [1, 1]
    assert told["batch_jobs.ended.succeeded"] == told["batch_jobs.ended.exit_code"] == [1]
    assert told["batch_jobs.retried.aws"] == [1]
    assert len(told["batch_jobs.queued_seconds.default"]) == len(told["batch_jobs.ran_seconds.default"]) == 2
    assert max(told["batch_jobs.ran_seconds"]) >= 2_000
    assert all(told[f"batch_jobs.watcher.calls.{service}"] for service in ("batch", "logs"))
    assert min(told["batch_jobs.watcher.lag_seconds"]) == 0
    assert max(told["batch_jobs.log.lag_seconds"]) > 0


def test_jobs_and_their_attempts_are_spans_of_their_tasks(measured: Measured) -> None:
    """One for each job, and one for each attempt below it, where worker and trigger have theirs."""
    jobs = {attributes(span)["batch.job.id"]: span for span in measured.spans("batch_job.shell", 2)}
    assert len(jobs) == 2
    attempts = measured.spans("batch_job.attempt", 3)
    [worker] = measured.spans("worker.on_worker", 1)
    for run, count in ((measured.deferred, 2), (measured.on_worker, 1)):
        job = jobs[run.job()["job_id"]]
        assert job.trace_id == worker.trace_id
        assert sum(attempt.parent_span_id == job.span_id for attempt in attempts) == count
    assert jobs[measured.on_worker.job()["job_id"]].parent_span_id == worker.parent_span_id


def test_a_job_is_told_of_its_task_and_its_trace(measured: Measured) -> None:
    """In its environment: what it traces itself stands beside its own span."""
    told = dict(line.split("=", 1) for line in measured.on_worker.lines() if "=" in line)
    [worker] = measured.spans("worker.on_worker", 1)
    assert told["AIRFLOW_CTX_DAG_ID"] == "measured"
    assert told["AIRFLOW_CTX_TASK_ID"] == "on_worker"
    assert told["AIRFLOW_CTX_DAG_RUN_ID"] == measured.on_worker.run_id
    assert told["AIRFLOW_CTX_MAP_INDEX"] == "-1"
    assert told["AIRFLOW_CTX_TRY_NUMBER"] == "1"
    _, trace_id, span_id, sampled = told["TRACEPARENT"].split("-")
    assert (bytes.fromhex(trace_id), bytes.fromhex(span_id)) == (worker.trace_id, worker.parent_span_id)
    assert sampled == "01"
