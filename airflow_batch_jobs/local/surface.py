"""The control surface, on the endpoint's side: plain data in, plain data out, on the event loop."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.local.faults import Fault, FaultKind
from airflow_batch_jobs.local.scripted import make_script
from airflow_batch_jobs.local.streams import Window

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_batch_jobs.local.endpoint import Endpoint
    from airflow_batch_jobs.local.jobs import Job

_FOREVER = 1 << 62


class Surface:
    """What `Control` asks for, by action."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._actions: dict[str, Callable[..., Any]] = {
            "script": self._script,
            "fault": self._fault,
            "clear_faults": endpoint.faults.clear,
            "requests": self._requests,
            "counts": lambda: dict(endpoint.record.counts),
            "clear_requests": endpoint.record.clear,
            "register": self._register,
            "submit": self._submit,
            "job": self._job,
            "jobs": self._jobs,
            "now": endpoint.timeline.now,
            "advance": endpoint.timeline.advance,
        }
        self._waits: dict[str, Callable[..., Awaitable[Any]]] = {
            "wait_for_status": self._wait_for_status,
            "wait_for_line": self._wait_for_line,
        }

    async def act(self, action: str, arguments: dict[str, Any]) -> Any:
        """Carry out an action.

        Raises:
            LookupError: There is no such action, or no such job.
            TypeError: Its arguments are different ones.
            ValueError: An argument is out of range.
            TimeoutError: What was waited for did not happen.
            ServiceError: AWS would refuse it.
        """
        if action in self._waits:
            return await self._waits[action](**arguments)
        if action not in self._actions:
            raise LookupError(f"There is no action {action}")
        return self._actions[action](**arguments)

    def _script(self, **parts: Any) -> None:
        self._endpoint.submitter.add_script(make_script(**parts))

    def _fault(self, operation: str, kind: str, **how: Any) -> None:
        self._endpoint.faults.add(Fault(operation, FaultKind(kind), **how))

    def _requests(self, operation: str = "") -> list[dict[str, Any]]:
        return [asdict(one) for one in self._endpoint.record.requests(operation)]

    def _register(self, name: str, command: list[str], **more: Any) -> str:
        resources = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
        container = {"image": "local", "command": command, "resourceRequirements": resources}
        container |= more.pop("container", {})
        request = {"jobDefinitionName": name, "type": "container", "containerProperties": container, **more}
        return self._endpoint.definitions.register(request).reference

    def _submit(self, definition: str, count: int = 1, **more: Any) -> list[str]:
        name = definition.rpartition("/")[2].partition(":")[0]
        request = {"jobName": name, "jobQueue": "default", "jobDefinition": definition, **more}
        jobs = [self._endpoint.submitter.make_job(request, size_bytes=0) for _ in range(count)]
        for job in jobs:
            self._endpoint.lifecycle.submit(job)
        return [job.id for job in jobs]

    def _job(self, job_id: str) -> dict[str, Any]:
        return self._endpoint.describer.detail(self._find(job_id))

    def _jobs(self) -> list[dict[str, Any]]:
        return [self._endpoint.describer.detail(job) for job in self._endpoint.jobs.all()]

    async def _wait_for_status(self, job_id: str, statuses: list[str], seconds: float) -> dict[str, Any]:
        job = self._find(job_id)
        wanted = {JobStatus(status) for status in statuses}
        await self._endpoint.watchers.wait_for_change(
            job, lambda job: job.status in wanted or job.status.is_final, seconds
        )
        return self._job(job_id)

    async def _wait_for_line(self, job_id: str, text: str, seconds: float) -> None:
        job = self._find(job_id)
        if not any(text in line for line in self._lines(job)):
            await self._endpoint.watchers.wait_for_line(job, text, seconds)

    def _lines(self, job: Job) -> list[str]:
        """Return what can be read in a job's log streams."""
        window = Window(0, _FOREVER, self._endpoint.timeline.now_ms())
        parts = [part for attempt in job.all_attempts for part in attempt.parts]
        groups = [(self._endpoint.streams.group(part.container.log_group) or {}, part.log_stream) for part in parts]
        return [event.text for group, name in groups if name in group for event in group[name].read(window)]

    def _find(self, job_id: str) -> Job:
        job = self._endpoint.jobs.find(job_id)
        if job is None:
            raise LookupError(f"There is no job {job_id}")
        return job


def to_plain(value: Any) -> Any:
    """Return a value as it arrives over HTTP."""
    return json.loads(json.dumps(value))
