"""A local AWS in which attempts submit jobs that run out of memory."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.changes.more_memory import MoreMemory
from airflow_batch_jobs.batch.changes.on_retry import OnRetry
from airflow_batch_jobs.batch.preflight import check_request
from airflow_batch_jobs.batch.request import SubmitRequest
from airflow_batch_jobs.batch.submission import Submission
from tests.batch.changes.applied import needs
from tests.batch.submit_world import FIRST, Store
from tests.clocks import FrozenClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_batch_jobs.batch.changes.change import RequestChange
    from airflow_batch_jobs.batch.submitted import Submitted
    from airflow_batch_jobs.local.server import LocalAws

#: One that all of these attempts have: six tries of one generation.
TRIES = [replace(FIRST, try_number=number, max_tries=5) for number in range(1, 7)]


class World:
    """A local AWS whose jobs need 3 GiB, in which attempts submit."""

    def __init__(self, aws: LocalAws, *, needs_mib: int = 3072, changes: Sequence[RequestChange] | None = None) -> None:
        self.aws = aws
        self.store = Store()
        self.notes: list[str] = []
        self.changes: Sequence[RequestChange] = (MoreMemory(),) if changes is None else changes
        aws.register("job", container={"resourceRequirements": needs(1024)})
        aws.script(definition="job", running=10, attempts=[{"needs_mib": {"": needs_mib}}])

    def submission(self, identity: Any = TRIES[0], **request: Any) -> Submission:
        """Return what submits for one attempt."""
        on_retry = OnRetry(self.aws.clients(), self.changes, self.notes.append)
        asked = SubmitRequest(**{"job_queue": "default", "job_definition": "job:1", **request})
        return Submission(
            clients=self.aws.clients(),
            identity=identity,
            request=asked,
            store=self.store,
            note=self.notes.append,
            check=partial(
                check_request,
                self.aws.clients(),
                note=self.notes.append,
                also=lambda definition, _: on_retry.check(definition, asked.to_api()),
            ),
            on_retry=on_retry,
            clock=FrozenClock(self.aws),
        )

    def submit(self, attempt: int = 1, **request: Any) -> Submitted:
        """Submit for the attempt of this number."""
        return self.submission(TRIES[attempt - 1], **request).run()

    def submit_and_end(self, attempt: int = 1, **request: Any) -> Submitted:
        """Submit for an attempt, and let its job end."""
        submitted = self.submit(attempt, **request)
        self.aws.advance(120)
        return submitted

    def memory(self) -> list[int]:
        """Return how much memory each job has, in the order of the submits."""
        return [memory_of(job) for job in self.aws.jobs() if ":" not in job["jobId"]]


def memory_of(job: dict[str, Any]) -> int:
    """Return how much memory a job has."""
    return next(int(one["value"]) for one in job["container"]["resourceRequirements"] if one["type"] == "MEMORY")
