"""MoreMemory: the container that ran out of memory gets more."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from itertools import product
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.changes.change import Change, causes, grown, growth, why
from airflow_batch_jobs.batch.fargate import OFFERED, Size, vcpus_as_text
from airflow_batch_jobs.batch.numbers import reasonable, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from airflow_batch_jobs.batch.changes.failure import Failure
    from airflow_batch_jobs.batch.changes.next_job import Container, NextJob, Task

#: More than any host has.
_MOST_MIB = 100_000_000
#: The least that AWS Batch gives a container.
_LEAST_MIB = 4


@dataclass
class _RanOut:
    """A container that ran out of memory, what it had before, in which jobs that was too little, and who gave last."""

    task: Task
    container: Container
    memory_mib: int | None
    vcpus: str
    failures: list[Failure] = field(default_factory=list)
    last: MoreMemory | None = None


@dataclass(frozen=True)
class MoreMemory:
    """Give each container that ran out of memory more of it, each time it does.

    What it has is what the pinned revision and the task's overrides give it; that times `factor` for each job of the
    generation in which it ran out. On Fargate it is the next size that Fargate offers, with more vCPUs where need be:
    what that has more than the one before goes to the container that ran out, and none takes from another.

    In an array all children get it, in a multi-node job all nodes of the range.

    Args:
        factor: By what it grows; above 1.
        at_most_mib: The most that a container gets; None for what the platform has.
        after: The causes that it answers. `Cause.KILLED` is mostly a lack of memory of the host as a whole.

    Raises:
        ValueError: An argument is not of its kind; the error names it.
    """

    factor: float = 2
    at_most_mib: int | None = None
    after: Collection[Cause] = field(default=(Cause.OUT_OF_MEMORY,))

    def __post_init__(self) -> None:
        growth(self.factor, "MoreMemory factor")
        most: object = self.at_most_mib
        if most is not None:
            reasonable(most, "MoreMemory at_most_mib")
            if not isinstance(most, int) or most < _LEAST_MIB:
                raise ValueError(f"MoreMemory at_most_mib must be a whole number from {_LEAST_MIB}, not {shown(most)}")
        object.__setattr__(self, "after", causes(self.after, "MoreMemory after"))

    def apply(self, job: NextJob, failures: Sequence[Failure]) -> Iterator[Change]:
        """Give each container more for each job in which it ran out, in the order of the jobs.

        Args:
            job: The job that will be submitted; its request is changed.
            failures: Why the generation's jobs failed, in the order of the jobs.

        Yields:
            What was changed, with the sizes in MiB.
        """
        yield from given([self], job, failures)[0]

    def check(self, job: NextJob) -> str | None:
        """Say what is wrong with the most that it gives for a job that has not been changed; None if nothing is.

        Args:
            job: The job before any change.
        """
        sizes = [one.memory_mib for task in job.tasks for one in task.containers if one.memory_mib is not None]
        if self.at_most_mib is None or not sizes or self.at_most_mib >= min(sizes):
            return None
        least = min(sizes)
        return f"MoreMemory(at_most_mib={self.at_most_mib}) is below the {least} MiB that the job begins with; raise it"

    def give(self, job: NextJob, task: Task, container: Container) -> None:
        """Give a container the next of what it may have, if there is any.

        Args:
            job: The job that will be submitted; its request is changed.
            task: The task of the container, whose size counts on Fargate.
            container: The container that ran out of memory.
        """
        memory = container.memory_mib
        if memory is None:
            return
        most = self._most(memory)
        wanted = grown(memory, self.factor, most)
        size = task.size() if job.on_fargate else None
        if size is not None:
            others = size.memory_mib - memory
            offered = _next(size, others + wanted, others + most)
            wanted = offered.memory_mib - others
            if more := offered.vcpus - size.vcpus:
                container.give("VCPU", vcpus_as_text(Decimal(container.vcpus or "0") + more))
        if wanted != memory:
            container.give_memory(wanted)

    def tell(self, job: NextJob, one: _RanOut) -> Iterator[Change]:
        """Say what a container has been given in all.

        Args:
            job: The job with all changes.
            one: The container, with the memory in MiB that it had before.

        Yields:
            One change, if there was any.
        """
        container, after = one.container, one.container.memory_mib
        if one.memory_mib is None or after is None:
            _note_unknown(job, container.path)
            return
        most, size = self._most(after), one.task.size() if job.on_fargate else None
        if size is not None:
            others = size.memory_mib - after
            most = _next(size, size.memory_mib + 1, others + most).memory_mib - others
        yield Change(
            field=f"{container.path} memory",
            before=f"{one.memory_mib} MiB",
            after=f"{after} MiB" + (f" with {container.vcpus} vCPU" if container.vcpus != one.vcpus else ""),
            why=why(one.failures),
            is_most=after >= most,
        )

    def _most(self, memory_mib: int) -> int:
        """Return the most that a container may have that has so much already."""
        return max(memory_mib, self.at_most_mib or _MOST_MIB)


def given(changes: Sequence[MoreMemory], job: NextJob, failures: Sequence[Failure]) -> list[list[Change]]:
    """Give containers more, job after job, since they share what a task on Fargate, or one of them, can have.

    Args:
        changes: All that a task has.
        job: The job that will be submitted.
        failures: Why the generation's jobs failed, in the order of the jobs.

    Returns:
        What each of them says: of a container that whose turn it was last.
    """
    of_jobs: dict[str, list[Failure]] = {}
    for failure in failures:
        of_jobs.setdefault(failure.job_id, []).append(failure)
    ran_out: dict[str, _RanOut] = {}
    for of_job, change in product(of_jobs.values(), changes):
        in_it: dict[str, tuple[Task, Container]] = {}
        for failure in of_job:
            if failure.cause in change.after:
                found = {container.path: (task, container) for task, container in job.containers(failure)}
                in_it |= found
                for path, (task, container) in found.items():
                    one = ran_out.setdefault(path, _RanOut(task, container, container.memory_mib, container.vcpus))
                    one.failures.append(failure)
        for path, (task, container) in in_it.items():
            change.give(job, task, container)
            ran_out[path].last = change
    if not (ran_out or job.definition) and any(one.cause in each.after for one, each in product(failures, changes)):
        _note_unknown(job, "")
    return [
        [told for one in ran_out.values() if one.last is change for told in change.tell(job, one)] for change in changes
    ]


def _note_unknown(job: NextJob, path: str) -> None:
    if job.definition:
        job.note(f"MoreMemory changes nothing: nothing says how much memory {path} has")
    else:
        job.note("MoreMemory changes nothing: the role may not look up the revision, which says what a job has")


def _next(size: Size, wanted_mib: int, most_mib: int) -> Size:
    """Return the smallest size of Fargate that has as much memory as is wanted, else the largest up to the most.

    Args:
        size: What the task has now; nothing smaller is returned.
        wanted_mib: The memory that is wanted.
        most_mib: The most that it may have.
    """
    larger = [one for one in OFFERED if one.vcpus >= size.vcpus and size.memory_mib < one.memory_mib <= most_mib]
    enough = [one for one in larger if one.memory_mib >= wanted_mib]
    if enough:
        return min(enough)
    return max(larger, key=lambda one: (one.memory_mib, -one.vcpus), default=size)
