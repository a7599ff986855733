"""Job queues."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local.limits import MOST_PRIORITY, check_name, tag_problems
from airflow_batch_jobs.local.wire import client_exception

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_batch_jobs.local.account import Account

_MOST_ENVIRONMENTS = 3
#: How long a job may be at the head of a queue before `jobStateTimeLimitActions` act.
_LEAST_LIMIT_SECONDS, _MOST_LIMIT_SECONDS = 600, 86_400


@dataclass(slots=True, eq=False)
class Queue:
    """A job queue.

    Attributes:
        name: Its name.
        number: Its number among all queues; there is no way to delete one.
        arn: Its ARN.
        request: What CreateJobQueue was given.
        tags: Its tags.
    """

    name: str
    number: int
    arn: str
    request: Mapping[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def is_fair_share(self) -> bool:
        """Whether it has a fair-share policy: its jobs need a shareIdentifier, others may not have one."""
        return "schedulingPolicyArn" in self.request

    def describe(self) -> dict[str, Any]:
        """Return it as DescribeJobQueues does."""
        shown: dict[str, Any] = {
            "jobQueueName": self.name,
            "jobQueueArn": self.arn,
            "state": self.request.get("state", "ENABLED"),
            "status": "VALID",
            "statusReason": "JobQueue Healthy",
            "priority": self.request.get("priority", 1),
            "computeEnvironmentOrder": self.request.get("computeEnvironmentOrder", []),
            "tags": self.tags,
        }
        for key in ("schedulingPolicyArn", "jobStateTimeLimitActions", "jobQueueType", "serviceEnvironmentOrder"):
            if key in self.request:
                shown[key] = self.request[key]
        return shown


class Queues:
    """All job queues."""

    def __init__(self, account: Account, names: Iterable[str]) -> None:
        self._account = account
        self._queues: dict[str, Queue] = {}
        for name in names:
            self.create({"jobQueueName": name})

    def create(self, request: Mapping[str, Any]) -> Queue:
        """Add a queue.

        Raises:
            ServiceError: Its name is taken or not valid.
        """
        name = request["jobQueueName"]
        check_name(name, "Job queue name")
        for problem in _problems(request):
            raise client_exception(problem)
        if name in self._queues:
            raise client_exception("Object already exists")
        arn = self._account.arn(f"job-queue/{name}")
        self._queues[name] = Queue(name, len(self._queues), arn, request, dict(request.get("tags", {})))
        return self._queues[name]

    def find(self, reference: str) -> Queue | None:
        """Return the queue with a name or an ARN; None if there is none."""
        return self._queues.get(reference.removeprefix(self._account.arn("job-queue/")))

    def get(self, reference: str) -> Queue:
        """Return the queue with a name or an ARN.

        Raises:
            ServiceError: There is none.
        """
        queue = self.find(reference)
        if queue is None:
            raise client_exception(f"JobQueue {reference} not found.")
        return queue

    def all(self) -> list[Queue]:
        """Return all queues."""
        return list(self._queues.values())


def _problems(request: Mapping[str, Any]) -> Iterator[str]:
    yield from tag_problems(request.get("tags", {}))
    if not 0 <= request.get("priority", 0) <= MOST_PRIORITY:
        yield f"priority must be between 0 and {MOST_PRIORITY}"
    if len(request.get("computeEnvironmentOrder", [])) > _MOST_ENVIRONMENTS:
        yield f"A job queue can have at most {_MOST_ENVIRONMENTS} compute environments"
    if "computeEnvironmentOrder" in request and "serviceEnvironmentOrder" in request:
        yield "A job queue can't have both computeEnvironmentOrder and serviceEnvironmentOrder"
    is_for_services = "serviceEnvironmentOrder" in request or request.get("jobQueueType") == "SAGEMAKER_TRAINING"
    for action in request.get("jobStateTimeLimitActions", []):
        if action["action"] != (supported := "TERMINATE" if is_for_services else "CANCEL"):
            yield f"The action {action['action']} is not supported for this job queue: {supported} is"
        if not _LEAST_LIMIT_SECONDS <= action["maxTimeSeconds"] <= _MOST_LIMIT_SECONDS:
            yield f"maxTimeSeconds must be between {_LEAST_LIMIT_SECONDS} and {_MOST_LIMIT_SECONDS}"
