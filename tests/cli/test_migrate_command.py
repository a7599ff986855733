"""migrate: the command, the files that it is given, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from airflow_batch_jobs.cli.migrate import migrate
from airflow_batch_jobs.migration import MARK
from tests.cli.migrating import IMPORT, OURS, call, our_call, run

if TYPE_CHECKING:
    from pathlib import Path


def test_without_write_the_change_is_only_shown(dag_file: Path) -> None:
    """A diff that patch can read is all there is on stdout, and the file is as it was."""
    code = call(job_definition='"a"')
    dag_file.write_text(code.rstrip("\n"))
    result = run(dag_file)

    assert result.stdout == (
        f"--- {dag_file}\n+++ {dag_file}\n@@ -1,2 +1,3 @@\n"
        f"-{IMPORT}"
        f"-{code.splitlines()[1]}\n\\ No newline at end of file\n"
        f"+{OURS}"
        f'+{MARK}pin the revision that is to run, as in "a:7"\n'
        '+BatchJobOperator(task_id="t", job_name="j", definition="a", job_queue="q")\n\\ No newline at end of file\n'
    )
    assert result.stderr == f'{dag_file}:2: pin the revision that is to run, as in "a:7"\n'
    assert result.exit_code == 1
    assert dag_file.read_text() == code.rstrip("\n")


@pytest.mark.parametrize(
    "code",
    [
        b"x = 1",
        b"\xef\xbb\xbfif x:\r\n\ty=2;\r",
        b"print 'an old file'\n",
        b"from . import BatchOperator\nfrom airflow.providers.amazon.aws.operators.s3 import X\nBatchOperator(X)\n",
        b"from airflow.providers.amazon.aws.operators.s3 import S3CopyObjectOperator\n",
        b"from airflow.providers.amazon.aws.operators.batch import BatchCreateComputeEnvironmentOperator\n",
        b"from airflow.providers.amazon.aws.sensors.batch import BatchJobQueueSensor\ndefault_args={'tags': 1}\n",
        b"class BatchOperator: ...\nBatchOperator(job_definition='a') # airflow.providers.amazon.aws.operators.batch\n",
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
    ],
)
def test_other_files_stay_as_they_are(dag_file: Path, code: bytes) -> None:
    """A file without the two classes is not touched, byte for byte, and nothing is said of it."""
    dag_file.write_bytes(code)
    result = run(dag_file, "--write")

    assert dag_file.read_bytes() == code
    assert (result.exit_code, result.output) == (0, "")


def test_line_ends_and_encoding_stay(dag_file: Path) -> None:
    """A file is written as it was read."""
    code = "# -*- coding: latin-1 -*-\n" + call(job_definition='"é"') + '# "é"\n'
    dag_file.write_bytes(code.replace("\n", "\r\n").encode("latin-1"))
    run(dag_file, "--write")
    after = dag_file.read_bytes()

    assert after.count(b"\r\n") == after.count(b"\n") == 5
    assert after.endswith('# "é"\r\n'.encode("latin-1"))


@pytest.mark.parametrize("pin", ["align", "align=latest", "align=0", "=7"])
def test_a_malformed_pin_is_refused(dag_file: Path, pin: str) -> None:
    """Before any file is touched."""
    dag_file.write_text(call())
    result = run(dag_file, "--write", "--pin", pin)

    assert result.exit_code == 2
    assert dag_file.read_text() == call()


def test_a_folder_means_its_python_files(tmp_path: Path) -> None:
    """All of them, also those in folders below."""
    for name in ("a.py", "b/c.py", "d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(call())
    result = run(tmp_path, "--write")

    assert result.stderr == f"{tmp_path / 'a.py'}: rewritten\n{tmp_path / 'b/c.py'}: rewritten\n"
    assert (tmp_path / "b/c.py").read_text() == our_call()
    assert (tmp_path / "d.txt").read_text() == call()


def test_a_file_that_is_no_python_is_named(tmp_path: Path) -> None:
    """Its line is told, the other files are rewritten all the same, and the exit code is that of a wrong input."""
    (tmp_path / "a.py").write_text(f"{IMPORT}if:\n")
    (tmp_path / "b.py").write_text(call())
    (tmp_path / "c.py").write_bytes(b"# -*- coding: utf-8 -*-\n# \xff\n")
    (tmp_path / "d.py").write_bytes(b"# -*- coding: no-such -*-\n")
    result = run(tmp_path, "--write")

    assert result.exit_code == 2
    assert f"error: {tmp_path / 'c.py'}: " in result.stderr
    assert f"error: {tmp_path / 'd.py'}: " in result.stderr
    assert f"{tmp_path / 'a.py'}:2: " in result.stderr
    assert (tmp_path / "b.py").read_text() == our_call()


def test_the_help_says_how_and_what_the_exit_codes_mean() -> None:
    """The help has an example, the mark to look for, and what a script can rely on."""
    from airflow_batch_jobs.cli import app as whole

    app = typer.Typer(rich_markup_mode=whole.rich_markup_mode)
    app.command()(migrate)
    text = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())

    assert "airflow-batch-jobs migrate dags/nightly.py" in text
    assert "TODO(airflow-batch-jobs)" in text
    assert "Exits with 0 if nothing is left for you, with 1 if something is, and with 2" in text
