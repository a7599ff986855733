"""FollowedParts: the children of an array or the nodes of a multi-node job, described in a limited number of calls."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.detail import JobKind
from airflow_batch_jobs.batch.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from airflow_batch_jobs.batch.detail import JobDetail

#: A job's parts cost at most five calls of a hundred each time the job itself is described.
_MOST_ASKED = 500

_MOVING = frozenset({JobStatus.STARTING, JobStatus.RUNNING})
_LOGGED = _MOVING | {JobStatus.SUCCEEDED, JobStatus.FAILED}


class FollowedParts:
    """What is known about a job's parts, and which to ask for. Does no IO and reads no clock.

    Attributes:
        details: The parts as AWS described them last, by id.
    """

    def __init__(self) -> None:
        self.details: dict[str, JobDetail] = {}
        self._open: dict[str, float] = {}
        self._answered: dict[str, float] = {}
        self._children: dict[JobStatus, int] = {}
        self._stage: tuple[int, bool] | tuple[()] | None = None

    def look(self, parent: JobDetail) -> list[str]:
        """Return the parts to ask for after a look at the job they belong to.

        Returns none while no part can have a log, and none while nothing changes. Half of the places are kept for parts
        that are known to run, half for the others, as long as there are both; of each, those come first that have not
        been asked for for the longest time. So every part has its turn.
        """
        stage = (len(parent.attempts), parent.is_final) if parent.kind is JobKind.MULTI_NODE else ()
        if self._stage != stage:  # the first look; a multi-node job that is retried runs on the same nodes again
            self._stage = stage
            self._open = dict.fromkeys(parent.part_ids(), float("-inf"))
        if parent.is_final:
            return list(self._open)
        if not self._moves(parent):
            return []
        self._children = dict(parent.children)
        moving = [job_id for job_id in self._open if self._is_moving(job_id)]
        others = [job_id for job_id in self._open if not self._is_moving(job_id)]
        places = max(_MOST_ASKED // 2, _MOST_ASKED - len(others))
        longest_ago = self._open.__getitem__
        chosen = heapq.nsmallest(places, moving, key=longest_ago)
        return chosen + heapq.nsmallest(_MOST_ASKED - len(chosen), others, key=longest_ago)

    def asked(self, job_ids: Iterable[str], now: float) -> None:
        """Take note of the parts that are asked for."""
        for job_id in job_ids:
            if job_id in self._open:
                self._open[job_id] = now

    def answered(self, job_id: str, detail: JobDetail | None, asked_at: float) -> None:
        """Take an answer; a part that is final is not asked for again."""
        if detail is not None and asked_at >= self._answered.get(job_id, asked_at):  # answers can overtake each other
            self._answered[job_id] = asked_at
            self.details[job_id] = detail
            if detail.is_final:
                self._open.pop(job_id, None)

    def expect(self, job_ids: Iterable[str]) -> None:
        """Count parts that were found in another way as not final."""
        self._open.update(dict.fromkeys(job_ids, float("-inf")))

    def give_up(self, job_id: str) -> None:
        """Expect no more of a part."""
        self._open.pop(job_id, None)

    def seen_since(self) -> float:
        """Return the time, in seconds, since which AWS has described each part that is not final."""
        return min((self._answered.get(job_id, float("-inf")) for job_id in self._open), default=float("inf"))

    @property
    def open(self) -> Collection[str]:
        """The parts that are not known to be final."""
        return self._open.keys()

    def in_order(self) -> tuple[JobDetail, ...]:
        """Return the parts by their number."""
        return tuple(sorted(self.details.values(), key=_number))

    def _moves(self, parent: JobDetail) -> bool:
        if parent.kind is not JobKind.ARRAY_PARENT:
            return parent.status in _MOVING or any(detail.status in _MOVING for detail in self.details.values())
        if not _LOGGED.intersection(parent.children):
            return False
        return parent.children != self._children or bool(_MOVING.intersection(parent.children))

    def _is_moving(self, job_id: str) -> bool:
        detail = self.details.get(job_id)
        return detail is not None and detail.status in _MOVING


def _number(detail: JobDetail) -> int:
    return (detail.array_index if detail.array_index is not None else detail.node_index) or 0
