"""The options of the `[batch_jobs]` section, read once where they are used.

`OPTIONS` is what the provider info declares, so that `airflow config list` shows each with its default and description.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.numbers import reasonable, shown

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.watch import WatchOptions

SECTION = "batch_jobs"
#: The names of the options' types in Airflow's provider schema.
_TYPES = {"float": "float", "int": "integer", "bool": "boolean", "str": "string"}


def _option(default: Any, description: str, version_added: str = "0.1.0") -> Any:
    return field(default=default, metadata={"description": description, "version_added": version_added})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The `[batch_jobs]` options: each field is one, with its default and the description that Airflow shows."""

    poll_interval: float = _option(5, "Seconds between two looks at a job that a task waits for.")
    status_calls_per_second: float = _option(
        10, "The most DescribeJobs calls per second of one process for one AWS connection; halved on throttling."
    )
    log_calls_per_second: float = _option(
        4,
        "The most FilterLogEvents calls per second of one process for one AWS connection; halved on throttling. "
        "AWS allows 5 per account and region.",
    )
    log_lines_per_second: float = _option(
        400, "The most log lines per second that a triggerer copies; a worker copies the rest at the end."
    )
    log_settle_seconds: float = _option(
        5, "How long, at least, late log events are looked for after a job has ended, in seconds."
    )
    log_lookback_seconds: float = _option(120, "How late a log event may come and still be copied, in seconds.")
    log_max_lines: int = _option(
        1_000_000,
        "The most lines of one log stream that are copied. Beyond that, one line says how many are left out and where "
        "they are, and the last 1,000 follow.",
    )
    finish_in_triggerer: bool = _option(
        False,  # noqa: FBT003 - a default among others
        "End succeeded tasks in the triggerer, without starting another worker. The price: listeners (OpenLineage "
        "among them) do not hear of the end. A task with outlets, a post_execute, a result, or do_xcom_push=False "
        "still ends on a worker, and so does every failure.",
    )
    deployment: str = _option(
        "", "The name of this Airflow among those that submit jobs in one AWS account; give each its own."
    )
    sweep_orphans: bool = _option(
        False,  # noqa: FBT003 - as above
        "Once a minute, let triggerers check the queues of the jobs they wait for, and terminate the jobs of this "
        "deployment whose task instance is final or gone. Needs deployment.",
    )
    tab: bool = _option(
        True,  # noqa: FBT003 - as above
        "Show the tab Batch at task instances and DAG runs in the UI; read by the API server.",
    )

    job_environment: bool = _option(
        True,  # noqa: FBT003 - as above
        "Give jobs the variables AIRFLOW_CTX_… that say whose they are, and TRACEPARENT if Airflow writes traces.",
    )

    def __post_init__(self) -> None:
        """Check each number by its option's name.

        Raises:
            ValueError: A number is not above 0, or beyond all reason, or not whole where lines are counted; what is
                late, settled or counted may be 0.
        """
        for each in _FIELDS:
            if (kind := _NUMBERS.get(each.type)) is not None:
                given = getattr(self, each.name)
                name = f"[{SECTION}] {each.name}"
                number = reasonable(given, name, or_zero=each.name in _OR_ZERO)
                if (read := kind(number)) != number:
                    raise ValueError(f"{name} must be a whole number, not {shown(given)}")
                object.__setattr__(self, each.name, read)

    @classmethod
    def read(cls) -> Settings:
        """Read the options from Airflow's configuration.

        Raises:
            AirflowConfigException: An option is not of its type.
            ValueError: It is a number that makes no sense.
        """
        from airflow.sdk.configuration import conf

        readers = {"float": conf.getfloat, "int": conf.getfloat, "bool": conf.getboolean, "str": conf.get}
        return cls(**{each.name: readers[each.type](SECTION, each.name, fallback=each.default) for each in _FIELDS})

    def watch_options(self) -> WatchOptions:
        """Return the ones that the watcher needs."""
        from airflow_batch_jobs.batch.watch import WatchOptions

        names = {each.name for each in fields(WatchOptions)} & {each.name for each in _FIELDS}
        return WatchOptions(**{name: getattr(self, name) for name in names})


def shows_tab() -> bool:
    """Read whether the UI has the tab; this option alone, so that a mistake in another one does not cost the plugin.

    Raises:
        AirflowConfigException: It is no boolean.
    """
    from airflow.sdk.configuration import conf

    return bool(conf.getboolean(SECTION, "tab", fallback=True))


#: The types of numbers.
_NUMBERS = {"float": float, "int": int}
#: The numbers that may be 0.
_OR_ZERO = frozenset({"log_settle_seconds", "log_lookback_seconds", "log_max_lines"})
_FIELDS: Any = fields(Settings)  # whose types are strings here

#: Each option as Airflow's provider schema wants it.
OPTIONS: dict[str, dict[str, Any]] = {
    each.name: {
        "type": _TYPES[each.type],
        "default": str(each.default),
        "description": each.metadata["description"],
        "version_added": each.metadata["version_added"],
        "example": None,
    }
    for each in _FIELDS
}
