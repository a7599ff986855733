"""Record: what a task instance remembers of its submit, and where."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_batch_jobs.batch.changes.change import Change
from airflow_batch_jobs.batch.changes.failure import Failure
from airflow_batch_jobs.batch.members import structures

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a task instance remembers of its submit; a stored format.

    Attributes:
        job_name: The name that was sent, unique for each series of sends.
        job_queue: The queue it was sent to.
        generation: The generation of the attempt that sent it.
        request_digest: A digest of the request, without what differs between attempts.
        try_number: The try number of the attempt that sent it.
        max_tries: The `max_tries` of the attempt that sent it.
        sent_at: When it was sent, ISO 8601 UTC.
        job_id: None until AWS has answered.
        forgotten_before: The attempt that found nothing recorded: active jobs of the attempts before it are an older
            run's, unless they are of this generation. 0 where no attempt before the first record is known.
        failures: Why the generation's earlier jobs failed, as far as that was known by then.
        changes: What was changed in the request of this job because of that.
    """

    job_name: str
    job_queue: str
    generation: str
    request_digest: str
    try_number: int
    max_tries: int
    sent_at: str
    job_id: str | None = None
    forgotten_before: int = 0
    failures: tuple[Failure, ...] = ()
    changes: tuple[Change, ...] = ()

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Record:
        """Read the stored form, ignoring unknown fields."""
        known = {name: stored[name] for name in cls.__slots__ if name in stored}
        failures = tuple(Failure.from_dict(each) for each in structures(stored, "failures"))
        changes = tuple(Change.from_dict(each) for each in structures(stored, "changes"))
        return cls(**{**known, "failures": failures, "changes": changes})

    def to_dict(self) -> dict[str, Any]:
        """Return the stored form."""
        failures = [failure.to_dict() for failure in self.failures]
        changes = [change.to_dict() for change in self.changes]
        return {**asdict(self), "failures": failures, "changes": changes}


class RecordStore(Protocol):
    """Keeps a task instance's record across its attempts.

    Attributes:
        forgets: Whether a clear discards the record.
    """

    forgets: bool

    def read(self) -> Record | None:
        """Return the record; None if there is none, or if this attempt has been replaced."""

    def write(self, record: Record) -> None:
        """Write the record.

        Raises:
            StaleAttemptError: Another attempt has taken over.
            RecordUnavailableError: The store is out of order.
        """
