"""A local AWS, a store and a clock, in which attempts of one task instance submit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.identity import TaskIdentity, TaskKey
from airflow_batch_jobs.batch.request import SubmitRequest
from airflow_batch_jobs.batch.submission import Submission
from tests.clocks import FrozenClock

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.record import Record
    from airflow_batch_jobs.batch.submitted import Submitted
    from airflow_batch_jobs.local.server import LocalAws

FIRST = TaskIdentity(TaskKey("d", "r", "t"), max_tries=1, traceparent="trace-1", deployment="here")
RETRY = replace(FIRST, try_number=2)
CLEARED = replace(FIRST, try_number=2, max_tries=2, traceparent="trace-2")


class Store:
    """A task state store in memory, with the failures of the real one."""

    def __init__(self) -> None:
        self.forgets = False
        self.record: Record | None = None
        self.writes: list[Record] = []
        self.refuses: list[BaseException | None] = []

    def read(self) -> Record | None:
        """Return the record."""
        return self.record

    def write(self, record: Record) -> None:
        """Keep the record, or fail as told."""
        if self.refuses and (error := self.refuses.pop(0)):
            raise error
        self.writes.append(record)
        self.record = record


class World:
    """A local AWS, a store and a clock, in which attempts submit."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.store = Store()
        self.notes: list[str] = []
        aws.register("job")
        aws.script(definition="job", running=3600)

    def submit(self, identity: TaskIdentity, command: str = "true") -> Submitted:
        """Submit for one attempt, as the operator does."""
        return self.submission(identity, command).run()

    def submission(self, identity: TaskIdentity, command: str = "true", **how: Any) -> Submission:
        """Return what submits for one attempt."""
        request = SubmitRequest(job_queue="default", job_definition="job:1", container_overrides={"command": [command]})
        return Submission(
            clients=self.aws.clients(),
            identity=identity,
            request=request,
            store=self.store,
            note=self.notes.append,
            clock=FrozenClock(self.aws),
            **how,
        )

    @property
    def active(self) -> list[str]:
        """The ids of the jobs that have not ended."""
        return [job["jobId"] for job in self.aws.jobs() if job["status"] not in ("SUCCEEDED", "FAILED")]
