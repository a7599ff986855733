"""`airflow-batch-jobs`: try the package out, and work with jobs on AWS Batch from a shell.

Imports neither Airflow nor boto3 before a command needs them.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_batch_jobs.cli import console
from airflow_batch_jobs.cli.compose_env import compose_env
from airflow_batch_jobs.cli.jobs import logs, result, status, submit, terminate
from airflow_batch_jobs.cli.list_jobs import list_jobs
from airflow_batch_jobs.cli.migrate import migrate
from airflow_batch_jobs.cli.orphans import orphans
from airflow_batch_jobs.cli.queue import queue
from airflow_batch_jobs.cli.secret_files import kept_key

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(*, wanted: bool) -> None:
    if wanted:
        from airflow_batch_jobs import __version__

        console.say(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    """Run pinned AWS Batch jobs, from Airflow or from here.

    Three ways to start:

        airflow-batch-jobs demo        see the package work, without an AWS account
        airflow-batch-jobs local       a local AWS to develop DAGs against
        airflow-batch-jobs submit ...  start a job; then status, logs, result, terminate

    What there is already: `list` shows jobs, `queue` what waits.

    With --install-completion, the shell completes commands, options, queues and definitions. So that bash takes
    `align:7` for one word, add to ~/.bashrc:

        COMP_WORDBREAKS=${COMP_WORDBREAKS//:}

    Results go to stdout, everything else to stderr. Exit codes:

        0  success
        1  the job has failed, or AWS refused what was asked for
        2  the command line or a definition is wrong
        3  AWS or Airflow not reached, access denied, or no clear answer
        130, 143  ended by Ctrl-C, by SIGTERM
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave Airflow's UI open until Ctrl-C.")] = False,
) -> None:
    """See it work: a local AWS, an Airflow of its own, a pinned pipeline and a stop.

    Takes about a minute and a half; needs neither an AWS account nor Docker. Everything happens on 127.0.0.1 and in a
    temporary folder, and all of it is gone afterwards.

        airflow-batch-jobs demo
        airflow-batch-jobs demo --keep     look at it in the UI afterwards

    Exit codes:

        0  all of it was seen to work
        1  something was not
        130, 143  ended by Ctrl-C, by SIGTERM
    """
    from airflow_batch_jobs.demo.run import DemoError, run_demo

    with console.errors_told():
        try:
            run_demo(keep=keep)
        except DemoError as error:
            console.complain(f"The demo failed: {error}")
            raise typer.Exit(console.FAILED) from error


@app.command()
def local(
    host: Annotated[
        str, typer.Option(help="The address to listen on. Whoever can reach it and has the key can run commands here.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 for any that is free.")] = 0,
    slots: Annotated[int, typer.Option(min=1, help="How many jobs run at once.")] = 4,
    definitions: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            help="Register the job definitions of a folder: files called NAME.REVISION.json.",
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="Keep the access key in a file: the one that is there, or a new one.",
        ),
    ] = None,
) -> None:
    """Run a local AWS (Batch, CloudWatch Logs, STS) until Ctrl-C.

    It runs the commands of jobs as processes on this machine, in a clean environment; `python3` and the like are
    looked up on the PATH of this command. Run the lines that it prints in each shell that is to use it. Its access
    key is random, or the one in LOCAL_AWS_ACCESS_KEY, which is not printed. With a port and a file for the key, the
    lines of an earlier start are still good.

        airflow-batch-jobs local --definitions dags/definitions
        airflow-batch-jobs local --port 4566 --key-file ~/.local-aws-key

    Exit codes:

        0  ended by Ctrl-C or SIGTERM
        1  a definition cannot be registered
        2  the command line or a definition is wrong, or the port is taken
    """
    from airflow_batch_jobs.batch.definition_files import register_folder
    from airflow_batch_jobs.demo.interrupt import InterruptedByUserError, Interrupts
    from airflow_batch_jobs.local import LocalAws

    # A job's `python3` is the one on the PATH; if there is none, the one that runs this.
    os.environ["PATH"] = os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)))
    known = os.environ.get("LOCAL_AWS_ACCESS_KEY", "")
    if known and key_file:
        raise typer.BadParameter("LOCAL_AWS_ACCESS_KEY is set as well: use only one of them.", param_hint="--key-file")
    key = kept_key(key_file, "--key-file") if key_file else known
    aws = LocalAws(host=host, port=port, slots=slots, access_key=key)
    with console.errors_told(), _port_errors_told(port), Interrupts() as stop, aws:
        registered = register_folder(aws.clients(), definitions) if definitions else []
        console.say_access(aws.access, registered, is_key_known=bool(known))
        with suppress(InterruptedByUserError):
            stop.pause(float("inf"))


app.command("list")(list_jobs)
app.command("compose-env")(compose_env)
for command in (submit, status, logs, result, terminate, queue, orphans, migrate):
    app.command()(command)


@contextmanager
def _port_errors_told(port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
            raise
        raise typer.BadParameter(f"port {port} cannot be used: {error.strerror}", param_hint="--port") from error
