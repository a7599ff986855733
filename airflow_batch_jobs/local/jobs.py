"""Jobs, their attempts, and the store of all jobs."""

from __future__ import annotations

import uuid
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.status import FINAL, JobStatus
from airflow_batch_jobs.local.limits import whole_number
from airflow_batch_jobs.local.shapes import told_strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_batch_jobs.local.clock import Timer
    from airflow_batch_jobs.local.containers import Container
    from airflow_batch_jobs.local.definitions import Definition
    from airflow_batch_jobs.local.scripted import Script


@dataclass(slots=True, eq=False)
class Part:
    """One container of one attempt; times in milliseconds since the epoch.

    Attributes:
        container: What runs in it.
        task_id: The id of the ECS task it belongs to.
        log_stream: The name of its log stream; empty before it runs, and if it has none.
        started_at: When it began to run; None before, and if it never does.
        stopped_at: When it ended.
        exit_code: The container's exit code; None while it runs, and if it never started.
        reason: Why it could not start or run.
        status_reason: How it ended.
    """

    container: Container
    task_id: str
    log_stream: str = ""
    started_at: int | None = None
    stopped_at: int | None = None
    exit_code: int | None = None
    reason: str = ""
    status_reason: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self.stopped_at is not None

    @property
    def has_failed(self) -> bool:
        """Whether its end is a failure of its node."""
        return self.container.properties.get("essential", True) and self.exit_code != 0


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt of a job; times in milliseconds since the epoch.

    Attributes:
        number: From 1.
        parts: What runs in it.
        decided_by: The first essential part to end: its exit code is the attempt's.
        is_begun: Whether its parts were told to start.
        is_stopping: Whether its parts were told to end.
    """

    number: int
    parts: tuple[Part, ...]
    started_at: int | None = None
    stopped_at: int | None = None
    status_reason: str = ""
    decided_by: Part | None = None
    is_begun: bool = False
    is_stopping: bool = False

    @property
    def is_over(self) -> bool:
        """Whether all its parts have ended."""
        return all(part.has_ended for part in self.parts)

    def parts_of(self, node: int | None) -> tuple[Part, ...]:
        """Return one node's parts; all parts if node is None."""
        return self.parts if node is None else tuple(part for part in self.parts if part.container.node == node)


@dataclass(slots=True, eq=False)
class Job:
    """A job as it is now; times in milliseconds since the epoch.

    Attributes:
        request: The parameters of SubmitJob.
        number: Its number among all jobs, in the order of their submits.
        flaw: Why it will fail instead of starting; empty if it will not.
        script: The timetable it follows; None if it runs processes.
        parent: The array job that it is a child of, at `index`.
        node_count: How many nodes it has; 0 if it is not a multi-node job.
        attempt: The current attempt.
        stop_reason: Why it was cancelled or terminated.
        waits_for: The ids of jobs that must succeed first.
        timer: Its next step on the timeline.
        time_limit: The entry on the timeline that ends the attempt.
        written: What DescribeJobs says of it, as JSON; None if that has changed since.
    """

    id: str
    name: str
    arn: str
    queue_arn: str
    definition: Definition
    request: Mapping[str, Any]
    containers: tuple[Container, ...]
    tags: dict[str, str]
    created_at: int
    number: int = 0
    flaw: str = ""
    script: Script | None = None
    parent: Job | None = None
    index: int | None = None
    node_count: int = 0
    status: JobStatus = JobStatus.SUBMITTED
    status_reason: str = ""
    started_at: int | None = None
    stopped_at: int | None = None
    past_attempts: list[Attempt] = field(default_factory=list)
    attempt: Attempt | None = None
    is_cancelled: bool = False
    is_terminated: bool = False
    has_timed_out: bool = False
    stop_reason: str = ""
    waits_for: frozenset[str] = frozenset()
    children: list[Job] = field(default_factory=list)
    children_in: dict[JobStatus, int] = field(default_factory=dict)
    has_slot: bool = False
    timer: Timer | None = None
    time_limit: Timer | None = None
    written: bytes | None = None

    @property
    def array_size(self) -> int:
        """How many children it has or will have; 0 if it is not an array job."""
        size: int = self.request.get("arrayProperties", {}).get("size", 0)
        return size if self.parent is None else 0

    @property
    def main_node(self) -> int:
        """The node whose end is a multi-node job's end."""
        return int(self.definition.request["nodeProperties"]["mainNode"])

    @property
    def main(self) -> int | None:
        """The main node of a multi-node job; None for any other job, whose containers are on no node."""
        return self.main_node if self.node_count else None

    @property
    def latest_attempt(self) -> Attempt | None:
        """The current attempt, or else the last one; None before the first."""
        return self.attempt or (self.past_attempts[-1] if self.past_attempts else None)

    def status_of(self, node: int | None) -> JobStatus:
        """Return the status of a node, or of the job if node is None.

        A node waits as its job does; from then on its own containers decide, whatever the main node does.
        """
        attempt = self.latest_attempt
        if node is None or attempt is None or self.status.is_waiting:
            return self.status
        parts = attempt.parts_of(node)
        if all(part.has_ended for part in parts):
            return JobStatus.FAILED if any(part.has_failed for part in parts) else JobStatus.SUCCEEDED
        return JobStatus.RUNNING if any(part.started_at for part in parts) else JobStatus.STARTING

    @property
    def open_children(self) -> int:
        """How many children have not ended yet."""
        return len(self.children) - sum(self.children_in.get(status, 0) for status in FINAL)

    @property
    def is_eks(self) -> bool:
        """Whether it runs in a pod, or its nodes do."""
        return self.definition.is_on_eks

    @property
    def timeout_seconds(self) -> int | None:
        """How long one attempt may run."""
        timeout = self.request.get("timeout") or self.definition.request.get("timeout") or {}
        return timeout.get("attemptDurationSeconds")

    @property
    def retry_strategy(self) -> Mapping[str, Any]:
        """How often it is tried, and after which ends it is tried again."""
        given = self.request.get("retryStrategy") or self.definition.request.get("retryStrategy")
        return told_strategy(given or {"attempts": len(self.script.attempts) if self.script else 1})

    @property
    def all_attempts(self) -> list[Attempt]:
        """The attempts that are over, and the current one."""
        return [*self.past_attempts, self.attempt] if self.attempt else self.past_attempts


class Jobs:
    """All jobs, by id and by queue; only a limited number of finished ones is kept."""

    def __init__(self, keep_finished: int, on_forget: Callable[[Job], None]) -> None:
        """Start empty.

        Args:
            keep_finished: How many finished jobs are kept; the newest stays, even if it is an array of more children.
            on_forget: Called with each job that is forgotten.
        """
        self._keep_finished = keep_finished
        self._on_forget = on_forget
        self._jobs: dict[str, Job] = {}
        self._by_queue: dict[str, dict[str, Job]] = {}
        self._finished: deque[Job] = deque()
        self._finished_count = 0
        self._numbers = count(1)

    def add(self, job: Job) -> None:
        """Add a job, and number it."""
        job.number = next(self._numbers)
        self._jobs[job.id] = job
        if job.parent is None:
            self._by_queue.setdefault(job.queue_arn, {})[job.id] = job

    def find(self, job_id: str) -> Job | None:
        """Return a job; for a node's id (`id#n`), the job that the node belongs to."""
        return self._jobs.get(job_id.partition("#")[0])

    def find_node(self, job_id: str) -> tuple[Job, int | None] | None:
        """Return what an id names: a job, or with its number a node of one (`id#n`); None if there is none of it."""
        job, (_, sign, node) = self.find(job_id), job_id.partition("#")
        number = whole_number(node)
        if job is None or (sign and (number is None or number >= job.node_count)):
            return None
        return job, number

    def newest_first(self, queue_arn: str) -> Iterator[Job]:
        """Yield a queue's jobs, without array children."""
        return reversed(self._by_queue.get(queue_arn, {}).values())

    def all(self) -> Iterator[Job]:
        """Yield all jobs, oldest first, children after their parents."""
        return iter(self._jobs.values())

    def finished(self, job: Job) -> None:
        """Note that a job is final."""
        if job.parent is not None:
            return
        self._finished.append(job)
        self._finished_count += 1 + len(job.children)
        while self._finished_count > self._keep_finished and len(self._finished) > 1:
            self._forget(self._finished.popleft())

    def _forget(self, job: Job) -> None:
        self._finished_count -= 1 + len(job.children)
        for one in (job, *job.children):
            del self._jobs[one.id]
            self._on_forget(one)
        del self._by_queue[job.queue_arn][job.id]


def new_attempt(job: Job) -> Attempt:
    """Return a job's next attempt, not yet started; the parts of one node share a task."""
    task_ids: dict[int | None, str] = {}
    parts = tuple(
        Part(container, task_ids.setdefault(container.node, uuid.uuid4().hex)) for container in job.containers
    )
    return Attempt(len(job.past_attempts) + 1, parts)


def new_job_id() -> str:
    """Return an id like Batch's."""
    return str(uuid.uuid4())
