"""Change: what was changed in a request, and why; RequestChange: what decides that."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.excerpt import excerpt
from airflow_batch_jobs.batch.members import text
from airflow_batch_jobs.batch.numbers import reasonable, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from airflow_batch_jobs.batch.changes.failure import Failure
    from airflow_batch_jobs.batch.changes.next_job import NextJob

#: What the XCom `batch_job` has them under, each as `Change.to_dict` has it.
CHANGES = "changes"
#: The most characters that record and XCom keep of a text.
_LONGEST_TEXT = 300
#: A product is rounded to so many decimals: 1.1 times 1000 is 1100, and no part of a MiB more.
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a request; a stored format.

    Attributes:
        field: Where in the request, as AWS names it.
        before: What was there, with its unit.
        after: What is there now; the same where no more can be given.
        why: What made it necessary.
        is_most: Whether that is the most, so that another failure of this kind changes nothing.
        by: The class that made it; filled in.
    """

    field: str
    before: str
    after: str
    why: str
    is_most: bool = False
    by: str = ""

    def __str__(self) -> str:
        most = ", which is the most" if self.is_most else ""
        turned = f"is {self.after}, not {self.before}" if self.after != self.before else f"stays {self.after}"
        return f"{self.field} {turned}{most}: {self.why}"

    def told_by(self, by: str) -> Self:
        """Return the change with the name of the class that made it, and no text longer than anyone reads.

        Args:
            by: The name of the class.
        """
        field, before, after, why = (
            excerpt(each, _LONGEST_TEXT) for each in (self.field, self.before, self.after, self.why)
        )
        return replace(self, field=field, before=before, after=after, why=why, by=excerpt(by, _LONGEST_TEXT))

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read the JSON form, whatever a later version has written there.

        Args:
            stored: The form in the record and in the XCom `batch_job`.
        """
        texts = {each.name: text(stored, each.name) for each in fields(cls) if each.name != "is_most"}
        return cls(**texts, is_most=stored.get("is_most") is True)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@runtime_checkable
class RequestChange(Protocol):
    """A change of the request for the next attempt: `MoreMemory`, `OtherQueue`, `LongerTimeout`, or one of your own.

    Its text is a part of the DAG's version, so a `__repr__` of its own has to be the same at each parse.
    """

    @property
    def after(self) -> Collection[Cause]:
        """The causes that it answers.

        A `BatchRetryPolicy` has the task tried again at once after these, until a change is the most that there is.
        """

    def apply(self, job: NextJob, failures: Sequence[Failure]) -> Iterable[Change]:
        """Change `job.request`, SubmitJob's arguments as the pinned revision and the task give them.

        A change that takes another queue has its name as the attribute `queue`: a retry looks for the job there.

        Is asked anew for each attempt, with all failures of the generation, so what it does must follow from those
        alone: it keeps nothing between two calls.

        Args:
            job: The job that will be submitted.
            failures: Why the generation's jobs failed, in the order of the jobs.

        Returns:
            What was changed, one by one; nothing only if the request is as it was. An error ends the task.
        """


def check_changes(given: Any, name: str) -> None:
    """Check that something is a list of changes, each of which says after which causes; give each a text.

    Raises:
        ValueError: It is not.
    """
    if not isinstance(given, (list, tuple)):
        raise ValueError(f"{name} must be a list of changes such as MoreMemory(), not {shown(given)}")  # noqa: TRY004 - as for any argument
    for each in given:
        if isinstance(each, type) or not isinstance(each, RequestChange):
            raise ValueError(f"{name} must have changes such as MoreMemory() in its list, not {shown(each)}")  # noqa: TRY004 - likewise
        kind = type(each)
        causes(each.after, f"{name}: {kind.__name__}.after")
        if kind.__repr__ is object.__repr__:  # Airflow makes its text a part of the DAG's version
            kind.__repr__ = _name  # type: ignore[method-assign]  # of a class that has none


def _name(change: object) -> str:
    """Return the text of a change that has none of its own: the same at each parse, where Python's has an address."""
    return f"{type(change).__name__}()"


def causes(given: Any, name: str) -> tuple[Cause, ...]:
    """Return causes in an order that is the same in every process: their text becomes a part of the DAG's version.

    Raises:
        ValueError: There are none, or something is no cause.
    """
    found = given if isinstance(given, (set, frozenset, list, tuple)) else ()
    if not found or not all(isinstance(each, Cause) for each in found):
        raise ValueError(f"{name} must be a set of Cause, not {shown(given)}")
    return tuple(cause for cause in Cause if cause in found)


def growth(factor: Any, name: str) -> float:
    """Return by what something grows.

    Raises:
        ValueError: It is no number above 1.
    """
    if not isinstance(factor, (int, float)):
        raise ValueError(f"{name} must be a number above 1, not {shown(factor)}")  # noqa: TRY004 - as for any argument
    number = reasonable(factor, name)
    if number <= 1:
        raise ValueError(f"{name} must be above 1, not {shown(factor)}")
    return number


def grown(before: int, factor: float, most: int) -> int:
    """Return what has grown once: more than before, but no more than the most."""
    return min(max(before + 1, math.ceil(round(before * factor, _DIGITS))), max(before, most))


def why(failures: Iterable[Failure]) -> str:
    """Say in a few words what made a change necessary."""
    jobs = {failure.job_id: failure.cause.value for failure in failures}
    *earlier, (job_id, cause) = jobs.items()
    return f"{cause} in job {job_id}" + (f" and {len(earlier)} before it" if earlier else "")
