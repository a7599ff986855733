"""SubmitJob: check a request as AWS does, and make a job from it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.override_length import MOST_CHARACTERS
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.local.containers import containers_of, node_count
from airflow_batch_jobs.local.jobs import Job, new_job_id
from airflow_batch_jobs.local.limits import MOST_TAGS, check_submit
from airflow_batch_jobs.local.overrides import OVERRIDES, all_override_problems, result_problems
from airflow_batch_jobs.local.wire import client_exception

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_batch_jobs.local.account import Account
    from airflow_batch_jobs.local.clock import Timeline
    from airflow_batch_jobs.local.containers import Container
    from airflow_batch_jobs.local.definitions import Definition, Definitions
    from airflow_batch_jobs.local.jobs import Jobs
    from airflow_batch_jobs.local.queues import Queue, Queues
    from airflow_batch_jobs.local.scripted import Script


class Submitter:
    """Makes jobs from requests."""

    def __init__(
        self, account: Account, timeline: Timeline, definitions: Definitions, queues: Queues, jobs: Jobs
    ) -> None:
        self._account = account
        self._timeline = timeline
        self._definitions = definitions
        self._queues = queues
        self._jobs = jobs
        self._scripts: list[Script] = []

    def add_script(self, script: Script) -> None:
        """Let jobs submitted from now on follow a script; the newest one that matches a job counts."""
        self._scripts.insert(0, script)

    def make_job(self, request: Mapping[str, Any], size_bytes: int) -> Job:
        """Return a new job.

        Args:
            request: The parameters of SubmitJob.
            size_bytes: The size of the request's body.

        Raises:
            ServiceError: A ClientException.
        """
        check_submit(request, size_bytes)
        queue = self._queues.get(request["jobQueue"])
        definition = self._definitions.active(request["jobDefinition"])
        _check_queue(queue, request, definition)
        self._check_dependencies(request)
        for problem in all_override_problems(definition, request):
            raise client_exception(problem)
        nodes = node_count(definition, request)
        if nodes and request.get("arrayProperties"):
            raise client_exception("A multi-node parallel job can not be an array job")
        containers = containers_of(definition, request)
        for problem in result_problems(definition, containers) if OVERRIDES & request.keys() else ():
            raise client_exception(problem)
        job_id = new_job_id()
        return Job(
            id=job_id,
            name=request["jobName"],
            arn=self._account.arn(f"job/{job_id}"),
            queue_arn=queue.arn,
            definition=definition,
            request=request,
            containers=containers,
            flaw=_flaw(definition, request, containers),
            tags=dict(request.get("tags", {})),
            created_at=self._timeline.now_ms(),
            script=self._script(definition.reference, request["jobName"], queue.arn),
            node_count=nodes,
        )

    def children_of(self, parent: Job) -> list[Job]:
        """Return an array job's children, in PENDING. They do not get the parent's tags."""
        return [
            Job(
                id=f"{parent.id}:{index}",
                name=parent.name,
                arn=f"{parent.arn}:{index}",
                queue_arn=parent.queue_arn,
                definition=parent.definition,
                request=parent.request,
                containers=parent.containers,
                flaw=parent.flaw,
                tags={},
                created_at=self._timeline.now_ms(),
                script=self._script(parent.definition.reference, parent.name, parent.queue_arn, index),
                parent=parent,
                index=index,
                status=JobStatus.PENDING,
            )
            for index in range(parent.array_size)
        ]

    def _script(self, definition: str, job_name: str, queue_arn: str, array_index: int | None = None) -> Script | None:
        queue = queue_arn.rpartition("/")[2]
        return next((one for one in self._scripts if one.matches(definition, job_name, array_index, queue)), None)

    def _check_dependencies(self, request: Mapping[str, Any]) -> None:
        size = request.get("arrayProperties", {}).get("size")
        for dependency in request.get("dependsOn", []):
            job_id, kind = dependency.get("jobId"), dependency.get("type")
            if kind and not size and (kind == "N_TO_N" or not job_id):
                raise client_exception(f"A dependency of type {kind} is for array jobs only")
            if not job_id and kind != "SEQUENTIAL":
                raise client_exception("A dependency needs a jobId")
            other = self._jobs.find_node(job_id) if job_id else None
            if job_id and other is None:
                raise client_exception(f"Dependency {job_id} not found")
            if other and kind == "N_TO_N" and other[0].array_size != size:
                raise client_exception(f"Array size {size} differs from the {other[0].array_size} of its dependency")


def _check_queue(queue: Queue, request: Mapping[str, Any], definition: Definition) -> None:
    if queue.request.get("state") == "DISABLED":
        raise client_exception(f"JobQueue {queue.name} is not in ENABLED state")
    if queue.is_fair_share and "shareIdentifier" not in request:
        raise client_exception(f"JobQueue {queue.name} needs a shareIdentifier")
    if (
        queue.is_fair_share
        and "schedulingPriority" not in definition.request
        and "schedulingPriorityOverride" not in request
    ):
        # AWS's words, which its documentation lacks: https://github.com/nextflow-io/nextflow/pull/3505
        problem = "Either schedulingPriority in job definition or schedulingPriorityOverride should be specified."
        raise client_exception(problem)
    if not queue.is_fair_share and "shareIdentifier" in request:
        raise client_exception(f"JobQueue {queue.name} has no fair-share policy: shareIdentifier can not be given")


def _flaw(definition: Definition, request: Mapping[str, Any], containers: Iterable[Container]) -> str:
    """Return why AWS takes the request and then lets the job fail without an attempt; empty if it does not."""
    lengths: Counter[int | None] = Counter()
    for container in containers:
        lengths[container.node] += container.override_length
    if max(lengths.values(), default=0) > MOST_CHARACTERS:
        return f"Container Overrides length must be at most {MOST_CHARACTERS}"
    propagates = request.get("propagateTags", definition.request.get("propagateTags", False))
    if propagates and len({**definition.tags, **request.get("tags", {})}) > MOST_TAGS:
        return f"Number of tags propagated from the job and its definition cannot exceed {MOST_TAGS}"
    return ""
