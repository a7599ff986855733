"""Code in README and the pages runs: Python as it stands there, page by page, its tasks against the local AWS."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from configparser import ConfigParser
from datetime import datetime, timedelta
from functools import cache
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.definitions.xcom_arg import XComArg
from airflow.sdk.execution_time import task_runner
from typer.main import get_command

from airflow_batch_jobs import BatchJobOperator
from airflow_batch_jobs.batch import job
from airflow_batch_jobs.batch.aws.clock import SystemClock
from airflow_batch_jobs.cli import app
from tests.docs.blocks import Block, blocks
from tests.docs.source import ROOT
from tests.docs.test_contributing import tasks as poe_tasks
from tests.face.attempts import Attempts, deferred

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_batch_jobs.local.server import LocalAws

#: The files in folders of pages, by page: a block that is one of them is run as that.
_FILES = {(f"docs/{path.parent.name}.md", path.read_text(encoding="utf-8")) for path in (ROOT / "docs").glob("*/*.py")}
PYTHON = [block for block in blocks("python") if (block.page, block.code) not in _FILES]
SHELL = blocks("sh")
#: Those that stand for a file are run as one by `tests/face/test_first_dag.py`.
PAGES = sorted({block.page for block in PYTHON if not block.title})
#: Those that follow the log of a job, whose last lines are waited for.
FOLLOWING = {"docs/command-line.md"}
#: What is registered in the world that the pages speak of, and the revision that they pin.
DEFINITIONS = {"align-reads": 7, "align-chunk": 3}
RESULT = {"bam": "s3://bucket/NA12878.bam", "mapped_reads": 812_000_000}


class HurriedClock(SystemClock):
    """The machine's clock, but that a pause takes no longer than a job of the local AWS does."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def now(self) -> datetime:
        """Return the wall-clock time, with the pauses."""
        return super().now() + timedelta(seconds=self._skipped)

    def monotonic(self) -> float:
        """Return seconds that never run backwards, with the pauses."""
        return super().monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        """Pause for a moment, and count the rest."""
        moment = min(seconds, 0.2)
        self._skipped += seconds - moment
        super().sleep(moment)


@pytest.fixture
def world(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """The local AWS with what the pages name, for boto3 and as each of their connections."""
    monkeypatch.setattr(job, "SystemClock", HurriedClock)
    for connection in ("AWS_DEFAULT", "AWS_GENOMICS"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{connection}", aws.airflow_connection())
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", aws.region)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", aws.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", aws.secret_key)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", type("Comms", (), {"send": print}), raising=False)
    for name, revision in DEFINITIONS.items():
        for _ in range(revision):
            aws.register(name)
        aws.script(definition=name, running=0.1, lines=[f"batch-job-result: {json.dumps(RESULT)}"])
    batch = aws.clients()("batch")
    for queue in ("spot", "on-demand"):
        batch.create_job_queue(jobQueueName=queue, priority=1, computeEnvironmentOrder=[])
    return aws


def run(page: str, folder: Path) -> Iterator[Any]:
    """Run a page's blocks one after the other, as one program; yield the tasks that they make."""
    names: dict[str, Any] = {"__name__": "page"}
    for block in PYTHON:
        if block.page == page and not block.title:
            if re.search(r"^(with DAG\(|@dag)", block.code, re.MULTILINE):
                path = folder / "block.py"
                path.write_text(block.code, encoding="utf-8")
                bag = DagBag(path, bundle_name="dags-folder")
                assert not bag.import_errors
                yield from (task for dag in bag.dags.values() for task in dag.tasks)
            with DAG("block", schedule=None, params={"sample": "NA12878"}) as dag:
                exec(compile(block.code, str(block), "exec"), names)  # noqa: S102 - that is what is tried
            yield from dag.tasks


def is_whole(task: Any) -> bool:
    """Tell whether a task can be run by itself: it is not mapped, and takes nothing from another one."""
    given = (task.parameters, *getattr(task, "op_args", ())) if isinstance(task, BatchJobOperator) else (None,)
    return isinstance(task, BatchJobOperator) and not any(_takes(each) for each in given)


def _takes(value: Any) -> bool:
    return any(True for _ in XComArg.iter_xcom_references(value))


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.long if page in FOLLOWING else ()) for page in PAGES]
)
def test_python_of_a_page_runs(page: str, world: LocalAws, tmp_path: Path) -> None:
    """From its first block to its last; and what its tasks submit is a job of the revision that they pin."""
    for task in run(page, tmp_path):
        if is_whole(task):
            attempts = Attempts()
            context = {**attempts.context(), "params": task.dag.params.dump()}
            task.render_template_fields(context)
            submitted = world.job(deferred(task, context).job_id if task.wait else task.execute(context))
            name, _, revision = submitted["jobDefinition"].rpartition("/")[2].partition(":")
            assert DEFINITIONS[name] == int(revision)


def test_pages_are_run_that_have_tasks() -> None:
    """Each page that shows the operator."""
    assert {"README.md", "docs/tasks.md", "docs/retries.md", "docs/results.md", "docs/arrays.md"} <= set(PAGES)


@pytest.mark.parametrize("language", ["json", "ini"])
def test_data_can_be_read(language: str) -> None:
    """By what reads such files."""
    for block in blocks(language):
        if language == "json":
            json.loads(block.code)
        else:
            ConfigParser().read_string(block.code)


@cache
def commands() -> dict[str, Any]:
    """Return the commands of the command line; that without a name is the command line itself."""
    group: Any = get_command(app)
    return {"": group, **group.commands}


def calls(block: Block) -> Iterator[list[str]]:
    """Yield the words of each simple command of a block."""
    for line in block.code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            call = [*takewhile(lambda word: word not in {"|", "&&", ";"}, words)]
            words = words[len(call) + 1 :]
            yield call[2:] if call[:2] == ["uv", "run"] else call


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_shell_parses(block: Block) -> None:
    """Bash reads it without running it."""
    subprocess.run(["bash", "-n"], input=block.code, text=True, check=True)


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_and_options_exist(block: Block) -> None:
    """Those of the command line, of poe, and files of this repository."""
    for program, *words in filter(None, calls(block)):
        if program == "airflow-batch-jobs":
            name, *rest = words if words[0] in commands() else ["", *words]
            command = commands()[name]
            known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
            assert {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)} <= known | {"--help"}
            assert name or not [word for word in rest if not word.startswith("-")], f"no such command: {rest}"
        elif program == "poe":
            assert words[0] in poe_tasks()
        elif program == "pytest" or (program == "python" and words[0].endswith(".py")):
            assert (ROOT / words[0]).exists()


def test_that_an_unknown_option_would_be_found() -> None:
    """And an unknown command, in a pipe as well."""
    for code in ("airflow-batch-jobs list --colour", "true | airflow-batch-jobs jobs", "uv run poe fly"):
        with pytest.raises(AssertionError):
            test_commands_and_options_exist(Block("page", 1, "sh", "", code))
