"""botocore's Config as a DAG's author gives it, in keyword arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.definition.values import is_late

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Usual options, each with its type. botocore, which takes long to load, is asked about any other.
_USUAL: Mapping[str, Any] = {
    "connect_timeout": (int, float),
    "read_timeout": (int, float),
    "max_pool_connections": int,
    "region_name": str,
    "user_agent": str,
    "user_agent_extra": str,
    "tcp_keepalive": bool,
}
_USUAL_RETRIES = frozenset({"max_attempts", "total_max_attempts"})
_USUAL_MODES = frozenset({"legacy", "standard", "adaptive"})


def check_config(config: Mapping[str, Any]) -> None:
    """Check that botocore knows the options and takes their values, as far as these are known already.

    Raises:
        ValueError: It does not; the message names the option.
    """
    unusual = {name: None if is_late(value) else value for name, value in config.items() if not _is_usual(name, value)}
    if not unusual:
        return
    from botocore.config import Config

    for name, value in unusual.items():
        try:
            Config(**{name: value})
        except Exception as error:
            raise ValueError(f"botocore_config: botocore does not take {name!r}. {error}") from error


def _is_usual(name: str, value: Any) -> bool:
    if name == "retries" and isinstance(value, dict):
        numbers = {key: number for key, number in value.items() if key != "mode"}
        return value.get("mode", "standard") in _USUAL_MODES and all(
            key in _USUAL_RETRIES and type(number) is int and number > 0 for key, number in numbers.items()
        )
    return name in _USUAL and (is_late(value) or isinstance(value, _USUAL[name]))
