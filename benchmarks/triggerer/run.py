"""Runs a case of the triggerer benchmark: starts everything, watches it, and makes figures of what was seen."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_batch_jobs.local import start_process
from benchmarks.triggerer.case import Figures, ProcessUse, Stalls
from benchmarks.triggerer.logs import LINE_TEXT, TaskLogs, counted_lines, stalls
from benchmarks.triggerer.own_airflow import Resumed, TriggererAirflow
from benchmarks.waiting.case import Spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_batch_jobs.local import LocalControl
    from benchmarks.triggerer.case import Case
    from benchmarks.triggerer.logs import JobLines
    from benchmarks.triggerer.own_airflow import Sample

_LOOK_SECONDS = 0.25
_SAMPLE_SECONDS = 1.0
#: How long after the last job's end its task may be deferred before the run ends without it.
_PATIENCE_SECONDS = 90.0
#: The logs of the ended triggers are complete after this time.
_LAST_LINES_SECONDS = 3.0
_PEAK_SECONDS = 10
#: How many logs are read at the same time for what the triggerer left over.
_READERS = 4


class Run:
    """A case while it runs.

    Args:
        case: What is measured.
        home: A folder for its Airflow.
        settings: More of its environment.
    """

    def __init__(self, case: Case, home: Path, settings: Mapping[str, str]) -> None:
        self._case = case
        self._home = home
        self._settings = settings
        self._load = os.getloadavg()[0]
        self._samples: dict[str, list[Sample]] = defaultdict(list)
        self._started_at = 0.0

    def figures(self) -> Figures:
        """Run it to its end and return its figures."""
        with start_process(slots=1, step_seconds=0.2) as aws:
            environment = {"AIRFLOW_CONN_AWS_DEFAULT": aws.airflow_connection(), **self._settings}
            with TriggererAirflow(self._home, environment, self._case.tasks) as airflow:
                airflow.make_database()
                job_ids = self._submit(aws)
                submitted_at = time.time()
                airflow.defer(job_ids)
                self._started_at = time.time()
                airflow.start()
                logs = TaskLogs(airflow.task_logs, self._case.tasks)
                self._watch(airflow, logs, submitted_at + self._case.seconds + _PATIENCE_SECONDS)
                counts = aws.counts()
                resumed = airflow.resumed()
                airflow.stop()
                logs.look()
                live = sum(sum(job.numbers.values()) for job in logs.jobs)
                self._copy_rest(aws, airflow, resumed, logs)
                ends = _ends(aws, job_ids)
                return self._conclude(logs, resumed, ends, counts, live, stalls(airflow.output))

    def _submit(self, aws: LocalControl) -> list[str]:
        job_ids: list[str] = []
        aws.register("scripted")
        for each in self._case.writers:
            lines = {"count": each.lines, "rate": each.lines_per_second, "text": LINE_TEXT}
            aws.script(job_name=each.name, runnable=each.runnable, running=each.running, lines=lines)
        for each in self._case.writers:
            job_ids += aws.submit("scripted:1", count=each.jobs, jobName=each.name)
        return job_ids

    def _watch(self, airflow: TriggererAirflow, logs: TaskLogs, until: float) -> None:
        """Look at everything until no task is deferred."""
        next_sample = 0.0
        while time.time() < until:
            logs.look()
            if time.time() >= next_sample:
                next_sample = time.time() + _SAMPLE_SECONDS
                for name, sample in airflow.sample().items():
                    self._samples[name].append(sample)
                if airflow.count_resumed() == self._case.tasks:
                    break
            time.sleep(_LOOK_SECONDS)
        end = time.time() + _LAST_LINES_SECONDS
        while time.time() < end:
            logs.look()
            time.sleep(_LOOK_SECONDS)

    def _copy_rest(
        self, aws: LocalControl, airflow: TriggererAirflow, resumed: dict[int, Resumed], logs: TaskLogs
    ) -> None:
        """Do what a worker does with what the triggerer left over of the logs."""
        os.environ |= airflow.environment
        from airflow_batch_jobs.batch.identity import TaskKey
        from airflow_batch_jobs.task.handover import Outcome
        from airflow_batch_jobs.task.log_rest import RestCopy

        def copy(index: int) -> list[str]:
            with counted_lines(logs.jobs[index]) as problems:
                RestCopy(Outcome.from_event(resumed[index].event), aws.clients(), TaskKey("", "", "")).run()
            return problems

        left = [index for index, each in resumed.items() if each.event.get("unread")]
        with ThreadPoolExecutor(_READERS) as readers:
            for problems in readers.map(copy, left):
                logs.problems.update(problems)

    def _conclude(
        self,
        logs: TaskLogs,
        resumed: dict[int, Resumed],
        ends: list[float],
        counts: dict[str, int],
        live: int,
        held: list[tuple[float, float]],
    ) -> Figures:
        writers = self._case.by_task
        started = [job.started_at for job in logs.jobs if job.started_at]
        described = [job.described_at for job in logs.jobs if job.described_at]
        steady_from, steady_to = max(described, default=0.0), min(ends)
        seen = [at for job in logs.jobs for at in job.seen]
        steady = sum(1 for at in seen if steady_from <= at <= steady_to)
        came = sum(sum(job.numbers.values()) for job in logs.jobs)
        well = {index for index, each in resumed.items() if each.method == "execute_complete" and each.event}
        waits = [(resumed[index].at - ends[index], writers[index].is_flood) for index in well]
        quiet = [job for job, each in zip(logs.jobs, writers, strict=True) if not each.is_flood]
        return Figures(
            first_trigger=min(started, default=0.0) - self._started_at,
            all_triggers=max(started, default=0.0) - self._started_at,
            all_described=steady_from - self._started_at,
            start_stalls=Stalls.of([seconds for at, seconds in held if at <= steady_from]),
            stalls=Stalls.of([seconds for at, seconds in held if at > steady_from]),
            lines_per_second=steady / max(1.0, steady_to - steady_from),
            peak_lines_per_second=_peak(seen),
            freshness=Spread.of(_delays(quiet, since=steady_from)),
            worst_freshness=max(_delays(quiet), default=0.0),
            processes={name: _use(samples, min(started, default=0.0)) for name, samples in self._samples.items()},
            describe_calls=counts.get("DescribeJobs", 0),
            log_calls=counts.get("FilterLogEvents", 0),
            resumed=Spread.of([seconds for seconds, is_flood in waits if not is_flood]),
            flood_resumed=Spread.of([seconds for seconds, is_flood in waits if is_flood]),
            tasks_lost=self._case.tasks - len(well),
            lines_written=sum(each.lines for each in writers),
            lines_live=live,
            lines_by_worker=came - live,
            lines_lost=sum(job.lost(each.lines) for job, each in zip(logs.jobs, writers, strict=True)),
            lines_double=sum(job.double(each.lines) for job, each in zip(logs.jobs, writers, strict=True)),
            problems=dict(logs.problems.most_common(10)),
            load=(self._load, os.getloadavg()[0]),
        )


def run_case(case: Case, *, has_metrics: bool = False) -> Figures:
    """Run a case in a folder that is removed afterwards.

    Args:
        case: What is measured.
        has_metrics: Whether Airflow's metrics are on.
    """
    with tempfile.TemporaryDirectory(prefix="triggerer-") as home, _statsd() as settings:
        return Run(case, Path(home), settings if has_metrics else {}).figures()


@contextmanager
def _statsd() -> Iterator[dict[str, str]]:
    """Listen for StatsD, without reading it; yield what has an Airflow send its metrics there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        yield {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(listening.getsockname()[1]),
        }


def _ends(aws: LocalControl, job_ids: Sequence[str]) -> list[float]:
    """Return when the jobs ended, in seconds since the epoch."""
    stopped = {job["jobId"]: job["stoppedAt"] / 1000 for job in aws.jobs()}
    return [stopped[job_id] for job_id in job_ids]


def _delays(jobs: list[JobLines], since: float = 0.0) -> list[float]:
    """Return how long lines took that were written while their trigger ran, and after a time."""
    return [
        seen - written
        for job in jobs
        for written, seen in zip(job.written, job.seen, strict=True)
        if written >= max(since, job.started_at or 0.0)
    ]


def _peak(seen: list[float]) -> float:
    """Return the most lines a second within some seconds."""
    spans = Counter(int(at / _PEAK_SECONDS) for at in seen)
    return max(spans.values(), default=0) / _PEAK_SECONDS


def _use(samples: list[Sample], first_trigger: float) -> ProcessUse:
    idle = [sample.uss_mib for sample in samples if sample.at < first_trigger]
    return ProcessUse(
        idle_uss_mib=idle[-1] if idle else 0.0,
        uss_mib=max(sample.uss_mib for sample in samples),
        rss_mib=max(sample.rss_mib for sample in samples),
        cpu_seconds=samples[-1].cpu_seconds,
    )
