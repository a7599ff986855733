"""How the demo ends when it does not go well; how it goes well is an e2e test."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from airflow_batch_jobs.cli import app
from airflow_batch_jobs.demo import run
from airflow_batch_jobs.demo.acts import DemoError
from airflow_batch_jobs.demo.run_watch import RunWatch
from airflow_batch_jobs.demo.screen import Screen

if TYPE_CHECKING:
    from airflow_batch_jobs.demo.acts import Stage


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (DemoError("the task is skipped"), "error: The demo failed: the task is skipped"),
        (RuntimeError("no local AWS"), "error: The demo failed: RuntimeError: no local AWS"),
    ],
)
def test_a_demo_that_fails_says_why_in_one_line(monkeypatch: pytest.MonkeyPatch, problem: Exception, said: str) -> None:
    """Whatever goes wrong, it is exit code 1 and a reason, never a traceback."""

    def fail(*_: Any) -> Stage:
        raise problem

    monkeypatch.setattr(run, "_start", fail)
    result = CliRunner().invoke(app, ["demo"])

    assert result.exit_code == 1
    assert result.stderr == f"{said}\n"


def test_what_ctrl_c_has_broken_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that the same Ctrl-C has ended does not cause an error of its own."""

    def fail(*_: Any) -> Stage:
        signal.raise_signal(signal.SIGINT)
        raise RuntimeError("it did not come up")

    monkeypatch.setattr(run, "_start", fail)
    result = CliRunner().invoke(app, ["demo"])

    assert result.exit_code == 130
    assert result.stderr == "error: ended by SIGINT\n"


class FailedRun:
    """As much of Airflow's REST API as tells of a run whose only task has failed."""

    def __init__(self, log: list[dict[str, Any]]) -> None:
        self._log = log

    def task_instances(self, *_: str) -> list[dict[str, Any]]:
        """Return the task."""
        return [{"task_id": "survey", "map_index": 0, "state": "failed", "try_number": 1}]

    def log(self, *_: str, **__: int) -> list[dict[str, Any]]:
        """Return its log."""
        return self._log


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ([], "survey[0]: its log has no error; Airflow's own output has:\nOperationalError: database is locked"),
        ([{"level": "error", "event": "Out of luck"}, {"level": "info", "event": "bye"}], "survey[0]: Out of luck"),
        (
            [
                {
                    "level": "error",
                    "event": "Failed",
                    "error_detail": [{"exc_type": "JobFailed", "exc_value": "137"}],
                }
            ],
            "survey[0]: JobFailed: 137",
        ),
    ],
)
def test_a_failed_task_is_told_with_the_error_of_its_log(log: list[dict[str, Any]], said: str) -> None:
    """What is shown of a failed task is what its log says last, or Airflow itself if it could not begin."""
    watch = RunWatch(FailedRun(log), lambda *_, **__: None, Screen(), "source_survey", "run")  # type: ignore[arg-type]  # as much as is asked for

    assert watch.failures(lambda: "OperationalError: database is locked") == [said]
