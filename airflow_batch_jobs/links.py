"""Links from a task instance to its job, definition, queue and log in the AWS console.

All are computed from the `batch_job` XCom, so they work while the task is deferred and long after AWS has forgotten
the job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import attrs
from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

#: The console's domain in regions that have one of their own, by the start of the region's name.
_DOMAINS = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}


def console_url(region: str, path: str) -> str:
    """Return a URL in the AWS console of a region."""
    domain = next((domain for start, domain in _DOMAINS.items() if region.startswith(start)), "console.aws.amazon.com")
    return f"https://{domain}/{path}"


def job_url(job: Mapping[str, Any]) -> str:
    """Return the console's page of a job."""
    return console_url(job["region"], f"batch/home?region={job['region']}#jobs/detail/{job['job_id']}")


def definition_url(job: Mapping[str, Any]) -> str:
    """Return the console's page of the definition at its revision."""
    path = f"batch/home?region={job['region']}#job-definition/detail/{job['definition']}"
    return console_url(job["region"], path) if job.get("definition") else ""


def queue_url(job: Mapping[str, Any]) -> str:
    """Return the console's page of the queue."""
    path = f"batch/home?region={job['region']}#queues/detail/{job['queue']}"
    return console_url(job["region"], path) if job.get("queue") else ""


def newest_log_url(job: Mapping[str, Any]) -> str:
    """Return the console's page of a job's newest log stream; empty while the job has none."""
    streams = job.get("log_streams") or ()
    return log_stream_url(streams[-1]) if streams else ""


def log_stream_url(stream: Mapping[str, str]) -> str:
    """Return the console's page of a log stream: `{group, region, stream}`."""
    group, name = (_console_quote(stream[part]) for part in ("group", "stream"))
    path = f"cloudwatch/home?region={stream['region']}#logsV2:log-groups/log-group/{group}/log-events/{name}"
    return console_url(stream["region"], path)


def _console_quote(text: str) -> str:
    """Quote as the CloudWatch console does in its fragment: percent signs of the quoted text are quoted as `$25`."""
    return quote(text, safe="").replace("%", "$25")


@attrs.define()
class _JobLink(BaseOperatorLink):
    """A link computed from the `batch_job` XCom; empty while there is none."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL, or an empty string."""
        del operator
        from airflow.sdk.execution_time.xcom import XCom

        from airflow_batch_jobs.batch.job_xcom import JOB_XCOM

        job = XCom.get_value(ti_key=ti_key, key=JOB_XCOM)
        return self.url(job) if isinstance(job, dict) and job.get("region") else ""

    @staticmethod
    def url(job: Mapping[str, Any]) -> str:
        """Return the URL for a job as it stands in that XCom."""
        raise NotImplementedError


@attrs.define()
class BatchJobLink(_JobLink):
    """To the job."""

    name: ClassVar[str] = "Batch job"
    url = staticmethod(job_url)


@attrs.define()
class BatchJobDefinitionLink(_JobLink):
    """To the definition at the revision that runs."""

    name: ClassVar[str] = "Batch job definition"
    url = staticmethod(definition_url)


@attrs.define()
class BatchJobQueueLink(_JobLink):
    """To the queue."""

    name: ClassVar[str] = "Batch job queue"
    url = staticmethod(queue_url)


@attrs.define()
class BatchJobLogLink(_JobLink):
    """To the newest log stream."""

    name: ClassVar[str] = "Batch job log"
    url = staticmethod(newest_log_url)


#: The links of every task that runs a job.
JOB_LINKS = (BatchJobLink(), BatchJobDefinitionLink(), BatchJobQueueLink(), BatchJobLogLink())
