"""JobDetail: a frozen view of one DescribeJobs entry, of every shape AWS Batch has.

An array parent counts its children, a multi-node parent its nodes, and each of those parts is an entry of its own; all
are read into the same form. Whatever AWS leaves out is None or empty; whatever AWS adds is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.containers import (
    AWSLOGS,
    Attempt,
    ContainerResult,
    ContainerSpec,
    Pod,
    most_telling,
    read_attempts,
    read_pod,
    read_results,
    read_span,
    read_specs,
    read_time,
)
from airflow_batch_jobs.batch.log_stream import LogStream, logs_elsewhere
from airflow_batch_jobs.batch.members import name, number, structure, structures, text, texts
from airflow_batch_jobs.batch.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

__all__ = ["Attempt", "ContainerResult", "ContainerSpec", "JobDetail", "JobKind", "LogStream", "Pod"]


#: AWS's limits: what an answer has beyond them is no number of parts to make a list of.
MOST_CHILDREN = 10_000
_MOST_NODES = 1_000
#: A part's number has fewer digits.
_MOST_DIGITS = 10


class JobKind(Enum):
    """The shapes of a Batch job."""

    #: One container on ECS or Fargate.
    SINGLE = "single"
    #: Several containers in one ECS task.
    MULTI_CONTAINER = "multi-container"
    #: An array: it runs nothing itself, its children do.
    ARRAY_PARENT = "array parent"
    #: One child of an array, `id:3`.
    ARRAY_CHILD = "array child"
    #: A multi-node parallel job: it ends as its main node does.
    MULTI_NODE = "multi-node"
    #: One node of a multi-node job, `id#1`.
    NODE = "node"
    #: A pod on EKS.
    EKS = "eks"


@dataclass(frozen=True, kw_only=True)
class JobDetail:
    """One job as AWS Batch described it.

    Attributes:
        job_id: `id`; for a child `id:3`, for a node `id#1`.
        job_arn: The job's ARN.
        job_name: The name it was submitted under.
        job_queue: The queue's ARN.
        job_definition: The definition's ARN with its revision.
        region: The region the job runs in.
        status: Where it is in its life.
        status_reason: Why it is there, according to AWS.
        created_at: When it was submitted.
        started_at: When it began to run; None before.
        stopped_at: None before its end.
        attempts: The attempts AWS lists. The running one may not be among them yet.
        exit_code: That of the container that failed, or of the only one, in the last attempt that ended; None if there
            is no such attempt, or no container started.
        reason: What AWS says about that container, in the entry or in its last attempt.
        is_cancelled: Whether it was cancelled.
        is_terminated: Whether it was terminated.
        tags: The job's tags.
        parameters: What fills the definition's placeholders, defaults included.
        depends_on: The ids of the jobs it waits for.
        timeout_seconds: How long one attempt may take; None for no limit.
        max_attempts: How often AWS tries; None if AWS does not say.
        kind: The job's shape.
        array_size: The number of children of an array.
        array_index: Which child of its array this is.
        children: How many children of an array are in which state.
        nodes: The number of nodes of a multi-node job.
        main_node: The node whose end is the job's end.
        node_index: Which node of its multi-node job this is.
        is_main_node: Whether that is the main one.
        containers: What the job runs.
        results: The current state of those containers.
        pod: Where a job on EKS runs; None for any other job.
        platform: What it runs on: EKS, or as AWS Batch calls it, EC2 or FARGATE.
        instance_type: The type of its instances, where the definition names one.
    """

    job_id: str
    job_arn: str = ""
    job_name: str = ""
    job_queue: str = ""
    job_definition: str = ""
    region: str = ""
    status: JobStatus
    status_reason: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    exit_code: int | None = None
    reason: str = ""
    is_cancelled: bool = False
    is_terminated: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    timeout_seconds: int | None = None
    max_attempts: int | None = None
    kind: JobKind = JobKind.SINGLE
    array_size: int | None = None
    array_index: int | None = None
    children: Mapping[JobStatus, int] = field(default_factory=dict)
    nodes: int | None = None
    main_node: int | None = None
    node_index: int | None = None
    is_main_node: bool = False
    containers: tuple[ContainerSpec, ...] = ()
    results: tuple[ContainerResult, ...] = ()
    pod: Pod | None = None
    platform: str = ""
    instance_type: str = ""

    @classmethod
    def from_response(cls, job: Mapping[str, Any], region: str) -> JobDetail:
        """Read one entry of a DescribeJobs answer.

        Args:
            job: The entry.
            region: The region that was asked; empty to take it from the job's ARN.
        """
        kind = _kind(job)
        array, nodes = structure(job, "arrayProperties"), structure(job, "nodeProperties")
        containers = read_specs(job)
        attempts = read_attempts(job, containers)
        results = read_results(job, containers)
        telling = most_telling(_last_ends(results, attempts))
        started_at, stopped_at = read_span(job.get("startedAt"), job.get("stoppedAt"))
        return cls(
            job_id=name(job, "jobId"),
            job_arn=name(job, "jobArn"),
            job_name=name(job, "jobName"),
            job_queue=name(job, "jobQueue"),
            job_definition=name(job, "jobDefinition"),
            region=region or _region_of(job),
            status=_status(name(job, "status")),
            status_reason=text(job, "statusReason"),
            created_at=read_time(job.get("createdAt")),
            started_at=started_at,
            stopped_at=stopped_at,
            attempts=attempts,
            exit_code=telling.exit_code,
            reason=telling.reason,
            is_cancelled=job.get("isCancelled") is True,
            is_terminated=job.get("isTerminated") is True,
            tags=texts(job, "tags"),
            parameters=texts(job, "parameters"),
            depends_on=tuple(filter(None, (name(other, "jobId") for other in structures(job, "dependsOn")))),
            timeout_seconds=number(structure(job, "timeout"), "attemptDurationSeconds"),
            max_attempts=number(structure(job, "retryStrategy"), "attempts"),
            kind=kind,
            array_size=number(array, "size", MOST_CHILDREN) if kind is JobKind.ARRAY_PARENT else None,
            array_index=_part_number(job, ":", number(array, "index")) if kind is JobKind.ARRAY_CHILD else None,
            children=_children(array) if kind is JobKind.ARRAY_PARENT else {},
            nodes=number(nodes, "numNodes", _MOST_NODES) if kind is JobKind.MULTI_NODE else None,
            main_node=number(nodes, "mainNode") if kind is JobKind.MULTI_NODE else None,
            node_index=(
                _part_number(job, "#", number(structure(job, "nodeDetails"), "nodeIndex"))
                if kind is JobKind.NODE
                else None
            ),
            is_main_node=structure(job, "nodeDetails").get("isMainNode") is True,
            containers=containers,
            results=results,
            pod=(pod := read_pod(job)),
            platform="EKS" if pod else _platform(job),
            instance_type=_instance_type(job),
        )

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.status.is_final

    @property
    def queue_name(self) -> str:
        """The queue's name, without the rest of its ARN."""
        return self.job_queue.rpartition("/")[2]

    @property
    def definition_reference(self) -> str:
        """The definition as `name:revision`."""
        return self.job_definition.rpartition("/")[2]

    @property
    def definition_name(self) -> str:
        """The definition's name, without its revision."""
        return self.definition_reference.partition(":")[0]

    @property
    def part_label(self) -> str:
        """Which part of a larger job this is: `child 3`, `node 1`; empty for a whole job."""
        if self.array_index is not None:
            return f"child {self.array_index}"
        return "" if self.node_index is None else f"node {self.node_index}"

    def telling_container(self) -> str:
        """Return the name of the container that `exit_code` and `reason` are of; empty for the only one of a job."""
        return most_telling(self.last_results()).name

    def last_results(self) -> Sequence[ContainerResult]:
        """Return how the containers ended, those of the last attempt."""
        return _last_ends(self.results, self.attempts)

    def part_ids(self) -> tuple[str, ...]:
        """Return the ids of an array's children or of a multi-node job's nodes; empty for any other job."""
        if self.kind is JobKind.ARRAY_PARENT:
            return tuple(f"{self.job_id}:{index}" for index in range(self.array_size or 0))
        return tuple(f"{self.job_id}#{index}" for index in range(self.nodes or 0))

    def log_streams(self) -> tuple[LogStream, ...]:
        """Return the CloudWatch streams of all attempts and containers in this entry, oldest first.

        Does not include those of an array's children or a multi-node job's nodes: describe `part_ids()` for them. The
        attempts of a multi-node job's parent are its main node's, whose own entry has their streams.
        """
        return self._streams_of(self.runs())

    def last_log_streams(self) -> tuple[LogStream, ...]:
        """Return those of `log_streams` that are of the last attempt."""
        return self._streams_of(self.runs()[-1:])

    def _streams_of(self, runs: Sequence[Attempt]) -> tuple[LogStream, ...]:
        if self.kind is JobKind.MULTI_NODE:
            return ()
        names = {result.name for attempt in runs for result in attempt.containers} | {c.name for c in self.containers}
        specs = {spec.name: spec for spec in self.containers}
        several_attempts = bool(runs) and runs[-1].number > 1
        streams: dict[str, LogStream] = {}
        labels: set[str] = set()
        for attempt in runs:
            for result in attempt.containers:
                spec = specs.get(result.name, ContainerSpec())
                if not result.log_stream_name or spec.log_driver != AWSLOGS:
                    continue
                attempt_label = f"attempt {attempt.number}" if several_attempts else ""
                container_label = f"container {result.name}" if len(names) > 1 else ""
                stream = LogStream(
                    label=", ".join(filter(None, (self.part_label, attempt_label, container_label))),
                    group=spec.log_group,
                    region=spec.log_region or self.region,
                    stream=result.log_stream_name,
                    started_at=attempt.started_at or self.created_at,
                )
                if stream.key not in streams:
                    streams[stream.key] = replace(stream, label=_one_of_its_own(stream.label, labels))
        return tuple(streams.values())

    def logs_elsewhere(self) -> str:
        """Say in one line where a log outside CloudWatch is; empty if all of it is in CloudWatch."""
        return logs_elsewhere(self.containers, self.pod)

    def runs(self) -> tuple[Attempt, ...]:
        """Return the attempts, adding the running one if its streams are not among theirs yet."""
        listed = {result.log_stream_name for attempt in self.attempts for result in attempt.containers}
        fresh = tuple(r for r in self.results if r.log_stream_name and r.log_stream_name not in listed)
        if not fresh:
            return self.attempts
        last = self.attempts[-1] if self.attempts else None
        goes_on = last is not None and (self.is_final or last.stopped_at is None)
        number = len(self.attempts) + (0 if goes_on else 1)
        return (*self.attempts, Attempt(number=number, started_at=self.started_at, containers=fresh))


def _one_of_its_own(label: str, taken: set[str]) -> str:
    """Return a label that no other stream has, with a number where two would have the same, and take it."""
    own = next(own for number in count(1) if (own := label if number == 1 else f"{label} ({number})") not in taken)
    taken.add(own)
    return own


def _last_ends(results: Sequence[ContainerResult], attempts: Sequence[Attempt]) -> Sequence[ContainerResult]:
    """Return how the containers ended last: as the entry says, and where it says nothing, as its last attempt does."""
    if not attempts:
        return results
    if not any(result.exit_code is not None or result.reason for result in results):
        return attempts[-1].containers
    reasons = {(listed.name, listed.exit_code): listed.reason for listed in attempts[-1].containers}
    return [
        replace(result, reason=result.reason or reasons.get((result.name, result.exit_code), "")) for result in results
    ]


def _kind(job: Mapping[str, Any]) -> JobKind:
    array, job_id = structure(job, "arrayProperties"), name(job, "jobId")
    if "#" in job_id or number(structure(job, "nodeDetails"), "nodeIndex") is not None:
        return JobKind.NODE
    if ":" in job_id or number(array, "index") is not None:
        return JobKind.ARRAY_CHILD
    if number(array, "size"):
        return JobKind.ARRAY_PARENT
    if job.get("nodeProperties"):
        return JobKind.MULTI_NODE
    if job.get("eksProperties") or job.get("eksAttempts"):
        return JobKind.EKS
    return JobKind.MULTI_CONTAINER if job.get("ecsProperties") else JobKind.SINGLE


def _platform(job: Mapping[str, Any]) -> str:
    """Return what a job outside of EKS runs on: EC2 if AWS does not say otherwise."""
    told = job.get("platformCapabilities")
    names = [each for each in told if isinstance(each, str)] if isinstance(told, (list, tuple)) else []
    return "FARGATE" if "FARGATE" in names else name({"": names[0]}, "") if names else "EC2"


def _instance_type(job: Mapping[str, Any]) -> str:
    ranges = structures(structure(job, "nodeProperties"), "nodeRangeProperties")
    return next(filter(None, (name(structure(entry, "container"), "instanceType") for entry in (job, *ranges))), "")


def _status(called: str) -> JobStatus:
    """Return the state of a name; one that AWS may add some day is not final, since AWS promises only two that are."""
    return JobStatus(called) if called in JobStatus.__members__ else JobStatus.SUBMITTED


def _children(array: Mapping[str, Any]) -> dict[JobStatus, int]:
    summary = structure(array, "statusSummary")
    counts = {status: number(summary, status.value, MOST_CHILDREN) for status in JobStatus}
    return {status: count for status, count in counts.items() if count}


def _part_number(job: Mapping[str, Any], mark: str, given: int | None) -> int | None:
    """Return which part of its parent a job is, according to AWS, or else to its id."""
    digits = name(job, "jobId").rpartition(mark)[2]
    return given if given is not None else int(digits) if digits.isdecimal() and len(digits) < _MOST_DIGITS else None


def _region_of(job: Mapping[str, Any]) -> str:
    """Take the region from the first ARN that the entry has: `arn:aws:batch:REGION:…`."""
    arns = (name(job, member).split(":") for member in ("jobArn", "jobQueue", "jobDefinition"))
    return next((parts[3] for parts in arns if parts[0] == "arn" and len(parts) > 3), "")  # noqa: PLR2004 - as above
