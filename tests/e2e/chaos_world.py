"""Where chaos takes place: an Airflow that notices soon what has died, and a local AWS whose jobs follow timetables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.fault_points import VARIABLE
from tests.e2e.runs import Run, until
from tests.e2e.versions import LOST_TASKS_STAY_LOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from airflow_batch_jobs.local import LocalControl
    from tests.e2e.chaos import Case
    from tests.e2e.parts import SplitAirflow

#: Airflow's own settings, so that what takes it minutes by default takes seconds. The thresholds after which it takes a
#: scheduler or a triggerer for dead (30 s) are left alone: on a small machine shorter ones would hit living ones.
SETTINGS = {
    # How soon a dead worker is noticed; a living one is heard of every 3 s, but not once its task has been cleared.
    # Where Airflow does not survive that, no case is played that needs it.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "300" if LOST_TASKS_STAY_LOST else "25",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "3",
    # How soon the tasks of a dead scheduler are noticed.
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    # The DAG files stay as they are: to read them again takes seconds from what is measured.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    # Workers that are held or dead keep their slots.
    "AIRFLOW__CORE__PARALLELISM": "32",
    "AIRFLOW__BATCH_JOBS__DEPLOYMENT": "chaos",
}

_TEXT = "{job_id} {number}"
#: What the jobs do, by their definition: timetables of the local AWS. All write 4 lines a second while they run.
JOBS: dict[str, dict[str, Any]] = {
    "short": {"running": 2, "lines": {"count": 8, "text": _TEXT}},
    "steady": {"running": 15, "lines": {"count": 60, "text": _TEXT}},
    "passing": {"running": 50, "lines": {"count": 200, "text": _TEXT}},
    "flowing": {"running": 70, "lines": {"count": 280, "text": _TEXT}},
    "lasting": {"running": 150, "lines": {"count": 600, "text": _TEXT}},
    "long": {"running": 600, "lines": {"count": 2400, "text": _TEXT}, "stopping": 1},
    "waiting": {"runnable": 30, "running": 5, "lines": {"count": 20, "text": _TEXT}, "stopping": 1},
    "waiting_longer": {"runnable": 75, "running": 5, "lines": {"count": 20, "text": _TEXT}},
    "broken": {"running": 3, "lines": {"count": 12, "text": _TEXT}, "attempts": [1]},
    "hungry": {"running": 12, "lines": {"count": 48, "text": _TEXT}, "attempts": [{"needs_mib": {"": 1500}}]},
    "on_spot": {"running": 12, "lines": {"count": 48, "text": _TEXT}},
    "late": {"running": 15, "lines": {"count": 60, "text": _TEXT}, "delivery": 8},
}


@dataclass
class World:
    """Where cases are played.

    Attributes:
        airflow: Its processes.
        cloud: The local AWS.
        points: The folder of the fault points.
        others: The same world with another local AWS, by that AWS's name.
    """

    airflow: SplitAirflow
    cloud: LocalControl
    points: Path
    others: Mapping[str, World] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._logs = self.cloud.clients()("logs")

    def start(self, case: Case) -> Run:
        """Start a case's run."""
        for point, order in case.points.items():
            self.arm(case.run_id, point, order)
        api = self.airflow.api
        until(lambda: case.dag_id in api.dag_ids(), 90)
        conf = {"definition": case.definition}
        body: dict[str, Any] = {"logical_date": None, "conf": conf, "dag_run_id": case.run_id}
        api.request("PATCH", f"dags/{case.dag_id}", json={"is_paused": False})
        api.request("POST", f"dags/{case.dag_id}/dagRuns", json=body)
        if case.map_index >= 0:
            until(lambda: any(each["map_index"] >= 0 for each in api.task_instances(case.dag_id, case.run_id)))
        return Run(api, case.dag_id, case.run_id, map_index=case.map_index)

    def arm(self, run_id: str, point: str, order: str) -> None:
        """Arm a fault point for the next process of a run that reaches it."""
        hidden = self.points / f"{point}@{run_id}.hidden"
        hidden.write_text(order)
        hidden.rename(self.points / f"{point}@{run_id}")

    def held(self, run: Run) -> int:
        """Wait until a process has reached a fault point that is armed for a run, and return its id."""
        return int(until(lambda: self._marks(run), 120, every=0.05)[0].read_text())

    def let_go(self, run: Run) -> None:
        """Let the process that is held continue."""
        for mark in self._marks(run):
            mark.unlink()

    def jobs(self, run: Run) -> list[dict[str, Any]]:
        """Return all jobs that were ever started for a run, oldest first."""
        return [job for job in self.cloud.jobs() if job.get("tags", {}).get("airflow-run-id") == run.run_id]

    def job(self, run: Run, status: str) -> dict[str, Any]:
        """Wait until the newest job of a run is in a state, and return it."""
        return dict(
            until(lambda: next((job for job in self.jobs(run)[-1:] if job["status"] == status), None), 90, every=0.5)
        )

    def written(self, jobs: Iterable[dict[str, Any]]) -> Iterator[str]:
        """Yield every line that jobs have written."""
        for job in jobs:
            yield from (event["message"] for event in self._events(job))

    def last_lines(self, job: dict[str, Any]) -> int:
        """Return how many lines a job that was terminated has written in the time that it takes to stop."""
        return len(list(self._events(job, startTime=told_to_end(job)))) if "stoppedAt" in job else 0

    def _events(self, job: dict[str, Any], **bounds: int) -> Iterator[dict[str, Any]]:
        if stream := job.get("container", {}).get("logStreamName"):
            pages = self._logs.get_paginator("filter_log_events").paginate(
                logGroupName="/aws/batch/job", logStreamNames=[stream], **bounds
            )
            for page in pages:
                yield from page["events"]

    def _marks(self, run: Run) -> list[Path]:
        return list(self.points.glob(f"*@{run.run_id}.reached"))


def told_to_end(job: dict[str, Any]) -> int:
    """Return when a job that has ended was terminated or ended by itself, in milliseconds since the epoch."""
    definition = job["jobDefinition"].rpartition("/")[2].partition(":")[0]
    stopping_seconds = JOBS[definition].get("stopping", 0) if job.get("isTerminated") else 0
    return int(job["stoppedAt"] - stopping_seconds * 1000)


def prepare(cloud: LocalControl) -> None:
    """Register the definitions and say what their jobs do."""
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "1024"}]
    for name, timetable in JOBS.items():
        cloud.register(name, container={"resourceRequirements": needs})
        cloud.script(definition=name, **timetable)
    order = [{"order": 1, "computeEnvironment": "local"}]
    cloud.clients()("batch").create_job_queue(jobQueueName="on-demand", priority=1, computeEnvironmentOrder=order)
    lost = {"exit_code": None, "status_reason": "Host EC2 (instance i-0abc) terminated."}
    cloud.script(definition="on_spot", queue="default", attempts=[lost], **JOBS["on_spot"])
    # For the DAGs whose requests have these fields.
    cloud.fault("SubmitJob", "drop", times=1, after=True, parameter="retryStrategy")
    cloud.fault("SubmitJob", "drop", times=1, parameter="timeout")


def environment(points: Path) -> dict[str, str]:
    """Return what an Airflow has to be started with."""
    return {**SETTINGS, VARIABLE: str(points)}
