"""docs/develop.md: what it shows are the files beside it, and they run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from airflow_batch_jobs.batch.definition_files import read_folder
from tests.docs.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = ROOT / "docs" / "develop"
PAGE = (ROOT / "docs" / "develop.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
FILES = ["nightly_alignment.py", "definitions/align-reads.7.json", "test_alignment.py"]
#: What a template has only in a run with a logical date.
DATED = re.compile(
    r"\{\{[^}]*\b(ds|ts|ds_nodash|ts_nodash\w*|logical_date|data_interval_\w+|execution_date|prev_\w+)\b"
)
LAST_LINE = "NA12878, part 3 of 3, to s3://refs/hg38.fa with 4 threads"


def snippets(page: str, language: str) -> list[str]:
    """Return the blocks of a language in a page."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", FILES)
def test_the_page_shows_each_file_as_it_is(name: str) -> None:
    """Behind its name."""
    language = {"py": "python", "json": "json"}[name.rpartition(".")[2]]
    assert f"`{name}`\n\n```{language}\n{(FOLDER / name).read_text(encoding='utf-8')}```\n" in PAGE


def test_all_files_are_shown() -> None:
    """None is left over."""
    shown = {FOLDER / name for name in FILES}
    assert {path for path in FOLDER.rglob("*") if path.is_file() and "__pycache__" not in path.parts} == shown


def test_the_readme_begins_with_the_same_example() -> None:
    """Whoever copies it from there has a DAG that runs."""
    assert snippets(README, "python")[0] == (FOLDER / FILES[0]).read_text(encoding="utf-8")


@pytest.mark.long
def test_its_tests_pass(tmp_path: Path) -> None:
    """In a folder of their own, with nothing but what the page shows."""
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", FILES[2]]
    done = subprocess.run(
        command, cwd=tmp_path, env=_environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert "2 passed" in done.stdout, done.stdout


@pytest.mark.e2e
def test_the_three_commands_run_the_job(tmp_path: Path) -> None:
    """As the page has them, on another port, in a folder with the files and an Airflow that knows nothing yet."""
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    local, test, *_ = snippets(PAGE, "sh")
    environment = _environment(tmp_path)
    with _running(local.replace("4566", "0"), tmp_path, environment) as exported:
        script = f"set -eu\n{exported}{test}"
        done = subprocess.run(
            ["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr[-2000:]
    assert LAST_LINE in done.stdout + done.stderr
    assert (tmp_path / ".local-aws-key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]), ids=lambda page: page.stem
)
def test_no_snippet_needs_a_date(page: Path) -> None:
    """A run that somebody triggers may have none."""
    for snippet in snippets(page.read_text(encoding="utf-8"), "python"):
        assert not DATED.search(snippet), snippet


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("dags/*.py"), *ROOT.glob("docs/*/*.py")]), ids=lambda path: path.stem
)
def test_no_example_needs_a_date(path: Path) -> None:
    """As above."""
    assert not DATED.search(path.read_text(encoding="utf-8"))


def test_dates_are_recognized() -> None:
    """So that the tests above would find one."""
    assert all(DATED.search(text) for text in ("{{ ds }}", "{{ logical_date.year }}", "x-{{ macros.ds_add(ds, 1) }}"))
    assert not DATED.search("{{ run_id }} {{ params.ds_name }} ds")


def test_the_revision_is_the_one_that_the_class_pins() -> None:
    """And the placeholders are its parameters."""
    [file] = read_folder(FOLDER / "definitions")
    dag = (FOLDER / FILES[0]).read_text(encoding="utf-8")
    assert f'name="{file.name}", revision={file.revision}' in dag


def _environment(home: Path) -> dict[str, str]:
    """Return the environment of a shell that has this package's commands, and no Airflow of its own yet."""
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_", "PYTEST"))}
    return {**own, "PATH": path, "HOME": str(home), "AIRFLOW_HOME": str(home / "airflow")}


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@contextmanager
def _running(command: str, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run a command that prints what to export, give that, and end it."""
    with subprocess.Popen(
        ["sh", "-c", f"exec {command}"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            yield next(line for line in process.stdout if line.startswith("export AIRFLOW_CONN_AWS_DEFAULT="))
        finally:
            process.terminate()
