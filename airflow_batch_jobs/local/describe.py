"""Jobs as DescribeJobs and ListJobs show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.fargate import is_on_fargate
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.local.shapes import EMPTY_CONTAINER
from airflow_batch_jobs.local.wire import to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_batch_jobs.local.account import Account
    from airflow_batch_jobs.local.jobs import Attempt, Job, Part

#: What a job has if the submit or the definition gives it, with the submit's name for it.
_OVERRIDDEN = {
    "consumableResourceProperties": "consumableResourcePropertiesOverride",
    "schedulingPriority": "schedulingPriorityOverride",
    "timeout": "timeout",
}


class Describer:
    """Describes jobs. What has not changed since the last time is not described again: that is most of a poll."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def details_json(self, jobs: Iterable[tuple[Job, int | None]]) -> bytes:
        """Return the answer of DescribeJobs, as JSON.

        Args:
            jobs: Jobs, each with None, or with the number of the node to describe instead.
        """
        return b'{"jobs":[' + b",".join(self._detail_json(job, node) for job, node in jobs) + b"]}"

    def _detail_json(self, job: Job, node: int | None) -> bytes:
        if node is not None:
            return to_json(self.detail(job, node))
        if job.written is None:
            job.written = to_json(self.detail(job))
        return job.written

    def detail(self, job: Job, node: int | None = None) -> dict[str, Any]:
        """Return a job as DescribeJobs shows it.

        Args:
            job: The job.
            node: The number of the node to return instead of its multi-node job.
        """
        request, definition = job.request, job.definition.request
        attempts = _attempts_over(job, node)
        detail = self._head(job, node)
        detail |= {
            "isCancelled": job.is_cancelled,
            "isTerminated": job.is_terminated,
            "attempts": [] if job.is_eks else [self._attempt(job, one, node) for one in attempts],
            "retryStrategy": job.retry_strategy,
            "dependsOn": request.get("dependsOn", []),
            "parameters": {**definition.get("parameters", {}), **request.get("parameters", {})},
            "tags": job.tags,
            "propagateTags": request.get("propagateTags", definition.get("propagateTags", False)),
            "platformCapabilities": definition.get("platformCapabilities", ["EC2"]),
            "eksAttempts": [_eks_attempt(job, one, node) for one in attempts] if job.is_eks else [],
        }
        for key, override in _OVERRIDDEN.items():
            given = [each for each in (request.get(override), definition.get(key)) if each not in (None, {})]
            if given:
                detail[key] = given[0]
        return detail | self._containers(job, node) | _family(job, node)

    def summary(self, job: Job, node: int | None = None) -> dict[str, Any]:
        """Return a job as ListJobs shows it."""
        summary = self._head(job, node)
        del summary["jobQueue"]
        # The model: "This field is only present when the value is true."
        summary |= {"isCancelled": True} if job.is_cancelled else {}
        summary |= {"isTerminated": True} if job.is_terminated else {}
        attempt = job.latest_attempt
        part = _deciding(attempt.parts_of(_shown_node(job, node))) if attempt else None
        if part and part.exit_code is not None:
            summary["container"] = {"exitCode": part.exit_code} | ({"reason": part.reason} if part.reason else {})
        if job.array_size or job.parent:
            summary |= _family(job, node)
        if job.node_count:
            summary["nodeProperties"] = _node_summary(job, node)
        return summary

    def _head(self, job: Job, node: int | None) -> dict[str, Any]:
        suffix = "" if node is None else f"#{node}"
        head: dict[str, Any] = {
            "jobArn": job.arn + suffix,
            "jobId": job.id + suffix,
            "jobName": job.name,
            "jobQueue": job.queue_arn,
            "jobDefinition": job.definition.arn,
            "status": job.status_of(node).value,
            "createdAt": job.created_at,
        }
        if "shareIdentifier" in job.request:
            head["shareIdentifier"] = job.request["shareIdentifier"]
        shown = {"statusReason": job.status_reason, "startedAt": job.started_at, "stoppedAt": job.stopped_at}
        if node is not None and job.latest_attempt and not job.status.is_waiting:
            shown = _end_of_node(job, job.latest_attempt.parts_of(node), job.status_reason)
        return head | {key: value for key, value in shown.items() if value}

    def _attempt(self, job: Job, attempt: Attempt, node: int | None) -> dict[str, Any]:
        parts = attempt.parts_of(_shown_node(job, node))
        shown = _times(job, attempt, node)
        if parts[0].container.name:
            shown["container"] = {}
            shown["taskProperties"] = [
                {**self._task(job, parts[0]), "containers": [_named_end(part) for part in parts]}
            ]
        else:
            shown["container"] = {**self._task(job, parts[0]), **_end(parts[0])}
        return shown

    def _containers(self, job: Job, node: int | None) -> dict[str, Any]:
        """Return what runs in a job, and how it ended: `container`, `ecsProperties` or `eksProperties`."""
        if job.node_count and node is None:
            return {}
        containers = [one for one in job.containers if one.node == node]
        attempt = job.latest_attempt
        parts: list[Part | None] = list(attempt.parts_of(node)) if attempt else [None] * len(containers)
        shown = [
            {**container.properties, **(_end(part) if part else {})}
            for container, part in zip(containers, parts, strict=True)
        ]
        if job.is_eks:
            for one in shown:
                one.pop("networkInterfaces", None)
            pod = {**containers[0].task, "containers": shown} | (_pod(parts[0]) if parts[0] else {})
            return {"eksProperties": {"podProperties": pod}}
        task = self._task(job, parts[0]) if parts[0] else {}
        if containers[0].name:
            properties = containers[0].task
            return {"ecsProperties": {"taskProperties": [{**properties, "containers": shown, **task}]}}
        return {"container": {**EMPTY_CONTAINER, "networkInterfaces": [], **shown[0], **task}}

    def _task(self, job: Job, part: Part) -> dict[str, str]:
        """Return the ECS task of a part, and on EC2 the container instance that it ran on."""
        task = {"taskArn": self._account.arn(f"task/local/{part.task_id}", "ecs")}
        if not is_on_fargate(job.definition.request):
            task["containerInstanceArn"] = self._account.arn("container-instance/local/local", "ecs")
        return task


def _shown_node(job: Job, node: int | None) -> int | None:
    """Return whose containers are shown: a multi-node job tells its main node's ends as its own."""
    return job.main if node is None else node


def _attempts_over(job: Job, node: int | None) -> list[Attempt]:
    """Return the attempts that are over; for a node, also the current one if the node's part of it is."""
    current = job.attempt
    if node is not None and current and all(part.has_ended for part in current.parts_of(node)):
        return [*job.past_attempts, current]
    return job.past_attempts


def _deciding(parts: Sequence[Part]) -> Part:
    """Return the part whose end is told as that of all: one that failed, or else the first."""
    return next((part for part in parts if part.has_ended and part.has_failed), parts[0])


def _end_of_node(job: Job, parts: Sequence[Part], reason: str) -> dict[str, Any]:
    """Return when a node's containers ran, and the reason of their end; the job's, if they run or the job was stopped.

    Args:
        job: The node's job.
        parts: The node's containers.
        reason: The reason of the job.
    """
    ends = [part.stopped_at for part in parts if part.stopped_at]
    is_over = len(ends) == len(parts)
    has_own_reason = is_over and not job.is_terminated and not job.has_timed_out
    return {
        "statusReason": _deciding(parts).status_reason if has_own_reason else reason,
        "startedAt": min((part.started_at for part in parts if part.started_at), default=None),
        "stoppedAt": max(ends) if is_over else None,
    }


def _end(part: Part) -> dict[str, Any]:
    end: dict[str, Any] = {"networkInterfaces": []}
    if part.log_stream:
        end["logStreamName"] = part.log_stream
    if part.exit_code is not None:
        end["exitCode"] = part.exit_code
    if part.reason:
        end["reason"] = part.reason
    return end


def _named_end(part: Part) -> dict[str, Any]:
    return {"name": part.container.name, **_end(part)}


def _times(job: Job, attempt: Attempt, node: int | None) -> dict[str, Any]:
    """Return when an attempt ran, or a node's part of it, and why it ended; without what is not known yet."""
    times = {
        "statusReason": attempt.status_reason,
        "startedAt": attempt.started_at,
        "stoppedAt": attempt.stopped_at,
    }
    if node is not None:
        times = _end_of_node(job, attempt.parts_of(node), attempt.status_reason)
    return {key: value for key, value in times.items() if value}


def _eks_attempt(job: Job, attempt: Attempt, node: int | None) -> dict[str, Any]:
    parts = attempt.parts_of(_shown_node(job, node))
    containers = []
    for part in parts:
        end = _named_end(part)
        del end["networkInterfaces"]
        containers.append({**end, "containerID": f"local://{part.task_id}"})
    return {"containers": containers, **_pod(parts[0]), **_times(job, attempt, node)}


def _pod(part: Part) -> dict[str, str]:
    """Return the pod of a part, and the node of the cluster that it ran on."""
    return {"podName": f"aws-batch.{part.task_id}", "nodeName": "local"}


def _family(job: Job, node: int | None) -> dict[str, Any]:
    """Return what a job is part of, and what its parts are."""
    if job.array_size:
        summary = {status.value: job.children_in.get(status, 0) for status in JobStatus}
        return {"arrayProperties": {"size": job.array_size, "statusSummary": summary}}
    if job.parent:
        return {"arrayProperties": {"index": job.index}}
    if not job.node_count:
        return {}
    if node is None:
        return {"nodeProperties": {**job.definition.request["nodeProperties"], "numNodes": job.node_count}}
    return {"nodeDetails": {"nodeIndex": node, "isMainNode": job.main_node == node}}


def _node_summary(job: Job, node: int | None) -> dict[str, Any]:
    summary: dict[str, Any] = {"numNodes": job.node_count}
    if node is not None:
        summary |= {"nodeIndex": node, "isMainNode": job.main_node == node}
    return summary
