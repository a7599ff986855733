"""PushedJob: the XCom `batch_job` as the task's own process reads and writes it; in the triggerer it is a SavedJob."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from airflow_batch_jobs.batch.job_xcom import carried_on, stopped
from airflow_batch_jobs.batch.storable import storable
from airflow_batch_jobs.batch.xcoms import JOB_XCOM
from airflow_batch_jobs.task import execution_timeout, stop


class PushedJob:
    """The XCom `batch_job` of a task instance, marked with the attempt that wrote it: XComs are not fenced.

    Args:
        ti: The task instance.
    """

    def __init__(self, ti: Any) -> None:
        self._ti = ti

    @property
    def attempt(self) -> dict[str, int]:
        """What marks it."""
        return {"try_number": self._ti.try_number, "max_tries": self._ti.max_tries}

    def job_id(self) -> str | None:
        """Return the id of the job; None if there is none, or it cannot be read."""
        stored = self._read()
        return stored.get("job_id") if isinstance(stored, Mapping) else None

    def push(self, job: Mapping[str, Any]) -> None:
        """Push what is known of the job."""
        with execution_timeout.held():
            self._ti.xcom_push(JOB_XCOM, {**storable(job), **self.attempt})

    def push_end(self, job: Mapping[str, Any]) -> None:
        """Push what became of the job, and with it what is known from before; leave that of a newer attempt alone.

        Args:
            job: What is known of the job in this process.
        """
        stored = self._read()
        if not stop.is_newer(stored, self._ti.try_number):
            self.push(carried_on(job, stored))

    def push_stop(self, job_id: str, reason: str) -> None:
        """Push that the job was terminated, if this attempt has pushed what is known of it.

        Args:
            job_id: The job.
            reason: What AWS was given as the reason.
        """
        stored = self._read()
        if isinstance(stored, Mapping) and (stored.get("job_id"), stored.get("try_number")) == (
            job_id,
            self._ti.try_number,
        ):
            self.push(stopped(stored, reason))

    def _read(self) -> Any:
        """Return what is there; None if there is none, or it cannot be read: no task fails for want of it."""
        with execution_timeout.held(), suppress(Exception):
            return self._ti.xcom_pull(task_ids=self._ti.task_id, key=JOB_XCOM, map_indexes=self._ti.map_index)
        return None
