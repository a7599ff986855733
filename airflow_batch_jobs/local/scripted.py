"""Scripted jobs: what a job without a process does, and when."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_batch_jobs.batch.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ScriptedAttempt:
    """How one attempt ends.

    Attributes:
        exit_code: That of its essential containers; None for an attempt that loses its host.
        reason: The container's reason: `OutOfMemoryError: …`.
        status_reason: The attempt's statusReason.
        running: How many seconds it runs; None for the script's own value.
        starts: False for an attempt that fails in STARTING and never has a log stream.
        parts: Exit codes of containers by name, or of nodes by number, where they differ.
        needs_mib: How much memory containers need, by name or by number of the node; one that has less runs out of it.
            The empty name is for all that are not named.
    """

    exit_code: int | None = 0
    reason: str = ""
    status_reason: str = "Essential container in task exited"
    running: float | None = None
    starts: bool = True
    parts: Mapping[str, int] = field(default_factory=dict)
    needs_mib: Mapping[str, int] = field(default_factory=dict)


class LineNames(NamedTuple):
    """What a line's text may refer to besides its number."""

    job_id: str
    job_name: str
    attempt: int
    stream: str


@dataclass(frozen=True, slots=True)
class ScriptedLines:
    """The lines of each log stream of an attempt; what is due after its end is not written.

    Attributes:
        count: How many.
        rate: Lines per second; None spreads them evenly over the attempt.
        text: What each says; `{number}` (from 1), `{job_id}`, `{job_name}`, `{attempt}`, `{stream}` are filled in.
        texts: What they say, one by one, instead of `count` and `text`.
        offsets: When each of `texts` is written, in seconds from the attempt's start; empty spreads them evenly.
        ahead_seconds: How much later each line's timestamp is than the time it was written.
    """

    count: int = 0
    rate: float | None = None
    text: str = "line {number}"
    texts: tuple[str, ...] = ()
    offsets: tuple[float, ...] = ()
    ahead_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.texts:
            object.__setattr__(self, "count", len(self.texts))
        if self.offsets and len(self.offsets) != self.count:
            raise ValueError(f"{len(self.offsets)} offsets for {self.count} lines")

    def interval_seconds(self, attempt_seconds: float) -> float:
        """Return the seconds between two lines of an attempt of that length."""
        return 1 / self.rate if self.rate else attempt_seconds / max(self.count, 1)

    def text_of(self, index: int, names: LineNames) -> str:
        """Return what a line says."""
        return self.texts[index] if self.texts else self.text.format(number=index + 1, **names._asdict())


@dataclass(frozen=True, slots=True)
class Delivery:
    """How long after they were written lines can be read; seconds.

    Attributes:
        delay: The delay of every line.
        spread: A random delay on top, up to this, for each line on its own: lines overtake each other.
        stalled_from: From this time after the attempt's start, nothing is delivered …
        stalled_until: … until this time; then everything at once.
        seed: The seed of the random delays.
    """

    delay: float = 0.0
    spread: float = 0.0
    stalled_from: float = 0.0
    stalled_until: float = 0.0
    seed: int = 0

    def readable_at(self, written_at: int, started_at: int, stream_number: int, index: int) -> int:
        """Return when a line can be read; all times in milliseconds since the epoch."""
        seconds = self.delay
        if self.spread:
            seconds += _chance(self.seed, stream_number, index) * self.spread
        readable_at = written_at + round(seconds * 1000)
        if started_at + self.stalled_from * 1000 <= readable_at < started_at + self.stalled_until * 1000:
            return started_at + round(self.stalled_until * 1000)
        return readable_at


def _chance(*numbers: int) -> float:
    """Return a number from 0 to 1 that is as good as random, and always the same for the same numbers."""
    mixed = 0
    for number in numbers:
        mixed = (mixed + number + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        mixed = (mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    return (mixed ^ mixed >> 32) / 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class Script:
    """A timetable for jobs without a process: which jobs, and what they do.

    The retry strategy decides how often a job is tried, as for every job; a job without one is tried as often as
    `attempts` has entries. An attempt beyond the last entry ends like the last one.

    Attributes:
        definition: Only jobs of this definition: `name`, `name:revision`; empty for all.
        job_name: Only jobs whose names begin with this; empty for all.
        queue: Only jobs of this queue, by its name; empty for all.
        array_index: Only array children with this index; None for all.
        submitted: Seconds in SUBMITTED; None, here and below, for the endpoint's own step.
        pending: Seconds in PENDING.
        runnable: Seconds in RUNNABLE.
        starting: Seconds in STARTING.
        running: Seconds in RUNNING.
        stopping: Seconds from TerminateJob to the end.
        attempts: How the attempts end.
        runnable_reason: The statusReason while RUNNABLE.
        lines: What is in the log streams.
        delivery: How late it can be read.
        uses_slot: Whether the job waits for one of the endpoint's slots.
    """

    definition: str = ""
    job_name: str = ""
    queue: str = ""
    array_index: int | None = None
    submitted: float | None = None
    pending: float | None = None
    runnable: float | None = None
    starting: float | None = None
    running: float = 1.0
    stopping: float | None = None
    attempts: tuple[ScriptedAttempt, ...] = (ScriptedAttempt(),)
    runnable_reason: str = ""
    lines: ScriptedLines = ScriptedLines()
    delivery: Delivery = Delivery()
    uses_slot: bool = False

    def matches(self, definition: str, job_name: str, array_index: int | None, queue: str) -> bool:
        """Tell whether a job follows this script.

        Args:
            definition: Its definition as `name:revision`.
            job_name: Its name.
            array_index: Its index if it is an array's child.
            queue: The name of its queue.
        """
        return (
            self.definition in {"", definition, definition.partition(":")[0]}
            and job_name.startswith(self.job_name)
            and self.queue in {"", queue}
            and self.array_index in {None, array_index}
        )

    def seconds_in(self, status: JobStatus, step_seconds: float) -> float:
        """Return how long a job stays in a status before RUNNING."""
        given = {
            JobStatus.SUBMITTED: self.submitted,
            JobStatus.PENDING: self.pending,
            JobStatus.RUNNABLE: self.runnable,
            JobStatus.STARTING: self.starting,
        }[status]
        return step_seconds if given is None else given

    def attempt(self, number: int) -> ScriptedAttempt:
        """Return how an attempt ends, counted from 1."""
        return self.attempts[min(number, len(self.attempts)) - 1]


def make_script(**parts: Any) -> Script:
    """Make a script from plain data, as it comes over HTTP.

    Instead of a `ScriptedAttempt`, an attempt may be given as an exit code; instead of `ScriptedLines`, lines may be a
    number or a list of texts; instead of a `Delivery`, the delivery may be a delay in seconds.

    Raises:
        TypeError: A part is not one of a script's.
        ValueError: A part's value is not valid.
    """
    if "attempts" in parts:
        parts["attempts"] = tuple(_attempt(one) for one in parts["attempts"])
        if not parts["attempts"]:
            raise ValueError("A script needs at least one attempt")
    if "lines" in parts:
        parts["lines"] = _lines(parts["lines"])
    if "delivery" in parts:
        parts["delivery"] = _delivery(parts["delivery"])
    return Script(**parts)


def _attempt(given: Any) -> ScriptedAttempt:
    if isinstance(given, ScriptedAttempt):
        return given
    return ScriptedAttempt(**given) if isinstance(given, dict) else ScriptedAttempt(exit_code=given)


def _lines(given: Any) -> ScriptedLines:
    if isinstance(given, ScriptedLines):
        return given
    if isinstance(given, dict):
        sequences: Any = {key: tuple(given[key]) for key in ("texts", "offsets") if key in given}
        return ScriptedLines(**{**given, **sequences})
    return ScriptedLines(count=given) if isinstance(given, int) else ScriptedLines(texts=tuple(given))


def _delivery(given: Any) -> Delivery:
    if isinstance(given, Delivery):
        return given
    return Delivery(**given) if isinstance(given, dict) else Delivery(delay=given)


def plain(value: Any) -> Any:
    """Return the parts of a script as JSON data, to be sent over HTTP."""
    if isinstance(value, (ScriptedAttempt, ScriptedLines, Delivery)):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value
