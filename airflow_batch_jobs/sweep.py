"""BatchOrphanSweepOperator: end the jobs whose task instances are final or gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperator

from airflow_batch_jobs.batch.arguments import check_queues, check_switch
from airflow_batch_jobs.batch.definition.values import without_enums
from airflow_batch_jobs.batch.numbers import reasonable
from airflow_batch_jobs.task.arguments import check_aws_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from airflow.sdk import Context, XComArg


class BatchOrphanSweepOperator(BaseOperator):
    """Terminate what nothing else can catch: jobs of this Airflow whose task instance is final or gone.

    Such jobs are left behind when a task is stopped or its DAG deleted while every triggerer is down, or when Airflow's
    database is restored. The sweep looks at the active jobs that are tagged with `[batch_jobs] deployment`, writes a
    line for each job and a summary, and returns the ids of the jobs that it terminated, or would have terminated.

    Leaves alone the jobs of other deployments, jobs submitted with `wait=False` or `terminate_on_kill=False`, and jobs
    whose task instance it cannot identify. Looks only into the given queues. Run it with `max_active_runs=1`.

    Args:
        job_queues: The names or ARNs of the queues to look into.
        grace_seconds: A job younger than this is left alone.
        dry_run: Whether to terminate nothing and only say what would be.
        aws_conn_id: The Airflow connection; None for boto3's own search for credentials.
        region_name: The region; None for the connection's.
        verify: Whether to verify TLS certificates, or the path of a CA bundle; None for the connection's setting.
        botocore_config: Keyword arguments of botocore's Config.

    Raises:
        ValueError: At parse time: an argument is not of its kind; the error names it.
    """

    template_fields: Sequence[str] = ("job_queues", "aws_conn_id", "region_name", "verify", "botocore_config")
    ui_color = "#f2d5d5"

    def __init__(
        self,
        *,
        job_queues: Sequence[str] | XComArg,
        grace_seconds: float = 600.0,
        dry_run: bool = True,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # It has its declared type only after rendering.
        self.job_queues: Any = without_enums(job_queues)
        self.grace_seconds = reasonable(grace_seconds, "grace_seconds", or_zero=True)
        self.terminates = not dry_run  # an operator's `dry_run` is a method
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        check_queues(job_queues)
        check_switch(dry_run, "dry_run")
        check_aws_arguments(self)

    def execute(self, context: Context) -> list[str]:
        """Sweep, and return the ids of the jobs that were terminated, or would have been.

        Args:
            context: Airflow's context of the task instance.

        Raises:
            NoDeploymentError: `[batch_jobs] deployment` is empty.
            AwsError: AWS did not list the jobs, or an orphan could not be terminated; the others were.
        """
        del context
        from airflow_batch_jobs.batch.orphans import Decision, OrphanSweep
        from airflow_batch_jobs.config import Settings
        from airflow_batch_jobs.task import log
        from airflow_batch_jobs.task.connection import AwsConnection
        from airflow_batch_jobs.task.metrics import worker_meter
        from airflow_batch_jobs.task.supervisor import states_on_worker

        connection = AwsConnection.of(self)
        report = OrphanSweep(
            clients=connection.clients(),
            deployment=Settings.read().deployment,
            job_queues=[self.job_queues] if isinstance(self.job_queues, str) else list(self.job_queues),
            grace_seconds=self.grace_seconds,
            dry_run=not self.terminates,
        ).run(states_on_worker)
        if (meter := worker_meter()) is not None:
            report.tell(meter)
            meter.flush()
        for finding, line in report.lines():
            write = log.note if finding.decision is Decision.LEFT else log.problem
            write(line)
        log.note(report.summary())
        if report.error:
            raise report.error
        return list(report.ended)
