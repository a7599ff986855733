"""LongerTimeout: an attempt of the next job may take longer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.changes.change import Change, causes, grown, growth, why
from airflow_batch_jobs.batch.members import number, structure
from airflow_batch_jobs.batch.numbers import reasonable, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from airflow_batch_jobs.batch.changes.failure import Failure
    from airflow_batch_jobs.batch.changes.next_job import NextJob

_FIELD = "attemptDurationSeconds"
#: What AWS Batch takes: 32 bits.
_MOST_SECONDS = 2**31 - 1


@dataclass(frozen=True)
class LongerTimeout:
    """Let each attempt that AWS Batch makes of the next job take longer, each time one took too long.

    Does not change the task's own `execution_timeout`.

    Args:
        factor: By what `timeout.attemptDurationSeconds` grows; above 1.
        at_most: The most that it becomes; None for no limit.
        after: The causes that it answers.

    Raises:
        ValueError: An argument is not of its kind; the error names it.
    """

    factor: float = 2
    at_most: timedelta | None = None
    after: Collection[Cause] = field(default=(Cause.TIMEOUT,))

    def __post_init__(self) -> None:
        growth(self.factor, "LongerTimeout factor")
        if self.at_most is not None:
            if not isinstance(self.at_most, timedelta):
                raise ValueError(f"LongerTimeout at_most must be a timedelta, not {shown(self.at_most)}")
            reasonable(self.at_most, "LongerTimeout at_most")
        object.__setattr__(self, "after", causes(self.after, "LongerTimeout after"))

    def apply(self, job: NextJob, failures: Sequence[Failure]) -> Iterator[Change]:
        """Give an attempt more time for each job that took too long.

        Args:
            job: The job that will be submitted; its request is changed.
            failures: Why the generation's jobs failed, in the order of the jobs.

        Yields:
            What was changed, with the timeouts in seconds.
        """
        too_long = [failure for failure in failures if failure.cause in self.after]
        before = _seconds(job)
        if not too_long:
            return
        if before is None:
            job.note("LongerTimeout changes nothing: nothing says which timeout the job has")
            return
        most = max(before, self._most)
        after = before
        for _ in {failure.job_id for failure in too_long}:
            after = grown(after, self.factor, most)
        job.request["timeout"] = {**structure(job.request, "timeout"), _FIELD: after}
        yield Change(f"timeout.{_FIELD}", f"{before} s", f"{after} s", why(too_long), is_most=after >= most)

    def check(self, job: NextJob) -> str | None:
        """Say what is wrong with the most that it gives for a job that has not been changed; None if nothing is.

        Args:
            job: The job before any change.
        """
        before = _seconds(job)
        if before is None or self._most >= before:
            return None
        return f"LongerTimeout(at_most={self.at_most}) is below the {before} s that the job begins with; raise it"

    @property
    def _most(self) -> int:
        return _MOST_SECONDS if self.at_most is None else min(int(self.at_most.total_seconds()), _MOST_SECONDS)


def _seconds(job: NextJob) -> int | None:
    own = number(structure(job.request, "timeout"), _FIELD)
    return number(structure(job.definition, "timeout"), _FIELD) if own is None else own
