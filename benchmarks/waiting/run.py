"""Running a case of the waiting benchmark: a local AWS, scripted jobs, and the process that waits for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from airflow_batch_jobs.local import start_process
from benchmarks.waiting.case import Case, Figures, Result, Spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType
    from typing import Self

    from airflow_batch_jobs.local import LocalControl
    from airflow_batch_jobs.local.record import Recorded

WAITERS = Path(__file__).with_name("waiters.py")

POLL_SECONDS = 5.0
#: The number of kinds of jobs; their starts and ends are spread evenly, the ends in a different order than the starts.
KINDS = 100
_STRIDE = 37
#: The starts of the jobs, and so their lines, are spread over this many seconds.
START_SPREAD_SECONDS = 5.0
#: How long before the first job ends the memory is measured.
SAMPLE_LEAD_SECONDS = 2.0
#: How long a wait may take after the last job's end.
PATIENCE_SECONDS = 150.0
#: How long a process may take from its start until it is ready, and from its end to its answer.
READY_SECONDS = 90.0
#: How long it takes until copying has found its pace.
STEADY_SECONDS = 15.0
_PEAK_SAMPLE_SECONDS = 0.2


def run_case(case: Case, python: str = sys.executable) -> Result:
    """Run a case against a local AWS of its own.

    Args:
        case: What to measure.
        python: The interpreter of the process that waits.

    Raises:
        RuntimeError: The process that waits failed, or did not answer in time.
    """
    load = os.getloadavg()[0]
    with start_process(step_seconds=0.0, keep_finished=2 * case.jobs + KINDS) as aws:
        aws.register("waited")
        aws.script(job_name="keeper", running=3600, lines={"count": 3600, "rate": 1.0})
        order = {
            "way": case.way,
            "copy_logs": case.copy_logs,
            "keeper": aws.submit("waited:1", jobName="keeper")[0],
            "connection": aws.airflow_connection(),
            "sample_after": case.first_end - SAMPLE_LEAD_SECONDS,
            "give_up_after": case.last_end + PATIENCE_SECONDS,
            "poll_seconds": POLL_SECONDS,
        }
        with Waiter(python, order) as waiter:
            waiter.line(READY_SECONDS)
            job_ids = submit(aws, case)
            if case.batch_rate:
                aws.fault("batch.*", "throttle", rate=case.batch_rate)
            if case.logs_rate:
                aws.fault("logs.*", "throttle", rate=case.logs_rate)
            aws.clear_requests()
            waiter.tell(job_ids)
            measured = json.loads(waiter.line(case.last_end + PATIENCE_SECONDS + READY_SECONDS))
            measured["peak"] = waiter.peak_rss
        counts, requests = aws.counts(), aws.requests()
        aws.clear_faults()
        stopped = stopped_at(aws, job_ids)
    return Result(case, figures(case, measured, counts, requests, stopped, load))


def submit(aws: LocalControl, case: Case) -> list[str]:
    """Submit the jobs of a case and return their ids."""
    kinds = min(case.jobs, KINDS)
    ids: list[str] = []
    for kind in range(kinds):
        starting = START_SPREAD_SECONDS * kind / kinds
        end = case.first_end + (case.last_end - case.first_end) * (kind * _STRIDE % kinds) / kinds
        lines = {"count": int((end - starting) / case.line_seconds), "rate": 1 / case.line_seconds}
        name = f"kind{kind:02d}"
        aws.script(
            job_name=name,
            starting=starting,
            running=end - starting,
            lines=lines,
            delivery=case.delivery_seconds,
        )
        count = (case.jobs - kind + kinds - 1) // kinds
        ids += aws.submit("waited:1", count=count, jobName=name)
    return ids


def stopped_at(aws: LocalControl, job_ids: Sequence[str]) -> dict[str, float]:
    """Return when jobs ended, in seconds since the epoch."""
    batch = aws.clients()("batch")
    stopped: dict[str, float] = {}
    for first in range(0, len(job_ids), 100):
        jobs = batch.describe_jobs(jobs=list(job_ids[first : first + 100]))["jobs"]
        stopped |= {job["jobId"]: job["stoppedAt"] / 1000 for job in jobs if "stoppedAt" in job}
    return stopped


def figures(
    case: Case,
    measured: dict[str, Any],
    counts: dict[str, int],
    requests: Sequence[Recorded],
    stopped: dict[str, float],
    load: float,
) -> Figures:
    """Turn what was measured into figures.

    Args:
        case: What was measured.
        measured: What the process said.
        counts: How many calls reached the endpoint, by operation.
        requests: Those of them that the endpoint kept.
        stopped: When the jobs ended.
        load: The machine's load average.
    """
    describes = [request for request in requests if request.operation == "DescribeJobs"]
    is_complete = len(describes) == counts.get("DescribeJobs", 0)
    all_asked = _all_asked_at(describes, set(stopped)) if is_complete else None
    start_ends = measured["ended"] if all_asked is None else all_asked
    gaps = list(zip(measured["gaps"][::2], measured["gaps"][1::2], strict=True))
    pauses = measured["pauses"][1::2]
    seconds = measured["ended"] - measured["began"]
    sample = measured["sample"]
    counts_as_waiting = sample is not None and start_ends < sample["at"]
    logged = list(zip(measured["lines"][::2], measured["lines"][1::2], strict=True))
    fresh = [(at - measured["began"], at - written - case.delivery_seconds) for at, written in logged]
    ends = {**measured["events"], **measured["ends"]}
    return Figures(
        events=len(measured["events"]),
        calls=counts.get("DescribeJobs", 0),
        throttled=sum(request.outcome in _THROTTLED for request in requests),
        peak_calls=most_within_a_second(request.time for request in describes),
        log_calls=counts.get("FilterLogEvents", 0),
        cpu_ms=max(0.0, measured["cpu"] - measured["idle_cpu"] * seconds) / case.jobs * 1000,
        memory_kib=(sample["rss"] - measured["rss"]) / case.jobs / 1024 if counts_as_waiting else None,
        peak_kib=(measured["peak"] - measured["rss"]) / case.jobs / 1024,
        start_seconds=None if all_asked is None else all_asked - measured["began"],
        start_stall_ms=max((gap for at, gap in gaps if at <= start_ends), default=0.0) * 1000,
        stall_ms=max((gap for at, gap in gaps if at > start_ends), default=0.0) * 1000,
        pause_ms=max(pauses, default=0.0) * 1000,
        detection=Spread.of([at - stopped[job_id] for job_id, at in ends.items() if job_id in stopped]),
        event=Spread.of([at - stopped[job_id] for job_id, at in measured["events"].items() if job_id in stopped]),
        freshness=Spread.of([lag for _, lag in fresh]),
        steady_freshness=Spread.of([lag for at, lag in fresh if STEADY_SECONDS < at < case.first_end]),
        seconds=seconds,
        load=load,
    )


_THROTTLED = frozenset({"TooManyRequestsException", "ThrottlingException"})


def _all_asked_at(describes: Iterable[Recorded], job_ids: set[str]) -> float | None:
    """Return when every job had been asked about once, whatever the answer; None if one never was."""
    left = set(job_ids)
    for request in describes:
        if request.outcome == "ok":
            left.difference_update(request.parameters.get("jobs", ()))
        if not left:
            return request.time
    return None


def most_within_a_second(times: Iterable[float]) -> int:
    """Return the most of some moments that any second contains."""
    most = 0
    window: deque[float] = deque()
    for moment in sorted(times):
        window.append(moment)
        while window[0] <= moment - 1.0:
            window.popleft()
        most = max(most, len(window))
    return most


class Waiter:
    """The process that waits; it ends with the context.

    Args:
        python: Its interpreter.
        order: What it is to do; see `waiters.py`.

    Attributes:
        peak_rss: The most resident bytes it was seen with since it was told about the jobs.
    """

    def __init__(self, python: str, order: dict[str, Any]) -> None:
        self.peak_rss = 0
        self._home = tempfile.TemporaryDirectory()
        self._errors = Path(self._home.name) / "errors"
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        environment = {
            **kept,
            "HOME": self._home.name,
            "AIRFLOW_HOME": self._home.name,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_AWS_DEFAULT": order["connection"],
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [python, str(WAITERS)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                cwd=self._home.name,
            )
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._watch_memory, daemon=True)
        self.tell(order)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._process.kill()
        self._process.communicate()
        self._home.cleanup()

    def tell(self, value: Any) -> None:
        """Send it a line of JSON."""
        if self._process.stdin:
            self._process.stdin.write(json.dumps(value).encode() + b"\n")
            self._process.stdin.flush()

    def line(self, seconds: float) -> bytes:
        """Return the next line that it prints.

        Raises:
            RuntimeError: None came within this many seconds.
        """
        out = self._process.stdout
        if out is None:
            raise RuntimeError("The process has no output")
        timer = threading.Timer(seconds, self._process.kill)
        timer.start()
        try:
            line = out.readline()
        finally:
            timer.cancel()
        if not line:
            raise RuntimeError(f"The process that waits has ended: {self._errors.read_text(errors='replace')[-2000:]}")
        if not self._watch.is_alive():
            self._watch.start()
        return line

    def _watch_memory(self) -> None:
        process = psutil.Process(self._process.pid)
        while not self._over.wait(_PEAK_SAMPLE_SECONDS):
            with suppress(psutil.Error):
                self.peak_rss = max(self.peak_rss, process.memory_info().rss)
