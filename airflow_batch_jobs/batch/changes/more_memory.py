"""MoreMemory: the container that ran out of memory gets more."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.changes.change import Change, causes, grown, growth, why
from airflow_batch_jobs.batch.fargate import MEMORY_MIB, Size, vcpus_as_text
from airflow_batch_jobs.batch.numbers import reasonable, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from airflow_batch_jobs.batch.changes.failure import Failure
    from airflow_batch_jobs.batch.changes.next_job import Container, NextJob, Task

#: More than any host has.
_MOST_MIB = 100_000_000
#: The least that AWS Batch gives a container.
_LEAST_MIB = 4


@dataclass(frozen=True)
class MoreMemory:
    """Give a container that ran out of memory more of it, each time it does.

    What it has is what the pinned revision and the task's overrides give it; that times `factor` for each job of the
    generation in which it ran out. On Fargate it is the next size that Fargate offers, with more vCPUs where need be.
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
        """Give each container more for each job in which it ran out."""
        ran_out: dict[str, tuple[Task, Container, list[Failure]]] = {}
        for failure in failures:
            if failure.cause in self.after:
                for task, container in job.containers(failure):
                    ran_out.setdefault(container.path, (task, container, []))[2].append(failure)
        for task, container, of_it in ran_out.values():
            yield from self._give(job, task, container, of_it)
        if not ran_out and any(failure.cause in self.after for failure in failures):
            job.note("MoreMemory changes nothing: the role may not look up the revision, which says what a job has")

    def check(self, job: NextJob) -> str | None:
        """Say what is wrong with the most that it gives for a job that has not been changed; None if nothing is."""
        sizes = [one.memory_mib for task in job.tasks for one in task.containers if one.memory_mib is not None]
        if self.at_most_mib is None or not sizes or self.at_most_mib >= min(sizes):
            return None
        least = min(sizes)
        return f"MoreMemory(at_most_mib={self.at_most_mib}) is below the {least} MiB that the job begins with; raise it"

    def _give(self, job: NextJob, task: Task, container: Container, failures: Sequence[Failure]) -> Iterator[Change]:
        before = container.memory_mib
        if before is None:
            job.note(f"MoreMemory changes nothing: nothing says how much memory {container.path} has")
            return
        most = max(before, self.at_most_mib or _MOST_MIB)
        times = len({failure.job_id for failure in failures})
        wanted = math.ceil(grown(before, self.factor, times, most))
        size = task.size() if job.on_fargate else None
        if size is None:
            after, vcpus = wanted, ""
            is_most = after >= most
        else:
            others = size.memory_mib - before
            offered = _next(size, others + wanted, others + most)
            after = offered.memory_mib - others
            vcpus = _give_vcpus(container, offered.vcpus - size.vcpus)
            is_most = _next(offered, offered.memory_mib + 1, others + most) == offered
        if after != before:
            container.give_memory(after)
        yield Change(
            field=f"{container.path} memory",
            before=f"{before} MiB",
            after=f"{after} MiB{vcpus}",
            why=why(failures),
            is_most=is_most,
        )


def _next(size: Size, wanted_mib: int, most_mib: int) -> Size:
    """Return the smallest size of Fargate that has as much memory as is wanted, else the largest up to the most.

    Args:
        size: What the task has now; nothing smaller is returned.
        wanted_mib: The memory that is wanted.
        most_mib: The most that it may have.
    """
    offered = [Size(vcpus, mib) for vcpus, every in MEMORY_MIB.items() for mib in every]
    larger = [one for one in offered if one.vcpus >= size.vcpus and size.memory_mib < one.memory_mib <= most_mib]
    enough = [one for one in larger if one.memory_mib >= wanted_mib]
    if enough:
        return min(enough)
    return max(larger, key=lambda one: (one.memory_mib, -one.vcpus), default=size)


def _give_vcpus(container: Container, more: Decimal) -> str:
    """Give a container more vCPUs, which more memory on Fargate may need; return that in words."""
    if not more:
        return ""
    vcpus = vcpus_as_text(Decimal(container.resources().get("VCPU", "0")) + more)
    container.give("VCPU", vcpus)
    return f" with {vcpus} vCPU"
