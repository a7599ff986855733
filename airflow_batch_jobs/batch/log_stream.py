"""LogStream: where a container's log is, in CloudWatch or elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Self

from airflow_batch_jobs.batch.containers import AWSLOGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from airflow_batch_jobs.batch.containers import ContainerSpec, Pod

#: How many incomplete streams of a job are named one by one.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class LogStream:
    """One CloudWatch log stream: what one container wrote in one attempt.

    Attributes:
        label: Tells the streams of one job apart: `attempt 2`, `container sidecar`, `child 3, attempt 2`; empty if
            there is nothing to tell apart. It can change during the job's life, so it does not identify the stream:
            `key` does.
        group: The log group.
        region: The region the group is in.
        stream: The stream's name in its group.
        started_at: When its attempt started, or else when the job was created: no line is older.
    """

    label: str
    group: str
    region: str
    stream: str
    started_at: datetime | None = None

    @property
    def key(self) -> str:
        """The stream's identity, `region:group:stream`; none of the three can contain a colon."""
        return f"{self.region}:{self.group}:{self.stream}"

    @property
    def where(self) -> str:
        """Where a person finds it."""
        return f"log group {self.group}, stream {self.stream}, region {self.region}"

    @classmethod
    def from_dict(cls, stored: Mapping[str, str]) -> Self:
        """Read the JSON form, ignoring unknown fields; it does not have `started_at`."""
        return cls(stored["label"], stored["group"], stored["region"], stored["stream"])

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form that goes into XComs."""
        return {"label": self.label, "group": self.group, "region": self.region, "stream": self.stream}


def logs_elsewhere(containers: Iterable[ContainerSpec], pod: Pod | None) -> str:
    """Say in one line where a log outside CloudWatch is; empty if all of it is in CloudWatch.

    Args:
        containers: What the job runs.
        pod: Where a job on EKS runs; None for any other job.
    """
    if pod is not None:
        return _pod_logs(pod)
    return "; ".join(_driver_logs(spec) for spec in containers if spec.log_driver != AWSLOGS)


def incomplete_logs(missing: Mapping[LogStream, str]) -> Iterator[str]:
    """Say in one line each which logs of a job are not complete: of a few where the rest is and why, then a count.

    Args:
        missing: The streams that were not read to their end, and why.
    """
    for stream, why in islice(missing.items(), MOST_NAMED):
        whose = f" of {stream.label}" if stream.label else ""
        yield f"The log{whose} is not complete; the rest is in {stream.where}. {why}"
    if (more := len(missing) - MOST_NAMED) > 0:
        yield f"{more:,} more log streams of the job are not complete; AWS Batch's console links to each."


def milliseconds(moment: datetime) -> int:
    """Return CloudWatch's form of a time: milliseconds since the epoch."""
    return int(moment.timestamp() * 1000)


def _driver_logs(spec: ContainerSpec) -> str:
    whose = f"container {spec.name}" if spec.name else "the container"
    where = f" at {spec.log_address}" if spec.log_address else ""
    return f"The log of {whose} goes to the {spec.log_driver} log driver{where}, not to CloudWatch"


def _pod_logs(pod: Pod) -> str:
    known = (("node", pod.node), ("namespace", pod.namespace), ("cluster", pod.cluster))
    whose = f"pod {pod.name}" if pod.name else "the job's pod"
    if pod.is_one_of_several:
        whose, known = "each of the job's pods", (("node", ""), *known[1:])
    where = ", ".join(f"{what} {name}" for what, name in known if name)
    return f"The log of {whose}{f' ({where})' if where else ''} is in EKS, where AWS Batch makes no CloudWatch stream"
