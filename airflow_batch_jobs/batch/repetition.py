"""Repetition: what to submit for a job to run once more as an existing one did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import service
from airflow_batch_jobs.batch.containers import needs
from airflow_batch_jobs.batch.identity import TAG_PREFIX, TAG_RESERVED
from airflow_batch_jobs.batch.members import name, number, structure, structures, text, texts
from airflow_batch_jobs.batch.overrides import OLDER, OVERRIDES
from airflow_batch_jobs.batch.placeholders import REF
from airflow_batch_jobs.batch.request.limits import ENVIRONMENT_RESERVED
from airflow_batch_jobs.errors import AccessDeniedError, JobNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_batch_jobs.batch.aws import ClientFactory

#: What else a job may run than one container: DescribeJobs does not tell its overrides apart.
_UNTOLD = ("nodeProperties", "ecsProperties", "eksProperties")


@dataclass(frozen=True, slots=True)
class Repetition:
    """What makes an existing job differ from its definition, in the terms of SubmitJob.

    AWS tells what a job runs and not what it was submitted with, so this is the difference between the two. A command
    that was overridden may have its placeholders filled in already: other parameters then change nothing in it.

    Attributes:
        definition: The definition's ARN with its revision.
        queue: The queue's ARN.
        parameters: Those that are not the definition's own.
        container_overrides: For the container of a single-container job.
        options: Any other fields: size of an array, timeout, attempts, share, and the user's tags.
        untold: The field of SubmitJob whose overrides, if there were any, AWS does not tell; empty for a job with one
            container.

    Does not have the job's name, what it depended on, or the tags that say whose it was: the repetition is nobody's.
    """

    definition: str
    queue: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    container_overrides: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    untold: str = ""

    @classmethod
    def of(cls, job: Mapping[str, Any], defined: Mapping[str, Any]) -> Repetition:
        """Compare a job with its definition.

        Args:
            job: An entry of DescribeJobs.
            defined: The revision, as DescribeJobDefinitions shows it; empty if it is not known.
        """
        defaults = texts(defined, "parameters")
        untold = next((OVERRIDES[kind] for kind in _UNTOLD if job.get(kind)), "")
        values = {**defaults, **texts(job, "parameters")}
        container, own = structure(job, "container"), structure(defined, "containerProperties")
        overrides = {} if untold else dict(_overrides(container, own, values))
        return cls(
            definition=name(job, "jobDefinition"),
            queue=name(job, "jobQueue"),
            parameters={key: value for key, value in texts(job, "parameters").items() if defaults.get(key) != value},
            container_overrides=overrides,
            options=dict(_options(job, defined)),
            untold=untold,
        )


def repetition_of(clients: ClientFactory, job_id: str) -> Repetition:
    """Return what to submit for a job to run once more.

    Args:
        clients: Makes the clients.
        job_id: A whole job: neither a child nor a node.

    Raises:
        JobNotFoundError: AWS knows no job of this id.
        AwsError: AWS could not be asked.
    """
    batch = service(clients, "batch")
    jobs = batch.call("describe_jobs", lambda answer: structures(answer, "jobs"), jobs=[job_id])
    if not jobs:
        raise JobNotFoundError(job_id)
    pinned = [name(jobs[0], "jobDefinition")]
    try:
        found = batch.call(
            "describe_job_definitions", lambda answer: structures(answer, "jobDefinitions"), jobDefinitions=pinned
        )
    except AccessDeniedError:
        found = ()  # then all that the job has counts as its own
    return Repetition.of(jobs[0], found[0] if found else {})


def _overrides(
    container: Mapping[str, Any], defined: Mapping[str, Any], values: Mapping[str, str]
) -> Iterator[tuple[str, Any]]:
    command, own = container.get("command"), defined.get("command")
    own = own if isinstance(own, list) else []
    # Whether AWS shows a command with or without its placeholders filled in, it says nowhere.
    if isinstance(command, list) and command and command not in (own, [_filled(item, values) for item in own]):
        yield "command", command
    own = [
        {"name": name(each, "name"), "value": text(each, "value")}
        for each in structures(container, "environment")
        if each not in structures(defined, "environment")
    ]
    if environment := [each for each in own if not each["name"].startswith(ENVIRONMENT_RESERVED)]:
        yield "environment", environment
    known = {**{kind: text(defined, field) for kind, field in OLDER.items()}, **needs(defined)}
    if requirements := [
        {"type": kind, "value": value} for kind, value in needs(container).items() if known.get(kind) != value
    ]:
        yield "resourceRequirements", requirements


def _filled(item: Any, values: Mapping[str, str]) -> Any:
    if isinstance(item, str) and item.startswith(REF):
        return values.get(item.removeprefix(REF), item)
    return item


def _options(job: Mapping[str, Any], defined: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if size := number(structure(job, "arrayProperties"), "size"):
        yield "arrayProperties", {"size": size}
    if (timeout := structure(job, "timeout")) and timeout != structure(defined, "timeout"):
        yield "timeout", dict(timeout)
    retries = {key: value for key, value in structure(job, "retryStrategy").items() if value}
    if retries and retries not in ({"attempts": 1}, structure(defined, "retryStrategy")):
        yield "retryStrategy", retries
    if share := name(job, "shareIdentifier"):
        yield "shareIdentifier", share
        if (priority := number(job, "schedulingPriority")) not in {None, number(defined, "schedulingPriority")}:
            yield "schedulingPriorityOverride", priority
    if job.get("propagateTags") is False and not job.get("eksProperties"):
        yield "propagateTags", False
    kept = {
        key: value
        for key, value in texts(job, "tags").items()
        if not key.startswith(TAG_PREFIX) and not key.lower().startswith(TAG_RESERVED)
    }
    if kept:
        yield "tags", kept
