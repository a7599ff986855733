"""What Airflow's Stats is told: names, tags and values as a StatsD server and an OpenTelemetry collector get them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from airflow.observability import stats as server_stats
from airflow.observability.metrics import stats_utils as server_utils
from airflow.sdk.observability import stats as sdk_stats
from airflow.sdk.observability.metrics import stats_utils as sdk_utils
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.meter import (
    ENDED,
    LOG_LAG,
    ORPHANS,
    QUEUED,
    RAN,
    RETRIED,
    WATCHER_LAG,
    tell_end,
)
from airflow_batch_jobs.task import metrics
from airflow_batch_jobs.task.handover import WaitPlan
from airflow_batch_jobs.task.metrics import (
    MOST_TIMES,
    MOST_VALUES,
    StatsMeter,
    tag_value,
    triggerer_meter,
    worker_meter,
)
from airflow_batch_jobs.task.wait import JobWait
from tests.backends import Stats, attributes, otlp_collector, statsd_server
from tests.batch.conftest import Entries
from tests.batch.virtual import VirtualAws, run
from tests.measured import METRICS, is_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_batch_jobs.local.server import LocalAws
    from tests.backends import Statsd

TAGS = {"queue": "default", "definition": "job"}


@pytest.fixture
def statsd() -> Iterator[Statsd]:
    """A StatsD server."""
    with statsd_server() as server:
        yield server


@pytest.fixture(params=["worker", "triggerer"])
def new_meter(
    request: pytest.FixtureRequest, statsd: Statsd, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], StatsMeter]]:
    """What a worker or a triggerer measures with, where Airflow has set up its Stats for it as it does there."""
    for name, value in statsd.settings.items():
        monkeypatch.setenv(name, value)
    stats, utils, made = {
        "worker": (sdk_stats, sdk_utils, worker_meter),
        "triggerer": (server_stats, server_utils, triggerer_meter),
    }[request.param]

    backends: list[Any] = []

    def new_backend() -> Any:
        backends.append(utils.get_stats_factory()())
        return backends[-1]

    def new() -> StatsMeter:
        stats.initialize(factory=new_backend, export_legacy_names=True)
        meter = made()
        assert meter is not None
        return meter

    yield new
    for backend in backends:
        backend.statsd.close()
    monkeypatch.undo()
    stats.initialize(factory=utils.get_stats_factory(), export_legacy_names=True)


def told_by_a_wait(aws: LocalAws, meter: StatsMeter, **job: Any) -> None:
    """Wait for a job in virtual time."""
    [job_id] = aws.submit("job:1", **job)

    async def main() -> None:
        virtual = VirtualAws(aws)
        async with JobWait(WaitPlan(job_id=job_id), virtual.watcher(meter=meter)) as wait:
            await wait.outcome()

    run(main())
    meter.flush()


def test_a_wait_is_told_under_the_documented_names(
    frozen_aws: LocalAws, statsd: Statsd, new_meter: Callable[[], StatsMeter]
) -> None:
    """Times in milliseconds, as all of StatsD's; where there are no tags, what tells most is in a second name."""
    frozen_aws.register("job")
    frozen_aws.script(
        definition="job", runnable=90, running=60, lines=["one"], attempts=[{"exit_code": 3}, {"exit_code": 3}]
    )
    told_by_a_wait(frozen_aws, new_meter(), retryStrategy={"attempts": 2})
    statsd.close()
    told = statsd.ours()
    assert told["batch_jobs.ended"] == told["batch_jobs.ended.exit_code"] == [1]
    assert told["batch_jobs.retried"] == told["batch_jobs.retried.aws"] == [1]
    assert 90_000 <= told["batch_jobs.queued_seconds"][0] < 120_000
    assert told["batch_jobs.queued_seconds"] == told["batch_jobs.queued_seconds.default"]
    assert told["batch_jobs.ran_seconds"] == told["batch_jobs.ran_seconds.default"]
    assert 60_000 <= told["batch_jobs.ran_seconds"][0] <= 120_000
    assert sum(told["batch_jobs.watcher.calls"]) > 20
    assert sum(told["batch_jobs.watcher.calls.logs"]) > 10
    assert max(told["batch_jobs.watcher.lag_seconds"]) < 5_000
    assert 0 < max(told["batch_jobs.log.lag_seconds"]) < 30_000
    assert all(line.endswith("|ms") for line in statsd.lines if "_seconds" in line)


@pytest.mark.long
def test_an_array_is_one_job_without_times(
    frozen_aws: LocalAws, statsd: Statsd, new_meter: Callable[[], StatsMeter]
) -> None:
    """AWS does not say when an array began to run: its whole life would look like waiting."""
    frozen_aws.register("job")
    frozen_aws.script(definition="job", running=60)
    told_by_a_wait(frozen_aws, new_meter(), arrayProperties={"size": 3})
    statsd.close()
    told = statsd.ours()
    assert told["batch_jobs.ended"] == told["batch_jobs.ended.succeeded"] == [1]
    assert not {"batch_jobs.queued_seconds", "batch_jobs.ran_seconds"} & told.keys()


def test_tags_are_sent_where_the_backend_keeps_them(
    frozen_aws: LocalAws, statsd: Statsd, new_meter: Callable[[], StatsMeter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then no name has a value in it."""
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED", "True")
    frozen_aws.register("job")
    frozen_aws.script(definition="job", running=60)
    told_by_a_wait(frozen_aws, new_meter())
    statsd.close()
    told = statsd.ours()
    assert told["batch_jobs.ended,cause=succeeded,queue=default,definition=job"] == [1]
    assert 60_000 <= told["batch_jobs.ran_seconds,queue=default,definition=job"][0] < 61_000
    assert "batch_jobs.watcher.calls,service=batch" in told
    assert "batch_jobs.ended" not in told


def test_calls_that_were_throttled_are_counted(frozen_aws: LocalAws) -> None:
    """By the service that said so."""
    frozen_aws.register("job")
    frozen_aws.script(definition="job", running=60)
    frozen_aws.fault("DescribeJobs", "throttle", times=3)
    stats = Stats()
    told_by_a_wait(frozen_aws, StatsMeter(stats, has_tags=True))
    throttled = [value for name, value, tags in stats.told if name == "batch_jobs.watcher.throttled" if tags]
    assert sum(throttled) == 3


def test_a_watcher_lags_while_aws_does_not_answer(frozen_aws: LocalAws) -> None:
    """By as much as its jobs are looked at later than they should be."""
    frozen_aws.register("job")
    frozen_aws.script(definition="job", running=60)
    frozen_aws.fault("DescribeJobs", "error", times=10)
    stats = Stats()
    told_by_a_wait(frozen_aws, StatsMeter(stats, has_tags=True))
    lags = [value for name, value, _ in stats.told if name == WATCHER_LAG.name]
    assert max(lags) > 10
    assert lags[-1] == 0


def test_nothing_is_measured_where_airflow_keeps_no_metrics() -> None:
    """There is no meter at all."""
    assert worker_meter() is None
    assert triggerer_meter() is None


def test_a_backend_that_cannot_be_found_hurts_nobody(
    frozen_aws: LocalAws, new_meter: Callable[[], StatsMeter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow goes on without metrics, and so do we."""
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_HOST", "away.invalid")
    frozen_aws.register("job")
    told_by_a_wait(frozen_aws, new_meter())


def test_a_backend_that_hangs_keeps_no_wait_waiting(frozen_aws: LocalAws) -> None:
    """What is measured meanwhile is gathered, up to a bound, and sent once the backend goes on."""
    goes_on = threading.Event()
    stats = Stats(before=goes_on.wait)
    meter = StatsMeter(stats, has_tags=True)
    meter.count(ORPHANS, queue="q")
    meter.send()
    frozen_aws.register("job")
    [job_id] = frozen_aws.submit("job:1")

    async def main() -> None:
        virtual = VirtualAws(frozen_aws)
        async with JobWait(WaitPlan(job_id=job_id), virtual.watcher(meter=meter)) as wait:
            await wait.outcome()

    run(main())
    for _ in range(MOST_TIMES + 1):
        meter.time(QUEUED, 1.0, **TAGS)
    assert stats.told == []
    goes_on.set()
    meter.flush()
    assert (
        sum(name in {"batch_jobs.queued_seconds", "batch_jobs.ran_seconds"} for name, _, _ in stats.told) == MOST_TIMES
    )
    assert ("batch_jobs.ended", 1, {"cause": "succeeded", **TAGS}) in stats.told


def test_what_is_to_be_sent_meanwhile_is_sent_without_being_asked_for_again() -> None:
    """A triggerer that has nothing more to wait for tells of its last job, however slow the backend was before that."""
    goes_on, told = threading.Event(), threading.Event()

    class Told(Stats):
        def incr(self, stat: str, count: int, *, tags: dict[str, Any]) -> None:
            super().incr(stat, count, tags=tags)
            if stat == ENDED.name:
                told.set()

    meter = StatsMeter(Told(before=goes_on.wait), has_tags=True)
    meter.count(ORPHANS, queue="q")
    meter.send()
    meter.count(ENDED, 1, cause="succeeded", **TAGS)
    meter.send()
    goes_on.set()
    assert told.wait(60)


def test_a_process_does_not_wait_for_a_backend_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for what it had not taken before, nor for the last metrics, which it is not asked to take then."""
    monkeypatch.setattr(metrics, "FLUSH_SECONDS", 0.01)
    goes_on = threading.Event()
    stats = Stats(before=goes_on.wait)
    meter = StatsMeter(stats, has_tags=True)
    for _ in range(2):
        meter.count(ORPHANS, queue="q")
        meter.flush()
    assert stats.told == []
    goes_on.set()
    meter.flush()


def test_a_backend_that_raises_is_told_of_once(frozen_aws: LocalAws, caplog: pytest.LogCaptureFixture) -> None:
    """In the process's log, and again when it has worked in between."""
    broken = [True]

    def refuse() -> None:
        if broken[0]:
            raise RuntimeError("no exporter")

    frozen_aws.register("job")
    meter = StatsMeter(Stats(before=refuse), has_tags=True)
    for is_broken in (True, True, False, True):
        broken[0] = is_broken
        told_by_a_wait(frozen_aws, meter)
    assert [record.getMessage() for record in caplog.records if "Metrics" in record.getMessage()] == [
        "Metrics of batch_jobs are lost, and will be until the backend takes them: RuntimeError('no exporter')"
    ] * 2


@given(st.text())
def test_any_text_becomes_a_value_that_every_backend_takes(text: str) -> None:
    """Of a tag, and of a part of a name; what AWS accepts as the name of a queue stays as it is."""
    value = tag_value(text)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,128}", value)
    assert tag_value(value) == value


@pytest.mark.parametrize("has_tags", [True, False])
def test_a_tag_has_a_bounded_number_of_values(*, has_tags: bool) -> None:
    """Even if a DAG's author has a queue for each of a million customers."""
    stats = Stats()
    meter = StatsMeter(stats, has_tags=has_tags)
    for number in range(5 * MOST_VALUES):
        meter.count(ORPHANS, queue=f"customer-{number}")
    meter.flush()
    told = {tags["queue"] if has_tags else name.rpartition(".")[2] for name, _, tags in stats.told}
    assert len(told - {"orphans"}) == MOST_VALUES + 1
    assert "other" in told


def test_every_cause_is_a_value_as_it_is_documented() -> None:
    """In the words of the page for troubleshooting, with underscores."""
    values = {tag_value(cause.value) for cause in Cause}
    assert len(values) == len(Cause)
    assert {value.replace("_", " ") for value in values} == {cause.value for cause in Cause}


def test_counts_are_gathered_and_times_are_not() -> None:
    """A thousand jobs that end together are one count for each cause; of each the time is told."""
    stats = Stats()
    meter = StatsMeter(stats, has_tags=True)
    for _ in range(1000):
        meter.count(ENDED, 1, cause="succeeded", **TAGS)
        meter.time(RAN, 1.0, **TAGS)
        meter.longest(LOG_LAG, 2.0)
    meter.flush()
    names = [name for name, _, _ in stats.told]
    assert [names.count(metric.name) for metric in (ENDED, RAN, LOG_LAG)] == [1, 1000, 1]
    assert stats.told[0][1] == 1000


PROGRAM = """
from airflow.{where}observability import stats
from airflow.{where}observability.metrics import stats_utils
from tests.measured import METRICS, is_time
from airflow_batch_jobs.task.metrics import {meter}

stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=True)
meter = {meter}()
for metric in METRICS:
    tags = {{tag: f"some {{tag}}" for tag in metric.tags}}
    if is_time(metric):
        meter.time(metric, 90.0, **tags)
    else:
        meter.count(metric, 2, **tags)
meter.flush()
"""


@pytest.mark.long
@pytest.mark.parametrize(("where", "meter"), [("sdk.", "worker_meter"), ("", "triggerer_meter")])
def test_opentelemetry_gets_every_metric_with_its_tags(where: str, meter: str) -> None:
    """And without a warning of deprecation; Airflow's histograms are in milliseconds."""
    with otlp_collector() as collector:
        environment = {**os.environ, **collector.settings, "AIRFLOW__METRICS__OTEL_ON": "True"}
        program = PROGRAM.format(where=where, meter=meter)
        command = [sys.executable, "-W", "error:::airflow_batch_jobs", "-c", program]
        ended = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert "eprecat" not in ended.stderr
    told = {metric.name.removeprefix("airflow."): metric for metric in collector.metrics}
    for metric in METRICS:
        found = told[metric.name]
        points = found.exponential_histogram.data_points if is_time(metric) else found.sum.data_points
        assert attributes(points[0]) == {tag: f"some_{tag}" for tag in metric.tags}
        if is_time(metric):
            assert (found.unit, points[0].sum) == ("ms", 90_000)
        else:
            assert points[0].as_int == 2


def test_a_job_that_never_ran_was_queued_to_its_end() -> None:
    """And did not run."""
    stats = Stats()
    meter = StatsMeter(stats, has_tags=True)
    job = Entries().read(Entries().waiting("FAILED", stoppedAt=Entries().single()["stoppedAt"]))
    tell_end(meter, job, Cause.CAPACITY)
    meter.flush()
    tags = {"queue": "science", "definition": "align-reads"}
    assert stats.told == [
        ("batch_jobs.ended", 1, {"cause": "capacity", **tags}),
        ("batch_jobs.queued_seconds", 200, tags),
    ]


def test_a_start_before_the_submit_is_no_time() -> None:
    """AWS's clocks are several, and no backend takes less than nothing."""
    stats = Stats()
    meter = StatsMeter(stats, has_tags=True)
    tell_end(meter, Entries().read(Entries().single(createdAt=Entries().single()["stoppedAt"])), None)
    meter.flush()
    assert [name for name, *_ in stats.told] == [ENDED.name, RAN.name]


def test_only_the_time_of_its_attempts_counts_as_run() -> None:
    """What a job waited between them is neither."""
    stats = Stats()
    meter = StatsMeter(stats, has_tags=True)
    two = [Entries().attempt(1), Entries().attempt(2)]
    tell_end(meter, Entries().read(Entries().single(attempts=two, stoppedAt=two[1]["stoppedAt"])), None)
    meter.flush()
    tags = {"queue": "science", "definition": "align-reads"}
    assert stats.told == [
        (ENDED.name, 1, {"cause": "succeeded", **tags}),
        (RETRIED.name, 1, {"by": "aws", **tags}),
        (QUEUED.name, 12, tags),
        (RAN.name, 2 * 188, tags),
    ]
