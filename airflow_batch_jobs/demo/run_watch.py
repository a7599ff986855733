"""Watching one run of a DAG from outside: task states and logs through Airflow's REST API, job states through AWS's."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.operations import describe_jobs
from airflow_batch_jobs.batch.xcoms import JOB_XCOM

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.demo.screen import Screen
    from airflow_batch_jobs.demo.standalone import RestApi

#: The logger under which the task log has a job's own lines.
_JOB_LOGGER = "batch.job"


class RunWatch:
    """Shows what is new in a run, each time it looks.

    Attributes:
        run_id: The run.
        state: Its state at the beginning of the last look.
        states: The state of each task instance, by its name: `survey[0]`.
        jobs: The job of each task instance that has one, as AWS described it last.
        lines: The lines of that job that are in the task log, in the log's order.
    """

    def __init__(self, api: RestApi, clients: ClientFactory, screen: Screen, dag_id: str, run_id: str) -> None:
        self.run_id = run_id
        self.state = ""
        self.states: dict[str, str] = {}
        self.jobs: dict[str, JobDetail] = {}
        self.lines: dict[str, list[str]] = {}
        self._api = api
        self._clients = clients
        self._screen = screen
        self._dag_id = dag_id
        self._job_ids: dict[str, str] = {}
        self._read: set[str] = set()

    def look(self) -> None:
        """Ask about everything, and show what has changed."""
        self.state = self._api.run_state(self._dag_id, self.run_id)
        for task in sorted(self._api.task_instances(self._dag_id, self.run_id), key=_order):
            name, state = _name(task), task["state"]
            # Before it is scheduled a task has no state.
            if state and state != self.states.get(name):
                self.states[name] = state
                self._screen.state("task", name, state)
            if task["operator"] in _JOB_OPERATORS and task["start_date"]:
                self._look_at_job(name, task)
        self._look_at_jobs()

    def failures(self, airflow_errors: Callable[[], str]) -> list[str]:
        """Say why each failed task has failed, according to its log.

        Args:
            airflow_errors: Asked if a log has no error, as that of a task which could not begin: Airflow's own errors.
        """
        return [
            f"{_name(task)}: {_last_error(self._log(task)) or _without_error(airflow_errors())}"
            for task in self._api.task_instances(self._dag_id, self.run_id)
            if task["state"] == "failed"
        ]

    def _look_at_job(self, name: str, task: dict[str, Any]) -> None:
        """Find a task's job, and read its log until the task has succeeded."""
        if name not in self._job_ids:
            where = (self._dag_id, self.run_id, task["task_id"])
            job = self._api.xcom(*where, JOB_XCOM, map_index=task["map_index"])
            if job is None:
                return
            self._job_ids[name] = job["job_id"]
        if name in self._read:
            return
        found = [str(entry["event"]) for entry in self._log(task) if entry.get("logger") == _JOB_LOGGER]
        for line in (Counter(found) - Counter(self.lines.get(name, []))).elements():
            self._screen.log(name, line)
        self.lines[name] = found
        # The log of a stopped task goes on: its trigger still copies the job's last lines.
        if task["state"] == "success":
            self._read.add(name)

    def _log(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        where = (self._dag_id, self.run_id, task["task_id"])
        return self._api.log(*where, try_number=task["try_number"], map_index=task["map_index"])

    def _look_at_jobs(self) -> None:
        open_jobs = {
            job_id: name
            for name, job_id in self._job_ids.items()
            if name not in self.jobs or not self.jobs[name].is_final
        }
        for detail in describe_jobs(self._clients, open_jobs):
            name = open_jobs[detail.job_id]
            before = self.jobs.get(name)
            self.jobs[name] = detail
            if before is None or before.status is not detail.status:
                more = f"{detail.definition_reference}  {detail.status_reason}".rstrip()
                self._screen.state("job", name, detail.status.value, more)


#: The classes that have a job, as Airflow calls them.
_JOB_OPERATORS = frozenset({"BatchJobOperator", "@task.batch_job", "BatchJobSensor"})


def _order(task: dict[str, Any]) -> tuple[bool, str]:
    """Sort task instances by their start, those not started last."""
    return task["start_date"] is None, str(task["start_date"])


def _name(task: dict[str, Any]) -> str:
    return str(task["task_id"]) if task["map_index"] < 0 else f"{task['task_id']}[{task['map_index']}]"


def _last_error(log: list[dict[str, Any]]) -> str:
    """Return the last error in a task log, its exceptions if it has any, otherwise its text; empty if there is none."""
    errors = [entry for entry in log if entry.get("level") in {"error", "critical"}]
    if not errors:
        return ""
    exceptions = [f"{each['exc_type']}: {each['exc_value']}" for each in errors[-1].get("error_detail") or ()]
    return "; ".join(exceptions) or str(errors[-1]["event"])


def _without_error(airflow_errors: str) -> str:
    return "its log has no error" + (f"; Airflow's own output has:\n{airflow_errors}" if airflow_errors else "")
