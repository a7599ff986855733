"""migrate: the command, the files that it is given, and what it says."""

from __future__ import annotations

import json
import os
import re
import zipfile
from pathlib import Path

import libcst
import pytest
import typer
from typer.testing import CliRunner

from airflow_batch_jobs.cli.migrate import migrate
from airflow_batch_jobs.migration import MARK
from tests.cli.migrating import IMPORT, MODULE, OURS, call, our_call, run

GREEN = '"grün"'


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
    assert result.stderr == (
        f'{dag_file}:2: pin the revision that is to run, as in "a:7"\n'
        "1 use of BatchOperator or BatchSensor in 1 file: 1 can be rewritten, with --write, 0 left.\n"
        f"For you to do, as the comments say: 1 comment in {dag_file}\n"
        f"To pin what has no revision, complete: airflow-batch-jobs migrate {dag_file} --pin a=REVISION --write\n"
    )
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
    """A file without the two classes is not touched, byte for byte, and the summary says that there was nothing."""
    dag_file.write_bytes(code)
    result = run(dag_file, "--write")

    assert dag_file.read_bytes() == code
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.splitlines()[-1] == "No use of BatchOperator or BatchSensor in 1 file."


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

    assert result.stderr == (
        f"{tmp_path / 'a.py'}: rewritten\n{tmp_path / 'b/c.py'}: rewritten\n"
        "2 uses of BatchOperator or BatchSensor in 2 files: 2 rewritten, 0 left.\n"
    )
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
    assert f"error: {tmp_path / 'a.py'}:2: " in result.stderr
    assert "3 files or folders failed, as said above." in result.stderr
    assert (tmp_path / "b.py").read_text() == our_call()


def test_the_help_says_how_and_what_the_exit_codes_mean() -> None:
    """The help has an example, the mark to look for, and what a script can rely on."""
    from airflow_batch_jobs.cli import app as whole

    app = typer.Typer(rich_markup_mode=whole.rich_markup_mode)
    app.command()(migrate)
    text = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())

    assert "airflow-batch-jobs migrate dags/nightly.py" in text
    assert "TODO(airflow-batch-jobs)" in text
    assert "0 nothing is left for you; with --check: and no file would be rewritten" in text
    assert "1 something is left for you; with --check: or a file would be rewritten" in text
    assert "2 a file could not be read, understood or written; the others are done" in text


def test_the_summary_says_what_is_left_and_where(tmp_path: Path) -> None:
    """How many uses, what became of them, which files to open, and the command to complete."""
    left = f"{IMPORT}class Mine(BatchOperator): ...\nBatchOperator(**x)\n"
    (tmp_path / "left.py").write_text(left)
    (tmp_path / "open.py").write_text(call(job_definition='"sort"') + call(job_definition='"my-align"'))
    (tmp_path / "fine.py").write_text(call(job_definition='"count"'))
    result = run(tmp_path, "--write", "--pin", "count=2", "--pin", "conut=3")

    pins = "--pin count=2 --pin my-align=REVISION --pin sort=REVISION"

    assert result.stderr.splitlines()[-5:] == [
        "5 uses of BatchOperator or BatchSensor in 3 files: 3 rewritten, 2 left.",
        f"Left at {tmp_path / 'left.py'}:2, {tmp_path / 'left.py'}:4",
        f"For you to do, as the comments say: 4 comments in {tmp_path / 'left.py'} (2), {tmp_path / 'open.py'} (2)",
        f"To pin what has no revision, complete: airflow-batch-jobs migrate {tmp_path} {pins} --write",
        "--pin conut=3 changes nothing: no definition without a revision has this name",
    ]


def test_check_tells_a_pipeline_whether_there_is_anything_to_do(dag_file: Path) -> None:
    """It writes nothing, shows no diff, and fails as long as a run would rewrite something or leave it to a person."""
    dag_file.write_text(call())
    pending = run(dag_file, "--check")
    untouched = dag_file.read_text()
    run(dag_file, "--write")
    done = run(dag_file, "--check")
    dag_file.write_text(call(job_definition='"a"'))
    run(dag_file, "--write")
    left = run(dag_file, "--check")

    assert (pending.exit_code, pending.stdout, untouched) == (1, "", call())
    assert f"{dag_file}: would be rewritten\n" in pending.stderr
    assert (done.exit_code, left.exit_code) == (0, 1)
    assert run(dag_file, "--check", "--write").exit_code == 2


def test_a_name_has_one_revision(dag_file: Path) -> None:
    """Two --pin that contradict each other are refused before any file is touched."""
    dag_file.write_text(call(job_definition='"a"'))
    result = run(dag_file, "--write", "--pin", "a=1", "--pin", "a=2")

    assert (result.exit_code, dag_file.read_text()) == (2, call(job_definition='"a"'))


def test_folders_that_are_nobodys_are_passed_over(tmp_path: Path) -> None:
    """They are named in the summary, and looked into if they are what was asked for."""
    folders = (".git", "venv", "env", "node_modules", "build", "a/__pycache__", ".tox/x")
    for folder in (*folders, "a/mine"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "dag.py").write_text(call())
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    result = run(tmp_path, "--write")

    assert "1 use of BatchOperator or BatchSensor in 1 file: 1 rewritten" in result.stderr
    assert (tmp_path / "a/mine/dag.py").read_text() == our_call()
    passed_over = result.stderr.splitlines()[-1]
    assert passed_over.startswith("Passed over: ")
    assert {str(tmp_path / each.replace("/x", "")) for each in folders} == set(passed_over[13:].split(", "))
    assert "in 1 file: 1 can be rewritten" in run(tmp_path / "build").stderr


def test_hidden_files_are_passed_over_unless_they_are_named(tmp_path: Path) -> None:
    """Those of an editor's lock and of macOS are no Python, and not looked into."""
    (tmp_path / ".#dag.py").symlink_to("me@host.1:2")
    (tmp_path / "._dag.py").write_bytes(b"\0\5\26\7\0\377")
    (tmp_path / ".dag.py").write_text(call())
    (tmp_path / "dag.py").write_text(call())
    result = run(tmp_path, "--write")

    assert result.exit_code == 0
    assert [(tmp_path / name).read_text() for name in ("dag.py", ".dag.py")] == [our_call(), call()]
    assert {*result.stderr.splitlines()[-1][13:].split(", ")} == {
        str(tmp_path / name) for name in (".#dag.py", "._dag.py", ".dag.py")
    }
    assert "in 1 file: 1 rewritten" in run(tmp_path / ".dag.py", "--write").stderr


def test_a_text_with_lines_like_our_comments_stays(dag_file: Path) -> None:
    """Only what is a comment is a comment of ours: nothing of a text is left out, and nothing of it is listed."""
    text = f'x = """\n{MARK}y\n{MARK}y\n"""\n'
    dag_file.write_text(call(job_definition='"a"') + text)
    result = run(dag_file, "--write")

    assert dag_file.read_text().endswith(text)
    assert "1 comment in" in result.stderr


def test_old_line_ends_hide_no_comment(dag_file: Path) -> None:
    """In a file with the line ends of the old Mac, what is left is listed with its line."""
    dag_file.write_bytes(call(job_definition='"a"').replace("\n", "\r").encode())
    results = [run(dag_file, "--write"), run(dag_file, "--check")]
    assert dag_file.read_bytes().endswith(b")\r")

    assert [each.exit_code for each in results] == [1, 1]
    assert all(f"{dag_file}:2: pin the revision" in each.stderr for each in results)
    assert dag_file.read_bytes().count(b"\n") == 0


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("dags.yaml", f"a:\n  operator: {MODULE}.BatchOperator\n", 2),
        ("dag.ipynb", json.dumps({"cells": [{"source": [IMPORT, "BatchOperator(task_id='t')\n"]}]}), 1),
        ("dag.ipynb", json.dumps({"cells": [{"source": "x = 1\nBatchSensor(task_id='t')\n"}]}), 1),
        ("dag.py.j2", f"# {{{{ name }}}}\n\n{IMPORT}", 3),
    ],
)
def test_a_file_that_is_no_python_but_names_a_class_is_named(
    tmp_path: Path, name: str, content: str, line: int
) -> None:
    """Notebooks, DAGs in YAML and templates are for a person, and stay as they are, in a folder or by name."""
    (file := tmp_path / name).write_text(content)
    (tmp_path / "other.yaml").write_text("operator: BatchOperators\n")

    for result in (run(tmp_path, "--write"), run(file, "--write"), run(tmp_path, "--check")):
        assert re.match(rf"{re.escape(str(file))}:{line}: it names \S+; only Python files", result.stderr)
        assert "Other files that name these classes, as said above: 1.\n" in result.stderr
        assert result.exit_code == 1
    assert file.read_text() == content


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe, a folder or a link to nowhere may have any name."""
    os.mkfifo(tmp_path / "pipe.yaml")
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.toml").symlink_to("nowhere")
    result = run(tmp_path)

    assert result.stderr == "No use of BatchOperator or BatchSensor in 0 files.\n"
    assert result.exit_code == 0


def test_an_archive_of_dags_is_named(tmp_path: Path) -> None:
    """Airflow reads DAGs from zip files, too; one that is none, or is damaged, is no matter."""
    with zipfile.ZipFile(tmp_path / "dags.zip", "w") as archive:
        archive.writestr("other.py", "x = 1\n")
        archive.writestr("deep/dag.py", call())
        archive.writestr("readme.txt", IMPORT)
    (tmp_path / "no.zip").write_text(IMPORT)
    result = run(tmp_path)

    assert f"{tmp_path / 'dags.zip'}: deep/dag.py in it names {MODULE}; only Python files" in result.stderr
    assert "as said above: 1.\n" in result.stderr
    assert result.exit_code == 1


def test_a_form_feed_before_code_is_not_lost(dag_file: Path) -> None:
    """It would be lost: the file is left as it is, unless there is nothing to rewrite in it."""
    dag_file.write_text(f"x = 1\n\f{call()}")
    result = run(dag_file, "--write")
    assert "libcst does not keep its layout: write a form feed on a line of its own" in result.stderr
    assert result.exit_code == 2
    assert dag_file.read_text() == f"x = 1\n\f{call()}"

    dag_file.write_text(f"x = 1\n\f\n{call()}")
    assert run(dag_file, "--write").exit_code == 0
    assert dag_file.read_text() == f"x = 1\n\f\n{our_call()}"

    dag_file.write_text("x = 1\n\fclass BatchOperator: ...\n")
    assert run(dag_file, "--check").exit_code == 0


def test_links_are_followed_once(tmp_path: Path) -> None:
    """A link to a folder above does not end, and a file that has two names is rewritten under one."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "dag.py").write_text(call())
    (tmp_path / "dags" / "shared").symlink_to("../shared")
    (tmp_path / "dags" / "again.py").symlink_to("../shared/dag.py")
    (tmp_path / "dags" / "up").symlink_to("..")
    result = run(tmp_path / "dags", "--write")

    assert result.exit_code == 0
    assert "1 use of BatchOperator or BatchSensor in 1 file: 1 rewritten" in result.stderr
    assert (tmp_path / "shared" / "dag.py").read_text() == our_call()


def test_what_cannot_be_read_is_named_and_the_others_are_rewritten(tmp_path: Path) -> None:
    """A link to itself, a broken link, a pipe, a huge file, one that is nested too deeply, one without an end."""
    (tmp_path / "circle.py").symlink_to("circle.py")
    (tmp_path / "broken.py").symlink_to("nowhere.py")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "huge.py").write_text(f"{IMPORT}{'x = 1  # one more line' * 50}\n" + "# and so on\n" * 90_000)
    (tmp_path / "deep.py").write_text(f"{IMPORT}x = {'-' * 50_000}1\n")
    (tmp_path / "zero.py").write_bytes(f"{IMPORT}x = '\0'\n".encode())
    (tmp_path / "utf16.py").write_bytes(IMPORT.encode("utf-16"))
    (tmp_path / "utf7.py").write_bytes(b"# coding: utf-7\nx = '+AGE-'\n")
    (tmp_path / "hex.py").write_bytes(b"# coding: hex\n")
    (tmp_path / "dag.py").write_text(call())
    names = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    result = run(tmp_path, "--write")

    assert result.exit_code == 2
    for name in ("circle", "broken", "pipe", "huge", "deep", "zero", "utf16", "utf7", "hex"):
        assert re.search(rf"^error: {tmp_path}/{name}\.py(:\d+)?: ", result.stderr, re.MULTILINE), name
    assert "9 files or folders failed, as said above." in result.stderr
    assert (tmp_path / "dag.py").read_text() == our_call()
    assert all((tmp_path / name).read_bytes() == content for name, content in names.items() if name != "dag.py")


def test_files_that_are_named_are_read_on_their_own(tmp_path: Path) -> None:
    """One that is not there, or leads to itself, keeps none of the others from being rewritten."""
    (tmp_path / "circle.py").symlink_to("circle.py")
    (tmp_path / "no-suffix").write_text(call())
    result = run(tmp_path / "missing.py", tmp_path / "circle.py", tmp_path / "no-suffix", "--write")

    assert result.exit_code == 2
    assert f"error: {tmp_path / 'missing.py'}: No such file or directory" in result.stderr
    assert f"error: {tmp_path / 'circle.py'}: " in result.stderr
    assert (tmp_path / "no-suffix").read_text() == our_call()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on with the next one."""
    (tmp_path / "a.py").write_text(call())
    (tmp_path / "b.py").write_text(call())
    write_bytes = Path.write_bytes

    def refuse(path: Path, content: bytes) -> int:
        if path.name == "a.py":
            raise PermissionError(13, "Permission denied")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", refuse)
    result = run(tmp_path, "--write")

    assert result.exit_code == 2
    assert f"error: {tmp_path / 'a.py'}: Permission denied" in result.stderr
    assert [(tmp_path / name).read_text() for name in ("a.py", "b.py")] == [call(), our_call()]


def test_a_fault_of_ours_ends_one_file_and_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named as what it is, and the file stays."""
    (tmp_path / "a.py").write_text(f"{call()}# a fault\n")
    (tmp_path / "b.py").write_text(call())
    parse = libcst.parse_module

    def fail(code: str) -> libcst.Module:
        if "fault" in code:
            raise AttributeError("no such thing")
        return parse(code)

    monkeypatch.setattr(libcst, "parse_module", fail)
    result = run(tmp_path, "--write")

    assert result.exit_code == 2
    assert "a.py: a fault of airflow-batch-jobs, please report it: AttributeError: no such thing" in result.stderr
    assert [(tmp_path / name).read_text() for name in ("a.py", "b.py")] == [f"{call()}# a fault\n", our_call()]


@pytest.mark.parametrize(
    ("encoding", "start"), [("utf-8", b"\xef\xbb\xbf"), ("cp1252", b"# coding: cp1252\n"), ("utf-8", b"")]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_is_written_as_it_was_read(dag_file: Path, encoding: str, start: bytes, end: str) -> None:
    """A byte order mark, an encoding that is declared and the ends of lines stay, and so does every other byte."""
    before, after = (f"{each(job_name=GREEN)}# größer\n" for each in (call, our_call))
    dag_file.write_bytes(start + before.replace("\n", end).encode(encoding))
    diff = run(dag_file).stdout_bytes
    run(dag_file, "--write")

    assert dag_file.read_bytes() == start + after.replace("\n", end).encode(encoding)
    assert "größer".encode(encoding) in diff
