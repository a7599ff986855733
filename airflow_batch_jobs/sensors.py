"""BatchJobSensor: wait until a job that was submitted elsewhere has ended."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

from airflow_batch_jobs.batch.arguments import check_text
from airflow_batch_jobs.batch.job_id import bare_id
from airflow_batch_jobs.batch.numbers import reasonable
from airflow_batch_jobs.job_task import JobTask
from airflow_batch_jobs.links import JOB_LINKS
from airflow_batch_jobs.task.arguments import check_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context, XComArg

    from airflow_batch_jobs.task.handover import Outcome


#: Airflow's own spans of a sensor, in seconds.
_SPANS = ("timeout", "poke_interval", "max_wait")


class BatchJobSensor(JobTask, BaseSensorOperator):
    """Wait until an AWS Batch job has left every waiting and running state.

    Succeeds when the job has succeeded and fails when it has failed; returns the job's id. Without
    `terminate_on_kill` it only watches: stopping the sensor, or its timeout, leaves the job alone.

    Args:
        job_id: The job's id, or its ARN; also that of an array's child (`id:3`) or of a node (`id#1`).
        deferrable: Whether to wait in the triggerer; False waits in the worker, by the same code.
        poll_interval: Seconds between two looks at the job; None for `[batch_jobs] poll_interval`.
        finish_in_triggerer: Whether the triggerer may end a succeeded task, without starting another worker; None for
            `[batch_jobs] finish_in_triggerer`. Listeners do not hear of such an end. A task with outlets or a
            `post_execute` is always ended by a worker.
        copy_logs: Whether the job's CloudWatch log lines go into the task log.
        terminate_on_kill: Whether stopping the sensor, or its timeout, terminates the job.
        aws_conn_id: The Airflow connection; None for boto3's own search for credentials.
        region_name: The region; None for the connection's.
        verify: Whether to verify TLS certificates, or the path of a CA bundle; None for the connection's setting.
        botocore_config: Keyword arguments of botocore's Config.

    Raises:
        ValueError: At parse time: `mode="reschedule"`, which `deferrable` replaces; or an argument is not of its kind.
    """

    template_fields: Sequence[str] = ("job_id", "aws_conn_id", "region_name", "verify", "botocore_config")
    operator_extra_links = JOB_LINKS
    ui_color = "#fff0db"

    def __init__(  # noqa: PLR0913 - each is a decision of the DAG's author
        self,
        *,
        job_id: str | XComArg,
        deferrable: bool = True,
        poll_interval: float | None = None,
        finish_in_triggerer: bool | None = None,
        copy_logs: bool = False,
        terminate_on_kill: bool = False,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        for name in _SPANS:
            if kwargs.get(name) is not None:
                reasonable(kwargs[name], name, or_zero=True)
        super().__init__(**kwargs)
        _check_mode(self.mode, self.task_id)
        self.job_id: Any = job_id  # text only after rendering
        self.deferrable = deferrable
        self.poll_interval = None if poll_interval is None else reasonable(poll_interval, "poll_interval")
        self.finish_in_triggerer = finish_in_triggerer
        self.copy_logs = copy_logs
        self.terminate_on_kill = terminate_on_kill
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        check_text(job_id, "job_id")
        check_arguments(self)

    @classmethod
    def partial(cls, **given: Any) -> Any:
        """Return what is mapped, checked as a single sensor is.

        Raises:
            ValueError: As for a single sensor.
        """
        _check_mode(given.get("mode"), given["task_id"])
        return super().partial(**given)

    def execute(self, context: Context) -> Any:
        """Wait for the job.

        Args:
            context: Airflow's context of the task instance.

        Raises:
            JobFailedError: The job has failed.
            AirflowSensorTimeout: The sensor's `timeout` has passed.
            AirflowTaskTimeout: `execution_timeout` has passed.
            AirflowSkipException: Any of these, with `soft_fail` or `never_fail`.
            BatchJobsError: See `airflow_batch_jobs.errors`.
            ValueError: The id is not text, or empty, once it is rendered.
        """
        from airflow_batch_jobs.task import log

        check_text(self.job_id, "job_id")
        plan = self._plan(bare_id(self.job_id))
        log.note(f"Waiting for job {plan.job_id}")
        return self._conclude(context, self._wait_for_job(context, plan))

    @property
    def _limit(self) -> timedelta:
        """How long the sensor may wait: the shorter of its `timeout` and its `execution_timeout`."""
        timeout = timedelta(seconds=self.timeout)
        return min(timeout, self.execution_timeout) if self.execution_timeout else timeout

    def _conclude(self, context: Context, outcome: Outcome) -> Any:
        """End as the job did; with `soft_fail` or `never_fail`, any failure is a skip."""
        from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException, AirflowTaskTimeout

        from airflow_batch_jobs.errors import BatchJobsError

        try:
            return super()._conclude(context, outcome)
        except (BatchJobsError, AirflowSensorTimeout, AirflowTaskTimeout) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(str(error)) from error
            raise

    def _job_waited_for(self, ti: Any) -> str | None:
        del ti
        return bare_id(str(self.job_id))

    def _time_is_up(self, job_id: str) -> BaseException:
        from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowTaskTimeout

        bounded = self.execution_timeout is not None and self._limit == self.execution_timeout
        kind = AirflowTaskTimeout if bounded else AirflowSensorTimeout
        return kind(f"The job had not ended after {self._limit}. Job: {job_id}")


def _check_mode(mode: str | None, task_id: str) -> None:
    if mode == "reschedule":
        raise ValueError(
            f'{task_id}: a BatchJobSensor frees its worker slot with deferrable=True, not mode="reschedule".'
        )
