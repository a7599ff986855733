"""The options of the `[batch_jobs]` section, read once where they are used.

`OPTIONS` is what the provider info declares, so that `airflow config list` shows each with its default and description.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.watch import WatchOptions

SECTION = "batch_jobs"


def _option(type_: str, default: Any, description: str) -> dict[str, Any]:
    return {
        "type": type_,
        "default": str(default),
        "description": description,
        "version_added": "0.1.0",
        "example": None,
    }


#: Each option as Airflow's provider schema wants it.
OPTIONS: dict[str, dict[str, Any]] = {
    "poll_interval": _option("float", 5, "Seconds between two looks at a job that is waited for."),
    "status_calls_per_second": _option(
        "float", 10, "The most DescribeJobs calls a second of one process for one AWS connection; halved on throttling."
    ),
    "log_calls_per_second": _option(
        "float",
        4,
        "The most FilterLogEvents calls a second of one process for one AWS connection; halved on throttling. "
        "AWS allows 5 per account and region.",
    ),
    "log_lines_per_second": _option(
        "float", 400, "The most log lines a second that a triggerer copies; the rest is copied by a worker at the end."
    ),
    "log_settle_seconds": _option(
        "float", 5, "The least time for which late log events are looked for after a job has ended, in seconds."
    ),
    "log_lookback_seconds": _option("float", 120, "How late a log event may come and still be copied, in seconds."),
    "log_max_lines": _option("integer", 1_000_000, "The most lines of one log stream that are copied."),
    "finish_in_triggerer": _option(
        "boolean", "False", "End succeeded tasks in the triggerer, without another worker start, where that can be."
    ),
    "deployment": _option(
        "string", "", "The name of this Airflow among those that submit jobs in the same AWS account."
    ),
    "sweep_orphans": _option(
        "boolean",
        "False",
        "Let triggerers look once a minute into the queues of the jobs they wait for, and terminate the jobs of this "
        "deployment whose task instance is final or gone. Needs deployment.",
    ),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The `[batch_jobs]` options; names and units as in `OPTIONS`."""

    poll_interval: float
    status_calls_per_second: float
    log_calls_per_second: float
    log_lines_per_second: float
    log_settle_seconds: float
    log_lookback_seconds: float
    log_max_lines: int
    finish_in_triggerer: bool
    deployment: str
    sweep_orphans: bool

    @classmethod
    def read(cls) -> Settings:
        """Read the options from Airflow's configuration.

        Raises:
            AirflowConfigException: An option is not of its type.
        """
        from airflow.sdk.configuration import conf

        def number(name: str) -> float:
            return float(conf.getfloat(SECTION, name, fallback=float(OPTIONS[name]["default"])))

        return cls(
            poll_interval=number("poll_interval"),
            status_calls_per_second=number("status_calls_per_second"),
            log_calls_per_second=number("log_calls_per_second"),
            log_lines_per_second=number("log_lines_per_second"),
            log_settle_seconds=number("log_settle_seconds"),
            log_lookback_seconds=number("log_lookback_seconds"),
            log_max_lines=int(number("log_max_lines")),
            finish_in_triggerer=bool(conf.getboolean(SECTION, "finish_in_triggerer", fallback=False)),
            deployment=conf.get(SECTION, "deployment", fallback=""),
            sweep_orphans=bool(conf.getboolean(SECTION, "sweep_orphans", fallback=False)),
        )

    def watch_options(self) -> WatchOptions:
        """Return what the watcher needs of them."""
        from airflow_batch_jobs.batch.watch import WatchOptions

        return WatchOptions(
            status_calls_per_second=self.status_calls_per_second,
            log_calls_per_second=self.log_calls_per_second,
            log_lines_per_second=self.log_lines_per_second,
            log_settle_seconds=self.log_settle_seconds,
            log_lookback_seconds=self.log_lookback_seconds,
        )
