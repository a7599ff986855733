"""Jobs as DescribeJobs and ListJobs show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.local.wire import to_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_batch_jobs.local.account import Account
    from airflow_batch_jobs.local.jobs import Attempt, Job, Part


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
        detail = self._head(job, node)
        detail |= {
            "attempts": [] if job.is_eks else [self._attempt(job, one, node) for one in job.past_attempts],
            "retryStrategy": job.retry_strategy,
            "dependsOn": request.get("dependsOn", []),
            "parameters": {**definition.get("parameters", {}), **request.get("parameters", {})},
            "tags": job.tags,
            "propagateTags": request.get("propagateTags", definition.get("propagateTags", False)),
            "platformCapabilities": definition.get("platformCapabilities", ["EC2"]),
            "eksAttempts": [_eks_attempt(one) for one in job.past_attempts] if job.is_eks else [],
        }
        for key in ("timeout", "schedulingPriority"):
            if request.get(key) or definition.get(key):
                detail[key] = request.get(key) or definition[key]
        if "schedulingPriorityOverride" in request:
            detail["schedulingPriority"] = request["schedulingPriorityOverride"]
        if "shareIdentifier" in request:
            detail["shareIdentifier"] = request["shareIdentifier"]
        return detail | self._containers(job, node) | _family(job, node)

    def summary(self, job: Job, node: int | None = None) -> dict[str, Any]:
        """Return a job as ListJobs shows it."""
        summary = self._head(job, node)
        del summary["jobQueue"]
        attempt = _latest(job)
        part = attempt.parts_of(node)[0] if attempt else None
        if part and part.exit_code is not None:
            summary["container"] = {"exitCode": part.exit_code} | ({"reason": part.reason} if part.reason else {})
        if job.array_size:
            summary["arrayProperties"] = {"size": job.array_size}
        elif job.parent:
            summary["arrayProperties"] = {"index": job.index}
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
            "status": job.status.value,
            "createdAt": job.created_at,
            "isCancelled": job.is_cancelled,
            "isTerminated": job.is_terminated,
        }
        if job.status_reason:
            head["statusReason"] = job.status_reason
        if job.started_at is not None:
            head["startedAt"] = job.started_at
        if job.stopped_at is not None:
            head["stoppedAt"] = job.stopped_at
        return head

    def _attempt(self, job: Job, attempt: Attempt, node: int | None) -> dict[str, Any]:
        shown: dict[str, Any] = {"statusReason": attempt.status_reason}
        if attempt.started_at is not None:
            shown["startedAt"] = attempt.started_at
        if attempt.stopped_at is not None:
            shown["stoppedAt"] = attempt.stopped_at
        parts = attempt.parts_of(node)
        if job.node_count and node is None:
            shown["container"] = {}
        elif parts[0].container.name:
            shown["container"] = {}
            task = {"taskArn": self._task_arn(parts[0]), "containers": [_named_end(part) for part in parts]}
            shown["taskProperties"] = [task]
        else:
            shown["container"] = {"taskArn": self._task_arn(parts[0]), **_end(parts[0])}
        return shown

    def _containers(self, job: Job, node: int | None) -> dict[str, Any]:
        """Return what runs in a job, and how it ended: `container`, `ecsProperties` or `eksProperties`."""
        if job.node_count and node is None:
            return {}
        containers = [one for one in job.containers if one.node == node]
        attempt = _latest(job)
        parts: list[Part | None] = list(attempt.parts_of(node)) if attempt else [None] * len(containers)
        shown = [
            {**container.properties, **(_end(part) if part else {})}
            for container, part in zip(containers, parts, strict=True)
        ]
        if job.is_eks:
            for one in shown:
                one.pop("networkInterfaces", None)
            pod = {**job.definition.request["eksProperties"]["podProperties"], "containers": shown}
            if attempt:
                pod |= {"podName": _pod_name(attempt), "nodeName": "local"}
            return {"eksProperties": {"podProperties": pod}}
        if containers[0].name:
            properties = job.definition.request.get("ecsProperties", {}).get("taskProperties", [{}])[0]
            task = {**properties, "containers": shown}
            if parts[0]:
                task["taskArn"] = self._task_arn(parts[0])
            return {"ecsProperties": {"taskProperties": [task]}}
        container = {**_EMPTY_CONTAINER, **shown[0]}
        if parts[0]:
            container["taskArn"] = self._task_arn(parts[0])
            container["containerInstanceArn"] = self._account.arn("container-instance/local/local", "ecs")
        return {"container": container}

    def _task_arn(self, part: Part) -> str:
        return self._account.arn(f"task/local/{part.task_id}", "ecs")


#: Lists that AWS shows for every container, even if they are empty.
_EMPTY_CONTAINER: dict[str, list[Any]] = {
    key: []
    for key in (
        "command",
        "environment",
        "mountPoints",
        "networkInterfaces",
        "resourceRequirements",
        "secrets",
        "ulimits",
        "volumes",
    )
}


def _latest(job: Job) -> Attempt | None:
    return job.attempt or (job.past_attempts[-1] if job.past_attempts else None)


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


def _eks_attempt(attempt: Attempt) -> dict[str, Any]:
    containers = []
    for part in attempt.parts:
        end = _named_end(part)
        del end["networkInterfaces"]
        containers.append({**end, "containerID": f"local://{part.task_id}"})
    shown = {
        "containers": containers,
        "podName": _pod_name(attempt),
        "nodeName": "local",
        "startedAt": attempt.started_at,
        "stoppedAt": attempt.stopped_at,
        "statusReason": attempt.status_reason,
    }
    return {key: value for key, value in shown.items() if value is not None}


def _pod_name(attempt: Attempt) -> str:
    return f"aws-batch.{attempt.parts[0].task_id}"


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
