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

#: The console's address in the regions of each partition, by the start of their names; the first that fits counts.
#: Other partitions than these have none that is public.
_CONSOLES = (
    ("cn-", "console.amazonaws.cn"),
    ("us-gov-", "console.amazonaws-us-gov.com"),
    ("eusc-", "{region}.console.amazonaws-eusc.eu"),
    ("us-iso", ""),
    ("eu-iso", ""),
    ("", "console.aws.amazon.com"),
)
#: The parts of an ARN that say whose it is: `arn:aws:batch:eu-central-1:123456789012`.
_OWNER = 5
#: Where the Batch console has jobs of these kinds; all others are below `jobs/detail`.
_PAGES = {
    "array parent": "jobs/array-job",
    "multi-node": "jobs/mnp-job",
    "node": "jobs/mnp-job",
}


def console_url(region: str, service: str, page: str) -> str:
    """Return the URL of a page in the AWS console of a region; empty where that is not public.

    Args:
        region: The region's name.
        service: The console: `batch`.
        page: The page, as it stands behind the `#`.
    """
    address = next(address for start, address in _CONSOLES if region.startswith(start))
    if not address:
        return ""
    return f"https://{address.format(region=region)}/{service}/home?region={quote(region, safe='')}#{page}"


def job_url(job: Mapping[str, Any]) -> str:
    """Return the console's page of a job, which another kind of job has elsewhere; of a node it is the whole job's.

    Args:
        job: The XCom `batch_job`.
    """
    page = _PAGES.get(_kind(job), "jobs/detail")
    job_id = job["job_id"].partition("#")[0]
    return console_url(job["region"], "batch", f"{page}/{quote(job_id, safe=':')}")


def definition_url(job: Mapping[str, Any]) -> str:
    """Return the console's page of the definition at its revision; empty while its ARN is not known.

    Args:
        job: The XCom `batch_job`.
    """
    return _arn_url(job, "job-definition/detail", _arn_of(job, "definition", "queue", "job-definition"))


def queue_url(job: Mapping[str, Any]) -> str:
    """Return the console's page of the queue; empty while its ARN is not known.

    Args:
        job: The XCom `batch_job`.
    """
    return _arn_url(job, "queues/detail", _arn_of(job, "queue", "definition", "job-queue"))


def log_url(job: Mapping[str, Any]) -> str:
    """Return the console's page of the log that says most; empty while the job has none.

    Of an array or a multi-node job that failed, that is its first failed child's or node's; else the newest stream.

    Args:
        job: The XCom `batch_job`.
    """
    failed = (job.get("failed_children") or ()) if job.get("status") == "FAILED" else ()
    streams = [stream for child in failed if (stream := child.get("log_stream"))] or (job.get("log_streams") or ())[-1:]
    return log_stream_url(streams[0]) if streams else ""


def log_stream_url(stream: Mapping[str, str]) -> str:
    """Return the console's page of a log stream: `{group, region, stream}`.

    Args:
        stream: An entry of `log_streams` in the XCom `batch_job`.
    """
    group, name = (_console_quote(stream[part]) for part in ("group", "stream"))
    return console_url(stream["region"], "cloudwatch", f"logsV2:log-groups/log-group/{group}/log-events/{name}")


def _kind(job: Mapping[str, Any]) -> str:
    """Return the job's kind; XComs of older versions have only its numbers of children and nodes."""
    if kind := job.get("kind"):
        return str(kind)
    if "#" in job["job_id"] or job.get("nodes"):
        return "multi-node"
    return "array parent" if job.get("array_size") or job.get("children") else ""


def _arn_of(job: Mapping[str, Any], field: str, other: str, resource: str) -> str:
    """Return an ARN of the XCom; of a name, with partition, region and account of the other one; else nothing."""
    value, neighbour = (str(job.get(name) or "") for name in (field, other))
    if not value or value.startswith("arn:"):
        return value
    owner = neighbour.split(":")[:_OWNER]
    return ":".join([*owner, f"{resource}/{value}"]) if owner[0] == "arn" else ""


def _arn_url(job: Mapping[str, Any], page: str, arn: str) -> str:
    """Return the page of an ARN, in the region that it names; empty without an ARN."""
    if not arn:
        return ""
    region = (arn.split(":")[3:4] or [""])[0] or job["region"]
    return console_url(region, "batch", f"{page}/{quote(arn, safe=':/')}")


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

        from airflow_batch_jobs.batch.xcoms import JOB_XCOM

        return self.leads_to(XCom.get_value(ti_key=ti_key, key=JOB_XCOM))

    def leads_to(self, value: Any) -> str:
        """Return the URL for what is in that XCom; empty if it is no job, or one without such a page."""
        return self.url(value) if isinstance(value, dict) and value.get("region") and value.get("job_id") else ""

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
    """To the log stream that says most: the newest one, or a failed child's."""

    name: ClassVar[str] = "Batch job log"
    url = staticmethod(log_url)


#: The links of every task that runs a job.
JOB_LINKS = (BatchJobLink(), BatchJobDefinitionLink(), BatchJobQueueLink(), BatchJobLogLink())
