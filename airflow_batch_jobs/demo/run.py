"""The demo from beginning to end: start everything, play both acts, and leave nothing behind."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.definition_files import register_folder
from airflow_batch_jobs.demo.acts import DemoError, Stage, run_pipeline, stop_long_job
from airflow_batch_jobs.demo.examples import example_dags, example_definitions
from airflow_batch_jobs.demo.interrupt import InterruptedByUserError, Interrupts
from airflow_batch_jobs.demo.screen import Screen
from airflow_batch_jobs.demo.standalone import AirflowStartError, StandaloneAirflow
from airflow_batch_jobs.local import start_process

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DemoError", "run_demo"]

#: The DAGs that the acts run.
_DAGS = frozenset({"source_survey", "long_job"})
#: Otherwise unpausing a DAG would also start the run of its last interval.
_SETTINGS = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False"}
#: How much of Airflow's own output is shown when it does not start.
_OUTPUT_LINES = 5


def run_demo(*, keep: bool) -> None:
    """Start a local AWS and an Airflow, play both acts, end everything.

    Args:
        keep: Whether to leave everything running after the acts, until the user ends it.

    Raises:
        DemoError: Something did not go as it should.
        InterruptedByUserError: The user ended the demo before its end.
    """
    screen = Screen()
    with Interrupts() as interrupts, ExitStack() as stack:
        try:
            stage = _start(screen, interrupts, stack)
            run_pipeline(stage)
            stop_long_job(stage)
            if keep:
                _stay(stage)
        except (DemoError, InterruptedByUserError):
            raise
        except Exception as error:
            # Something that the same Ctrl-C ended may have failed before the signal was checked for here.
            interrupts.check()
            raise DemoError(f"{type(error).__name__}: {error}") from error
        finally:
            screen.title("Ending everything")
    screen.step("No process and no temporary folder is left.")


def _start(screen: Screen, interrupts: Interrupts, stack: ExitStack) -> Stage:
    """Start everything; it ends with the stack, in reverse order."""
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="airflow-batch-jobs-demo-")))
    temporary = home / "tmp"
    temporary.mkdir()
    stack.enter_context(_environment(TMPDIR=str(temporary), PATH=_path()))

    screen.title("A local AWS and an Airflow of its own")
    aws = stack.enter_context(start_process())
    screen.step(f"The local AWS (Batch, CloudWatch Logs, STS) is at {aws.endpoint_url}")
    screen.step(f"Registered {', '.join(register_folder(aws.clients(), example_definitions()))}")
    airflow = StandaloneAirflow(
        home / "airflow",
        example_dags(),
        {"AIRFLOW_CONN_AWS_DEFAULT": aws.airflow_connection(), **_SETTINGS},
        on_wait=interrupts.check,
    )
    with screen.busy("Starting Airflow"):
        try:
            stack.enter_context(airflow)
        except AirflowStartError as error:
            raise DemoError(f"{error}, which ends with: {_tail(airflow.output)}") from error
        screen.step(f"Airflow is healthy at {airflow.url}")
        while not airflow.api.dag_ids() >= _DAGS:
            if errors := airflow.api.import_errors():
                raise DemoError(f"Airflow cannot read the example DAGs: {errors[0]}")
            interrupts.pause(0.5)
    screen.step("Airflow has read the example DAGs")
    return Stage(
        api=airflow.api,
        clients=aws.clients(),
        screen=screen,
        interrupts=interrupts,
        output=str(temporary / "source-survey"),
        url=airflow.url,
        airflow_errors=airflow.errors,
    )


def _stay(stage: Stage) -> None:
    """Leave everything running until the user ends it."""
    stage.screen.title(f"Airflow's UI is open at {stage.url} (no password); Ctrl-C ends everything")
    try:
        stage.interrupts.pause(float("inf"))
    except InterruptedByUserError:
        return


def _tail(output: Path) -> str:
    """Return the end of Airflow's own output, whose file will be deleted."""
    return "\n".join(output.read_text(errors="replace").splitlines()[-_OUTPUT_LINES:])


def _path() -> str:
    """Return PATH with this Python's folder first, so that the jobs find a `python3`."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Set environment variables for what is started within the context."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
