"""What runs inside a job: its containers, how they ended, and the attempts AWS made.

A single container is in `container`, several are in `ecsProperties` and each attempt's `taskProperties`, a pod is in
`eksProperties` and `eksAttempts`, the nodes of a multi-node job in ranges. All are read into the same few dataclasses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.members import NOTHING, name, structure, structures, text, texts
from airflow_batch_jobs.batch.storable import whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: The log driver that writes to CloudWatch, and the default.
AWSLOGS = "awslogs"
#: The log group of a container that names none.
DEFAULT_LOG_GROUP = "/aws/batch/job"

#: 128 + SIGKILL and 128 + SIGTERM: the exit codes of a healthy container that ECS stops because another one failed.
STOPPED_BY_ECS = frozenset({137, 143})

#: An amount and its unit; a pod's may have those of Kubernetes.
_AMOUNT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([A-Za-z]{0,3})")
_CORES: Mapping[str, float] = {"": 1, "m": 0.001}
_MEBIBYTES: Mapping[str, float] = {"MiB": 1, "Mi": 1, "Gi": 1024}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Between these, in milliseconds since the epoch, are the times of all jobs: AWS Batch is of 2016.
_EARLIEST = datetime(2016, 1, 1, tzinfo=UTC).timestamp() * 1000
_LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000


@dataclass(frozen=True, slots=True)
class ContainerResult:
    """How one container ended in one attempt.

    Attributes:
        name: The container's name; empty for the only container of a job.
        exit_code: None while it runs, and if it never started.
        reason: What AWS says about the end: `OutOfMemoryError: …`.
        log_stream_name: Empty before it runs, and if its log is not in CloudWatch.
        essential: Whether the job fails if this container does.
    """

    name: str = ""
    exit_code: int | None = None
    reason: str = ""
    log_stream_name: str = ""
    essential: bool = True

    @property
    def failed(self) -> bool:
        """Whether it ended with an exit code other than 0."""
        return self.exit_code not in {None, 0}


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container as the job runs it, and where its log goes.

    Attributes:
        name: The container's name; empty for the only container of a job.
        image: The image, as the definition names it.
        essential: Whether the job fails if this container does.
        log_driver: `awslogs` writes to CloudWatch; any other goes elsewhere.
        log_group: The CloudWatch group, if the driver is `awslogs`.
        log_region: The region of that group; empty for the job's own.
        memory: The memory it has, with its unit.
        vcpus: The vCPUs that it asks for; None if it does not say, or not in digits.
        memory_mib: The memory that it asks for; None likewise.
        gpus: The GPUs that it asks for; 0 for none.
        is_before_others: Whether it has ended when the other containers of its pod start.
        log_address: Where another driver sends the log, if its options say so.
    """

    name: str = ""
    image: str = ""
    essential: bool = True
    log_driver: str = AWSLOGS
    log_group: str = DEFAULT_LOG_GROUP
    log_region: str = ""
    log_address: str = ""
    memory: str = ""
    vcpus: float | None = None
    memory_mib: int | None = None
    gpus: int = 0
    is_before_others: bool = False


@dataclass(frozen=True, slots=True)
class Pod:
    """Where a job on EKS runs, as far as AWS says; empty where it does not.

    Attributes:
        cluster: The EKS cluster.
        namespace: The namespace in it.
        name: The pod of the current attempt, or of the last one.
        node: The node of the cluster.
        is_one_of_several: Whether this is the main node's pod of a multi-node job, whose other nodes have their own.
    """

    cluster: str = ""
    namespace: str = ""
    name: str = ""
    node: str = ""
    is_one_of_several: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a job by AWS Batch itself.

    Attributes:
        number: From 1.
        started_at: When its containers began to run; None if they never did, or AWS says what cannot be.
        stopped_at: None while it runs.
        status_reason: Why it ended, according to AWS.
        containers: Its containers' results, in the definition's order.
    """

    number: int
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    status_reason: str = ""
    containers: tuple[ContainerResult, ...] = ()

    @property
    def exit_code(self) -> int | None:
        """The exit code of the container that failed, or of the only one."""
        return most_telling(self.containers).exit_code

    @property
    def reason(self) -> str:
        """What AWS says about the container that failed, or about the only one."""
        return most_telling(self.containers).reason


def read_attempts(job: Mapping[str, Any], specs: Sequence[ContainerSpec]) -> tuple[Attempt, ...]:
    """Read the attempts of a DescribeJobs entry, oldest first.

    Args:
        job: The entry.
        specs: What the job runs; they say which containers are essential.
    """
    essential = {spec.name: spec.essential for spec in specs}
    listed = structures(job, "attempts") or structures(job, "eksAttempts")
    return tuple(_attempt(number, attempt, essential) for number, attempt in enumerate(listed, start=1))


def read_results(job: Mapping[str, Any], specs: Sequence[ContainerSpec]) -> tuple[ContainerResult, ...]:
    """Read the current state of the containers of a DescribeJobs entry."""
    essential = {spec.name: spec.essential for spec in specs}
    return tuple(_result(container, essential) for container in _containers(job))


def read_specs(job: Mapping[str, Any]) -> tuple[ContainerSpec, ...]:
    """Read what a DescribeJobs entry runs; for a multi-node parent, what its nodes run."""
    ranges = structures(structure(job, "nodeProperties"), "nodeRangeProperties")
    found = {spec.name: spec for part in (*ranges, job) for spec in _specs(part)}
    return tuple(found.values())


def read_pod(job: Mapping[str, Any]) -> Pod | None:
    """Read where a job on EKS runs; None for a job that is not on EKS."""
    ranges = structures(structure(job, "nodeProperties"), "nodeRangeProperties")
    if not any(entry.get("eksProperties") or entry.get("eksAttempts") for entry in (job, *ranges)):
        return None
    spec = _pod(job)
    last = (structures(job, "eksAttempts") or (NOTHING,))[-1]
    return Pod(
        cluster=name(last, "eksClusterArn").rpartition("/")[2],
        namespace=name(last, "podNamespace") or name(structure(spec, "metadata"), "namespace"),
        name=name(spec, "podName") or name(last, "podName"),
        node=name(spec, "nodeName") or name(last, "nodeName"),
        is_one_of_several=bool(ranges),
    )


def read_time(milliseconds: Any) -> datetime | None:
    """Turn AWS's milliseconds since the epoch into an aware UTC time; None for what no job's time can be.

    Absent times, 0 and times of 1970 occur, and so do some that are no numbers.
    """
    is_number = isinstance(milliseconds, (int, float)) and not isinstance(milliseconds, bool)
    if not is_number or not _EARLIEST <= milliseconds < _LATEST:
        return None
    return _EPOCH + timedelta(milliseconds=milliseconds)


def read_span(started: Any, stopped: Any) -> tuple[datetime | None, datetime | None]:
    """Read a start and an end, both as `read_time` does; a start that AWS puts after the end is left out."""
    start, end = read_time(started), read_time(stopped)
    return (None if start and end and end < start else start), end


def needs(properties: Mapping[str, Any]) -> dict[str, str]:
    """Return the resourceRequirements of a container, or of an override, by type: `{"VCPU": "1", "MEMORY": "512"}`."""
    return {name(need, "type"): name(need, "value") for need in structures(properties, "resourceRequirements")}


def most_telling(results: Sequence[ContainerResult]) -> ContainerResult:
    """Return the result that explains how a set of containers ended: the one that failed by itself, or the first.

    Where those that are essential never ran, or were only stopped, one that is not can be why.
    """
    first = min(results, key=_silence, default=ContainerResult())
    never_ran = first.exit_code is None and not first.log_stream_name
    if first.reason or not (never_ran or first.exit_code in STOPPED_BY_ECS):
        return first
    others = (one for one in results if (one.reason and one.exit_code is None) or (one.failed and never_ran))
    return min(others, key=_silence, default=first)


def _silence(result: ContainerResult) -> tuple[bool, int]:
    """Rank how little a result explains: it failed by itself, never started, was stopped with the job, or is fine."""
    stopped_along = result.exit_code in STOPPED_BY_ECS and not result.reason
    if result.failed and not stopped_along:
        rank = 0
    elif result.exit_code is None and result.reason:
        rank = 1
    else:
        rank = 2 if result.failed else 3
    return (not result.essential, rank)


def _pod(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return structure(structure(entry, "eksProperties"), "podProperties")


def _containers(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the containers of a job, or of a range of nodes, whatever runs them."""
    if single := structure(entry, "container"):
        yield single
    for task in structures(structure(entry, "ecsProperties"), "taskProperties"):
        yield from structures(task, "containers")
    pod = _pod(entry)
    yield from structures(pod, "initContainers")
    yield from structures(pod, "containers")


def _attempt_containers(attempt: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the containers of one attempt, whatever ran them."""
    if single := structure(attempt, "container"):
        yield single
    for task in structures(attempt, "taskProperties"):
        yield from structures(task, "containers")
    yield from structures(attempt, "initContainers")
    yield from structures(attempt, "containers")


def _attempt(number: int, attempt: Mapping[str, Any], essential: Mapping[str, bool]) -> Attempt:
    started_at, stopped_at = read_span(attempt.get("startedAt"), attempt.get("stoppedAt"))
    return Attempt(
        number=number,
        started_at=started_at,
        stopped_at=stopped_at,
        status_reason=text(attempt, "statusReason"),
        containers=tuple(_result(container, essential) for container in _attempt_containers(attempt)),
    )


def _result(container: Mapping[str, Any], essential: Mapping[str, bool]) -> ContainerResult:
    called = name(container, "name")
    return ContainerResult(
        name=called,
        exit_code=whole_number(container.get("exitCode")),
        reason=text(container, "reason"),
        log_stream_name=name(container, "logStreamName"),
        essential=essential.get(called, True),
    )


def _specs(entry: Mapping[str, Any]) -> Iterator[ContainerSpec]:
    before = structures(_pod(entry), "initContainers")
    for container in _containers(entry):
        yield _spec(container, is_before_others=any(container is each for each in before))


def _spec(container: Mapping[str, Any], *, is_before_others: bool) -> ContainerSpec:
    asked, memory = needs(container), _memory(container)
    log = structure(container, "logConfiguration")
    options = texts(log, "options")
    addresses = (value for option, value in options.items() if option.endswith(("-address", "-url")))
    return ContainerSpec(
        name=name(container, "name"),
        image=name(container, "image"),
        # ECS takes a container for essential unless told otherwise.
        essential=container.get("essential") is not False,
        log_driver=name(log, "logDriver") or AWSLOGS,
        log_group=name(options, "awslogs-group") or DEFAULT_LOG_GROUP,
        log_region=name(options, "awslogs-region"),
        # What follows the @: before it may be a password.
        log_address=next(addresses, "").rpartition("@")[2],
        memory=memory,
        vcpus=_amount(asked.get("VCPU") or name(container, "vcpus") or _of_pod(container, "cpu"), _CORES),
        memory_mib=None if (mebibytes := _amount(memory, _MEBIBYTES)) is None else round(mebibytes),
        gpus=round(_amount(asked.get("GPU") or _of_pod(container, "nvidia.com/gpu"), _CORES) or 0),
        is_before_others=is_before_others,
    )


def _memory(container: Mapping[str, Any]) -> str:
    """Read the memory from where the definition has it: a resource, the older field, or what a pod says."""
    mebibytes = needs(container).get("MEMORY") or name(container, "memory")
    return f"{mebibytes} MiB" if mebibytes else _of_pod(container, "memory")


def _of_pod(container: Mapping[str, Any], resource: str) -> str:
    """Read what a pod's container asks for; its limit and its request are the same where AWS Batch takes both."""
    resources = structure(container, "resources")
    return name(structure(resources, "limits"), resource) or name(structure(resources, "requests"), resource)


def _amount(text: str, units: Mapping[str, float]) -> float | None:
    """Read an amount with its unit; None if that is not known, or there is no amount."""
    match = _AMOUNT.fullmatch(text)
    if match is None or match[2] not in units:
        return None
    return float(match[1]) * units[match[2]] or None
