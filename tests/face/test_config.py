"""The options of `[batch_jobs]`: installations rely on their names, types and defaults."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowConfigException

from airflow_batch_jobs.batch.watch import WatchOptions
from airflow_batch_jobs.config import OPTIONS, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

#: As version 0.1.0 declares them.
DECLARED = {
    "poll_interval": ("float", "5"),
    "status_calls_per_second": ("float", "10"),
    "log_calls_per_second": ("float", "4"),
    "log_lines_per_second": ("float", "400"),
    "log_settle_seconds": ("float", "5"),
    "log_lookback_seconds": ("float", "120"),
    "log_max_lines": ("integer", "1000000"),
    "finish_in_triggerer": ("boolean", "False"),
    "deployment": ("string", ""),
    "sweep_orphans": ("boolean", "False"),
    "tab": ("boolean", "True"),
    "job_environment": ("boolean", "True"),
}


def test_options_keep_their_names_types_and_defaults() -> None:
    """New ones come after them."""
    declared = {name: (option["type"], option["default"]) for name, option in OPTIONS.items()}
    assert dict(list(declared.items())[: len(DECLARED)]) == DECLARED
    assert all(option["description"] for option in OPTIONS.values())


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, {"poll_interval": 5.0, "log_max_lines": 1_000_000, "finish_in_triggerer": False, "deployment": ""}),
        (
            {"POLL_INTERVAL": "2", "LOG_MAX_LINES": "1e3", "FINISH_IN_TRIGGERER": "true", "DEPLOYMENT": "prod"},
            {"poll_interval": 2.0, "log_max_lines": 1000, "finish_in_triggerer": True, "deployment": "prod"},
        ),
    ],
)
def test_options_are_read_as_what_they_are(
    environment: Mapping[str, str], expected: Mapping[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strings become numbers and flags."""
    for name, value in environment.items():
        monkeypatch.setenv(f"AIRFLOW__BATCH_JOBS__{name}", value)
    settings = Settings.read()
    found = {name: getattr(settings, name) for name in expected}
    assert found == expected
    assert {name: type(value) for name, value in found.items()} == {name: type(each) for name, each in expected.items()}


def test_an_option_of_another_type_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names it."""
    monkeypatch.setenv("AIRFLOW__BATCH_JOBS__POLL_INTERVAL", "soon")
    with pytest.raises(AirflowConfigException, match="poll_interval"):
        Settings.read()


@pytest.mark.parametrize("name", ["poll_interval", "status_calls_per_second", "log_calls_per_second"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
def test_a_number_that_makes_no_sense_is_an_error_that_names_the_option(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """A rate of 0 is not a division by zero in every wait."""
    monkeypatch.setenv(f"AIRFLOW__BATCH_JOBS__{name.upper()}", value)
    with pytest.raises(ValueError, match=rf"\[batch_jobs\] {name} must be a number above 0"):
        Settings.read()


@pytest.mark.parametrize("value", ["1e10", "1e308", "-1", "nan", "inf", "1e-300"])
@pytest.mark.parametrize("name", [each.name for each in fields(Settings) if each.type in {"float", "int"}])
def test_no_number_is_accepted_that_a_sum_could_overflow_with(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Of a span, a rate, a count: the error names the option and what it can be."""
    monkeypatch.setenv(f"AIRFLOW__BATCH_JOBS__{name.upper()}", value)
    with pytest.raises(ValueError, match=rf"^\[batch_jobs\] {name} must be "):
        Settings.read()


@pytest.mark.parametrize("value", ["0.5", "1000.25"])
@pytest.mark.parametrize("name", [each.name for each in fields(Settings) if each.type == "int"])
def test_a_count_is_a_whole_number(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Half a line does not become none."""
    monkeypatch.setenv(f"AIRFLOW__BATCH_JOBS__{name.upper()}", value)
    with pytest.raises(ValueError, match=rf"^\[batch_jobs\] {name} must be a whole number, not {value}$"):
        Settings.read()


def test_a_watcher_gets_its_options_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them; how much of a log may be left over depends on where the watcher works."""
    names = [each.name for each in fields(WatchOptions) if each.name != "unread_bytes"]
    for number, name in enumerate(names, start=1):
        monkeypatch.setenv(f"AIRFLOW__BATCH_JOBS__{name.upper()}", str(number))
    options = Settings.read().watch_options()
    assert [getattr(options, name) for name in names] == list(range(1, len(names) + 1))
    assert options.unread_bytes is None
