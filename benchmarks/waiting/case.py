"""A case of the waiting benchmark: the jobs, the way to wait for them, and the resulting figures."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is measured.

    Attributes:
        name: Cases with the same name are compared with one another.
        way: `provider`, `ours` or `floor`.
        jobs: How many.
        copy_logs: Whether the lines are copied.
        first_end: When the first job ends, in seconds from the submit.
        last_end: When the last one ends.
        line_seconds: The seconds between two lines of a job.
        delivery_seconds: How long after it was written a line can be read.
        batch_rate: The calls per second of AWS Batch that the account is allowed; None for any number.
        logs_rate: The same for CloudWatch Logs.
    """

    name: str
    way: str
    jobs: int
    copy_logs: bool = False
    first_end: float = 25.0
    last_end: float = 35.0
    line_seconds: float = 5.0
    delivery_seconds: float = 0.0
    batch_rate: float | None = None
    logs_rate: float | None = None

    @property
    def title(self) -> str:
        """The way to wait, in words."""
        return f"{self.way} + logs" if self.copy_logs else self.way


@dataclass(frozen=True, slots=True)
class Spread:
    """The spread of a number of times in seconds."""

    median: float
    p95: float
    largest: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Return the spread of some values; None if there are none."""
        if not values:
            return None
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[math.ceil(0.95 * len(ordered)) - 1], ordered[-1], len(ordered))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured in a case.

    Attributes:
        events: How many jobs' waits were over when the process ended.
        calls: DescribeJobs calls, as the endpoint counted them.
        throttled: Those of them, and of FilterLogEvents, that were throttled.
        peak_calls: The most DescribeJobs calls within any second.
        log_calls: FilterLogEvents calls.
        cpu_ms: CPU time per job, in all threads of the process, from the first trigger to the last event; without the
            ticker's.
        memory_kib: Added memory per job (RSS): that 2 s before the first job ends and after a garbage collection, minus
            that of the same process when it was loaded, had its clients and waited for one job. None if a job had ended
            or was not waited for yet.
        peak_kib: The same at its peak, with garbage.
        start_seconds: How long it took until every job had been asked about once.
        start_stall_ms: The longest time until then for which the event loop did not run a ticker of 10 ms.
        stall_ms: The same after that.
        pause_ms: The longest garbage collection, during which Python holds every thread of the process.
        detection: From a job's `stoppedAt` until its end is in the task log, or the event is there.
        event: From a job's `stoppedAt` until the event. With logs, it waits until the last lines are settled, at least
            5 s.
        freshness: From when a line is readable to when it is logged.
        steady_freshness: The same without the first 15 s.
        seconds: From the start of the wait to its end.
        load: The machine's load average in the last minute before the case, including what the previous case left.
    """

    events: int
    calls: int
    throttled: int
    peak_calls: int
    log_calls: int
    cpu_ms: float
    memory_kib: float | None
    peak_kib: float
    start_seconds: float | None
    start_stall_ms: float
    stall_ms: float
    pause_ms: float
    detection: Spread | None
    event: Spread | None
    freshness: Spread | None
    steady_freshness: Spread | None
    seconds: float
    load: float


@dataclass(frozen=True, slots=True)
class Result:
    """A case and its figures; or, if its way to wait is not available, why."""

    case: Case
    figures: Figures | None
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)
