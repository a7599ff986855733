"""StatsMeter: what is measured, told to Airflow's Stats, which is StatsD, Datadog or OpenTelemetry, or nothing.

Airflow has its Stats twice, each with a backend of its own: a task's process sets up the Task SDK's, a triggerer the
server's.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from airflow.observability import stats as server_stats
from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats as sdk_stats

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from airflow_batch_jobs.batch.meter import Metric

#: The process's own: what concerns no job in particular belongs in no task's log.
_LOG = logging.getLogger(__name__)
#: How many values of a tag a process tells apart, and what the others are called.
MOST_VALUES = 200
OTHER = "other"
#: What stands for a value that is empty.
UNKNOWN = "unknown"
LONGEST_VALUE = 128
#: What is sent at a time; times beyond that are left out until it is sent.
MOST_TIMES = 10_000
#: How long a task's process waits for what hangs, and then for its last metrics.
FLUSH_SECONDS = 1.0


class Stats(Protocol):
    """What is used of Airflow's Stats."""

    def incr(self, stat: str, count: int, *, tags: dict[str, Any]) -> object:
        """Count something."""

    def timing(self, stat: str, dt: timedelta, *, tags: dict[str, Any]) -> object:
        """Tell a time."""


class Series(NamedTuple):
    """A metric, with the values of its tags in their order."""

    metric: Metric
    values: tuple[str, ...] = ()

    def names(self, *, has_tags: bool) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield under which names it is told, with which tags.

        Where there are no tags, the value of the first one stands in a second name.
        """
        yield self.metric.name, dict(zip(self.metric.tags, self.values, strict=True)) if has_tags else {}
        if self.values and not has_tags:
            yield f"{self.metric.name}.{self.values[0]}", {}


class StatsMeter:
    """Gathers what is measured, and tells Airflow's Stats in a thread: a backend that hangs keeps no task waiting.

    Belongs to one event loop, or to one thread, beside the one that tells.

    Args:
        stats: Airflow's Stats.
        has_tags: Whether the backend keeps tags.
    """

    def __init__(self, stats: Stats, *, has_tags: bool) -> None:
        self._stats = stats
        self._has_tags = has_tags
        self._counts: Counter[Series] = Counter()
        self._times: list[tuple[Series, float]] = []
        self._longest: dict[Series, float] = {}
        self._values: defaultdict[str, set[str]] = defaultdict(set)
        self._gathered = threading.Lock()  # guards what is gathered, and these
        self._is_wanted = self._is_sending = False
        self._sending: threading.Thread | None = None
        self._has_failed = False

    def count(self, metric: Metric, number: int = 1, **tags: str) -> None:
        """Take note that something has happened this often."""
        with self._gathered:
            self._counts[self._series(metric, tags)] += number

    def time(self, metric: Metric, seconds: float, **tags: str) -> None:
        """Take note of how long something took."""
        with self._gathered:
            if len(self._times) < MOST_TIMES:
                self._times.append((self._series(metric, tags), seconds))

    def longest(self, metric: Metric, seconds: float, **tags: str) -> None:
        """Take note of a time, of which only the longest since the last `send` counts."""
        with self._gathered:
            series = self._series(metric, tags)
            self._longest[series] = max(seconds, self._longest.get(series, 0.0))

    def send(self) -> None:
        """Send what is gathered; if the last time still goes on, once that is done, with what comes until then."""
        with self._gathered:
            self._is_wanted = True
            if self._is_sending:
                return
            self._is_sending = True
        sending = threading.Thread(target=self._send_wanted, name="airflow-batch-jobs", daemon=True)
        try:
            sending.start()
        except (RuntimeError, MemoryError):  # no thread to be had now
            self._is_sending = False
            return
        self._sending = sending

    def flush(self) -> None:
        """Send what is gathered, and wait a little until that is done: this process is about to end."""
        self._wait()
        self.send()
        self._wait()

    def _wait(self) -> None:
        if self._sending is not None:
            self._sending.join(FLUSH_SECONDS)

    def _series(self, metric: Metric, tags: Mapping[str, str]) -> Series:
        return Series(metric, tuple(self._value(tag, tags[tag]) for tag in metric.tags))

    def _value(self, tag: str, text: str) -> str:
        """Return a tag's value as every backend takes it: one of not too many."""
        value, known = tag_value(text), self._values[tag]
        if value not in known and len(known) >= MOST_VALUES:
            return OTHER
        known.add(value)
        return value

    def _send_wanted(self) -> None:
        while self._is_sending:
            with self._gathered:
                counts, times = self._counts, [*self._times, *self._longest.items()]
                self._counts, self._times, self._longest = Counter(), [], {}
                self._is_wanted = False
            if counts or times:
                self._send(counts, times)
            with self._gathered:
                self._is_sending = self._is_wanted

    def _send(self, counts: Mapping[Series, int], times: list[tuple[Series, float]]) -> None:
        try:
            for series, number in counts.items():
                for name, tags in series.names(has_tags=self._has_tags):
                    self._stats.incr(name, number, tags=tags)
            for series, seconds in times:
                for name, tags in series.names(has_tags=self._has_tags):
                    self._stats.timing(name, timedelta(seconds=max(0.0, seconds)), tags=tags)
        except Exception as error:  # noqa: BLE001 - a backend can raise anything, and no task may suffer from it
            if not self._has_failed:
                _LOG.warning("Metrics of batch_jobs are lost, and will be until the backend takes them: %r", error)
            self._has_failed = True
        else:
            self._has_failed = False


def tag_value(text: str) -> str:
    """Return a text as a tag's value: what backends take for a part of a name, a separator or nothing is replaced."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:LONGEST_VALUE] or UNKNOWN


def worker_meter() -> StatsMeter | None:
    """Return what a task's process measures with; None if Airflow keeps no metrics."""
    return _meter(sdk_stats)


def triggerer_meter() -> StatsMeter | None:
    """Return what a triggerer measures with; None if Airflow keeps no metrics."""
    return _meter(server_stats)


def _meter(stats: Stats) -> StatsMeter | None:
    on = [name for name in ("statsd_datadog_enabled", "statsd_on", "otel_on") if _is_set(name)]
    if not on:
        return None
    # Airflow takes the first of them.
    tags = {"statsd_datadog_enabled": "statsd_datadog_metrics_tags", "statsd_on": "statsd_influxdb_enabled"}
    return StatsMeter(stats, has_tags=on[0] not in tags or _is_set(tags[on[0]]))


def _is_set(option: str) -> bool:
    return bool(conf.getboolean("metrics", option, fallback=False))
