"""What the command line shows: results on stdout, everything else on stderr; plain text if that is not a terminal."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from airflow_batch_jobs.batch.aws import Trouble, trouble
from airflow_batch_jobs.batch.diagnosis import diagnose
from airflow_batch_jobs.batch.logs.event import printable
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.summary import ending, further_attempt, in_words, summarize
from airflow_batch_jobs.batch.waiting import waiting_for, why_waiting
from airflow_batch_jobs.cli.times import moment
from airflow_batch_jobs.demo.interrupt import InterruptedByUserError
from airflow_batch_jobs.errors import (
    AirflowUnansweredError,
    AwsError,
    BatchJobsError,
    CallOrderError,
    ConfigurationError,
    DefinitionError,
    JobNotFoundError,
    NoDeploymentError,
    NotPinnedError,
    RequestError,
    SubmitUnansweredError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs import LogEvent
    from airflow_batch_jobs.local.access import Access

#: The exit codes, as `airflow-batch-jobs --help` explains them.
FAILED, USAGE, NO_ANSWER = 1, 2, 3
#: What shells add to the number of the signal that ended a program.
_SIGNALLED = 128

_USAGE_ERRORS = (ConfigurationError, DefinitionError, RequestError, NoDeploymentError)
_NO_ANSWER_ERRORS = (AirflowUnansweredError, SubmitUnansweredError)


@contextmanager
def errors_told() -> Iterator[None]:
    """Print an error of this package in one line, and exit with its exit code.

    Raises:
        typer.Exit: There was one.
    """
    try:
        yield
    except BatchJobsError as error:
        complain(in_shell_words(error))
        raise typer.Exit(_exit_code(error)) from error
    except InterruptedByUserError as error:
        complain(str(error))
        raise typer.Exit(error.exit_code) from error


def complain(text: str) -> None:
    """Print an error in one line on stderr, all of it: a carriage return in it is no redrawing."""
    words = printable(text.replace("\r", " ")).split()
    _stderr().print(Text.assemble(("error: ", "bold red"), " ".join(words)), soft_wrap=True)


def note(text: str, *, has_only_words: bool = False) -> None:
    """Print a remark on stderr.

    Args:
        text: The remark.
        has_only_words: Whether there is nothing in it to be copied, so that a narrow terminal may have it on two lines.
    """
    stderr = _stderr()
    stderr.print(Text(printable(text), "dim"), soft_wrap=not (has_only_words and stderr.is_terminal))


def note_standing(detail: JobDetail, parts: Sequence[JobDetail] = ()) -> None:
    """Print on stderr where a job is in its life, and why.

    Args:
        detail: The job.
        parts: Its failed children or nodes, as far as they are known.
    """
    note(_standing(detail, parts))


def say(text: str) -> None:
    """Print a result on stdout, as it is.

    Raises:
        typer.Exit: Nobody reads it any more; or it cannot be written: then it is on stderr.
    """
    try:
        _write(f"{text}\n")
    except BrokenPipeError as error:
        _give_up_stdout()
        raise typer.Exit(_SIGNALLED + signal.SIGPIPE) from error
    except OSError as error:
        _give_up_stdout()
        complain(f"stdout cannot be written ({error.strerror}). It would have been: {text}")
        raise typer.Exit(NO_ANSWER) from error


def say_line(stream: LogStream, event: LogEvent, *, has_time: bool = False) -> None:
    """Print a job's line on stdout, after its time where that is wanted, and its stream's label where it has one."""
    time = f"{moment(event.time)} " if has_time else ""
    say(f"{time}[{stream.label}] {event.text()}" if stream.label else f"{time}{event.text()}")


def say_access(access: Access, registered: Sequence[str], *, is_key_known: bool = False) -> None:
    """Print on stdout how to reach a local AWS: the lines that begin with `export` are for a shell.

    Args:
        access: How to reach it.
        registered: What is registered there.
        is_key_known: Whether to print nothing with the access key in it.
    """
    if registered:
        say(f"Registered {', '.join(registered)}")
    say(f"The local AWS (Batch, CloudWatch Logs, STS) is at {access.endpoint_url}; Ctrl-C ends it and its jobs.")
    if is_key_known:
        return
    say("\nFor Airflow:")
    say(f"export AIRFLOW_CONN_AWS_DEFAULT={shlex.quote(access.airflow_connection())}")
    say("\nFor airflow-batch-jobs, boto3 and the AWS CLI:")
    say(f"export AWS_ENDPOINT_URL={access.endpoint_url} AWS_DEFAULT_REGION={access.region}")
    say(f"export AWS_ACCESS_KEY_ID={access.access_key} AWS_SECRET_ACCESS_KEY={access.secret_key}")


class JobProgress:
    """Shows on stderr what a job is waiting for: beside a spinner on a terminal, otherwise one line per change.

    Args:
        has_lines: Whether the job's lines are printed meanwhile, which leave no place for a spinner.
    """

    def __init__(self, *, has_lines: bool = False) -> None:
        self._has_spinner = _stderr().is_terminal and not has_lines
        self._has_to_say_where = has_lines
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        self._progress = Progress(*columns, console=_stderr(), transient=True)
        self._task = self._progress.add_task("Waiting for AWS")
        self._shown = ""

    def __enter__(self) -> Self:
        if self._has_spinner:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._has_spinner:
            self._progress.stop()

    def show(self, detail: JobDetail) -> None:
        """Show where the job is, until it has ended: how it ended is for whoever waited to say.

        At first, says where lines are that cannot be printed.
        """
        if self._has_to_say_where and (elsewhere := detail.logs_elsewhere()):
            note(elsewhere)
        self._has_to_say_where = False
        if not detail.is_final:
            self._show(_standing(detail))

    def show_problem(self, problem: str) -> None:
        """Show that AWS does not answer, or, with an empty problem, that it does again."""
        self._show(problem or "AWS answers again.")

    def _show(self, text: str) -> None:
        if self._has_spinner:
            self._progress.update(self._task, description=text)
        elif text != self._shown:
            self._shown = text
            note(text)


def say_end(detail: JobDetail, parts: Sequence[JobDetail] = ()) -> None:
    """Print on stderr how a job ended.

    Args:
        detail: The job.
        parts: Its failed children or nodes, as far as they are known.

    Raises:
        typer.Exit: The job has failed.
    """
    if detail.status is JobStatus.FAILED:
        complain(_standing(detail, parts))
        raise typer.Exit(FAILED)
    note(_standing(detail))


def story(detail: JobDetail, parts: Sequence[JobDetail] = ()) -> str:
    """Tell a job's story: why it failed, how it went, or why it is waiting."""
    if detail.status is JobStatus.FAILED:
        return str(diagnose(detail, parts))
    if detail.is_final:
        return summarize(detail)
    counts = ", ".join(f"{count} {status.value}" for status, count in detail.children.items())
    known = (counts, reason(detail), detail.logs_elsewhere())
    now = "; ".join(filter(None, known)) or f"for {in_words(age_seconds(detail))}"
    return ": ".join(filter(None, (_attempts(detail), now)))


def _standing(detail: JobDetail, parts: Sequence[JobDetail] = ()) -> str:
    """Say where a job is in its life, and why."""
    if detail.status is JobStatus.FAILED:
        return f"Job {detail.job_id} failed: {diagnose(detail, parts)}"
    if detail.is_final:
        return f"Job {detail.job_id} {summarize(detail)}"
    known = ": ".join(filter(None, (_attempts(detail), reason(detail))))
    return f"Job {detail.job_id} is {detail.status.value}{': ' if known else ''}{known}"


def _attempts(detail: JobDetail) -> str:
    """Say which attempt a job is in and how the one before ended, if it is not the first."""
    attempt = further_attempt(detail)
    return f"{attempt} ({ending(detail.attempts[-1])})" if attempt else ""


def reason(detail: JobDetail) -> str:
    """Say why a job that has not ended is in its state, as far as is known."""
    waiting = why_waiting(detail, age_seconds(detail)) if detail.status.is_waiting else None
    if waiting is None and detail.status is JobStatus.PENDING and detail.depends_on:
        return waiting_for(detail)
    return str(waiting) if waiting else detail.status_reason


def since(detail: JobDetail) -> datetime | None:
    """Return when a job ended, began to run, or was submitted: the last of these that it has reached."""
    if detail.is_final:
        return detail.stopped_at or detail.started_at or detail.created_at
    return detail.started_at if detail.status is JobStatus.RUNNING else detail.created_at


def age_seconds(detail: JobDetail) -> float:
    """Return how long ago that was."""
    began = since(detail)
    return max(0.0, (datetime.now(tz=UTC) - began).total_seconds()) if began else 0.0


def in_shell_words(error: BatchJobsError) -> str:
    """Return an error's message, without what only Python can do about it."""
    if isinstance(error, NotPinnedError):
        return f'Job definition {error.name!r} has no revision. Pin one: write "{error.name}:7".'
    if isinstance(error, JobNotFoundError):
        return (
            f"AWS Batch has no job {error.job_id} in this account and region. It forgets finished jobs after a few "
            "days; otherwise, check --profile and --region."
        )
    if isinstance(error, CallOrderError):
        return str(error).replace(": wait() first.", "; wait until it has ended.")
    return str(error)


def _exit_code(error: BatchJobsError) -> int:
    if isinstance(error, _USAGE_ERRORS):
        return USAGE
    kind = trouble(error) if isinstance(error, AwsError) else None
    is_unanswered = isinstance(error, _NO_ANSWER_ERRORS) or (kind is not None and kind is not Trouble.REFUSED)
    return NO_ANSWER if is_unanswered else FAILED


def _write(text: str) -> None:
    """Write to stdout.

    Raises:
        OSError: It cannot be written, or is closed.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    sys.stdout.write(text)
    sys.stdout.flush()


def _give_up_stdout() -> None:
    """Let the interpreter's last flush of stdout succeed: it would complain, and change the exit code."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stderr() -> Console:
    """Return a console on the current stderr."""
    return Console(stderr=True, highlight=False)
