"""migrate: DAG files of the Amazon provider's BatchOperator, rewritten."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from textwrap import dedent, indent
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from airflow_batch_jobs.migrate_command import migrate
from airflow_batch_jobs.migration import MARK
from airflow_batch_jobs.migrations.counterparts import COUNTERPARTS, Counterpart

if TYPE_CHECKING:
    from collections.abc import Callable

    Rewrite = Callable[..., str]

GUIDE = Path(__file__).parents[2] / "docs" / "from-batch-operator.md"
OPERATOR, SENSOR = COUNTERPARTS.values()
IMPORT = "from airflow.providers.amazon.aws.operators.batch import BatchOperator\n"
OURS = "from airflow_batch_jobs import BatchJobOperator\n"
SENSORS = "airflow.providers.amazon.aws.sensors.batch"
SENSOR_IMPORT = f"from {SENSORS} import BatchSensor\n"
OUR_SENSOR = "from airflow_batch_jobs import BatchJobSensor\n"


def run(*arguments: object) -> Any:
    """Run the command."""
    app = typer.Typer()
    app.command()(migrate)
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def dag_file(tmp_path: Path) -> Path:
    """A DAG file that is still to be written."""
    return tmp_path / "dag.py"


@pytest.fixture
def rewrite(dag_file: Path) -> Rewrite:
    """Rewrite a DAG file's code; a second run must find nothing to change, and say the same."""

    def rewritten(code: str, *options: str) -> str:
        dag_file.write_bytes(code.encode())
        first = run(dag_file, "--write", *options)
        after = dag_file.read_bytes().decode()
        second = run(dag_file, "--write", *options)
        assert dag_file.read_bytes().decode() == after
        assert second.exit_code == first.exit_code == (1 if MARK in after else 0)
        assert second.stderr == first.stderr.replace(f"{dag_file}: rewritten\n", "")
        return after

    return rewritten


def airflow(code: str, tmp_path: Path, *arguments: str) -> Any:
    """Run code with an Airflow whose home is a temporary folder; return the JSON on the last line that it prints."""
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    command = [sys.executable, "-W", "ignore", "-c", dedent(code), *arguments]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


def marked(code: str) -> list[str]:
    """Return what is left for a person."""
    return [line.partition(MARK)[2] for line in code.splitlines() if MARK in line]


def call(**arguments: str) -> str:
    """Return a file with one call, whose arguments are given as code over those that BatchOperator must have."""
    given = {"task_id": '"t"', "job_name": '"j"', "job_definition": '"a:1"', "job_queue": '"q"', **arguments}
    return f"{IMPORT}BatchOperator({', '.join(f'{name}={value}' for name, value in given.items())})\n"


def our_call(**arguments: str) -> str:
    """Return what `call` is to become, with our arguments behind the others."""
    given = {"task_id": '"t"', "job_name": '"j"', "definition": '"a:1"', "job_queue": '"q"', **arguments}
    return f"{OURS}BatchJobOperator({', '.join(f'{name}={value}' for name, value in given.items())})\n"


BEFORE = '''\
"""Aligns what came in the night."""

from airflow.providers.amazon.aws.operators.batch import BatchOperator  # waits as well
from airflow.providers.amazon.aws.sensors.batch import (
    BatchSensor,  # only waits
)
from airflow.sdk import DAG

with DAG("nightly", schedule=None):
    # The reads of one night.
    align = BatchOperator(
        task_id="align",
        job_name="align",
        job_definition="align-reads:7",  # tested in May
        job_queue="default",
        container_overrides={"environment": [{"name": "NIGHT", "value": "{{ ds }}"}]},
        # As many as there are lanes.
        array_properties={
            "size": 8,  # lanes
        },
        parameters={"sample": "{{ ds }}"},
        # Hosts come and go.
        retry_strategy={"attempts": 3},  # spot
        tags={"team": "genomes"},
        submit_job_timeout=3600,
        wait_for_completion=False,
        awslogs_enabled=True,
        poll_interval=20,
    )

    wait = BatchSensor(task_id="wait", job_id=align.output, poke_interval=20, mode="reschedule")

    count = BatchOperator.partial(
        task_id="count", job_queue="default", awslogs_enabled=False, share_identifier="lab"
    ).expand(job_definition=["count:1", "count:2"])

    align >> wait >> count
'''
AFTER = '''\
"""Aligns what came in the night."""

from airflow_batch_jobs import BatchJobOperator  # waits as well
from airflow_batch_jobs import (
    BatchJobSensor,  # only waits
)
from airflow.sdk import DAG

with DAG("nightly", schedule=None):
    # The reads of one night.
    align = BatchJobOperator(
        task_id="align",
        job_name="align",
        definition="align-reads:7",  # tested in May
        job_queue="default",
        container_overrides={"environment": [{"name": "NIGHT", "value": "{{ ds }}"}]},
        # As many as there are lanes.
        submit_options={
            "arrayProperties": {
                "size": 8,  # lanes
            },
            # Hosts come and go.
            "retryStrategy": {"attempts": 3},  # spot
            "tags": {"team": "genomes"},
            "timeout": {"attemptDurationSeconds": 3600},
        },
        parameters={"sample": "{{ ds }}"},
        wait=False,
        copy_logs=True,
        poll_interval=20,
    )

    wait = BatchJobSensor(task_id="wait", job_id=align.output, poll_interval=20)

    count = BatchJobOperator.partial(
        task_id="count", job_queue="default", copy_logs=False, submit_options={"shareIdentifier": "lab"}
    ).expand(definition=["count:1", "count:2"])

    align >> wait >> count
'''


def test_a_dag_is_rewritten_with_its_comments_and_its_layout(rewrite: Rewrite) -> None:
    """What is mechanical is done, and nothing else is touched."""
    assert rewrite(BEFORE) == AFTER


def test_a_rewritten_dag_is_parsed_with_our_operator(rewrite: Rewrite, dag_file: Path, tmp_path: Path) -> None:
    """The rewritten file imports, and its tasks are ours with everything that was said of them."""
    rewrite(BEFORE)
    code = """
        import json, runpy, sys
        found = runpy.run_path(sys.argv[1])
        names = ("definition", "parameters", "submit_options", "wait", "copy_logs", "poll_interval", "deferrable")
        tasks = {
            name: {"class": type(found[name]).__name__} | {each: getattr(found[name], each, None) for each in names}
            for name in ("align", "wait")
        }
        mapped = found["count"]
        count = {"class": mapped.operator_class.__name__, **mapped.partial_kwargs, **mapped.expand_input.value}
        tasks["count"] = {key: count[key] for key in ("class", "submit_options", "copy_logs", "definition")}
        print(json.dumps(tasks, default=str))
    """
    tasks = airflow(code, tmp_path, str(dag_file))

    assert tasks["align"] == {
        "class": "BatchJobOperator",
        "definition": "align-reads:7",
        "parameters": {"sample": "{{ ds }}"},
        "submit_options": {
            "arrayProperties": {"size": 8},
            "retryStrategy": {"attempts": 3},
            "tags": {"team": "genomes"},
            "timeout": {"attemptDurationSeconds": 3600},
        },
        "wait": False,
        "copy_logs": True,
        "poll_interval": 20,
        "deferrable": True,
    }
    assert (tasks["wait"]["class"], tasks["wait"]["poll_interval"]) == ("BatchJobSensor", 20)
    assert tasks["count"] == {
        "class": "BatchJobOperator",
        "submit_options": {"shareIdentifier": "lab"},
        "copy_logs": False,
        "definition": ["count:1", "count:2"],
    }


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


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ({"wait_for_completion": "True"}, {"wait": "True"}),
        ({"wait_for_completion": "WAIT"}, {"wait": "WAIT"}),
        ({"awslogs_enabled": "True"}, {"copy_logs": "True"}),
        ({"deferrable": "True"}, {"deferrable": "True"}),
        ({"poll_interval": "5"}, {"poll_interval": "5"}),
        ({"parameters": "{}"}, {"parameters": "{}"}),
        ({"container_overrides": "{}"}, {"container_overrides": "{}"}),
        ({"aws_conn_id": "None"}, {"aws_conn_id": "None"}),
        ({"region_name": "'r'"}, {"region_name": "'r'"}),
        ({"verify": "False"}, {"verify": "False"}),
        ({"botocore_config": "{}"}, {"botocore_config": "{}"}),
        ({"retries": "3"}, {"retries": "3"}),
        ({"tags": "A if A != None else B"}, {"submit_options": '{"tags": A if A != None else B}'}),
        ({"array_properties": "A"}, {"submit_options": '{"arrayProperties": A}'}),
        ({"ecs_properties_override": "A"}, {"submit_options": '{"ecsPropertiesOverride": A}'}),
        ({"eks_properties_override": "A"}, {"submit_options": '{"eksPropertiesOverride": A}'}),
        ({"node_overrides": "A"}, {"submit_options": '{"nodeOverrides": A}'}),
        ({"share_identifier": "A"}, {"submit_options": '{"shareIdentifier": A}'}),
        ({"scheduling_priority_override": "1"}, {"submit_options": '{"schedulingPriorityOverride": 1}'}),
        ({"retry_strategy": "A"}, {"submit_options": '{"retryStrategy": A}'}),
        ({"tags": "A"}, {"submit_options": '{"tags": A}'}),
        ({"submit_job_timeout": "A"}, {"submit_options": '{"timeout": {"attemptDurationSeconds": A}}'}),
        ({"tags": "A", "node_overrides": "B"}, {"submit_options": '{"tags": A, "nodeOverrides": B}'}),
        ({"tags": "None", "submit_job_timeout": "0"}, {}),
        ({"job_id": "None", "waiters": "None", "max_retries": "None", "region": "None"}, {}),
        ({"status_retries": "3", "awslogs_fetch_interval": "timedelta(seconds=3)"}, {}),
    ],
)
def test_each_parameter_goes_where_it_belongs(rewrite: Rewrite, given: dict[str, str], ours: dict[str, str]) -> None:
    """What has a counterpart gets its name; what had no effect, or none that is missed, goes; no word is left over."""
    assert rewrite(call(**given)) == our_call(**ours)


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ("poke_interval=5", "poll_interval=5"),
        ("deferrable=False", "deferrable=False"),
        ('deferrable=False, mode="reschedule"', ""),
        ('mode="reschedule", deferrable=True', "deferrable=True"),
        ('mode="poke", timeout=60', 'mode="poke", timeout=60'),
        ("max_retries=None", ""),
        (
            "aws_conn_id=A, region_name=B, verify=C, botocore_config=D",
            "aws_conn_id=A, region_name=B, verify=C, botocore_config=D",
        ),
    ],
)
def test_a_sensor_is_rewritten_likewise(rewrite: Rewrite, given: str, ours: str) -> None:
    """What asked for the worker slot back is what a deferrable sensor does."""
    before = f"{SENSOR_IMPORT}BatchSensor(task_id='t', job_id=x.output, {given})\n"
    after = f"{OUR_SENSOR}BatchJobSensor(task_id='t', job_id=x.output, {ours})\n"
    assert rewrite(before) == after.replace(", )", ", )" if ours else ")").replace("output, )", "output)")


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"job_definition": '"a"'}, 'pin the revision that is to run, as in "a:7"'),
        (
            {"job_definition": '"arn:aws:batch:eu-west-1:123456789012:job-definition/a"'},
            'as in "arn:aws:batch:eu-west-1:123456789012:job-definition/a:7"',
        ),
        ({"job_definition": '"a:latest"'}, "'a:latest' is no definition with a revision"),
        ({"job_definition": '"a" "b"'}, 'pin the revision that is to run, as in "ab:7"'),
        ({"job_definition": "NAME"}, "see that NAME has a revision"),
        ({"job_definition": '"{{ params.definition }}"'}, "is rendered to a text with a revision"),
        ({"job_definition": 'f"{PREFIX}-align"'}, "ends in a revision"),
        ({"job_id": "upstream.output"}, "write it with >>"),
        ({"waiters": "W"}, "a custom waiter has no counterpart"),
        ({"max_retries": "10"}, "Bound it by execution_timeout="),
        ({"region": '"eu-west-1"'}, "write region_name="),
        ({"wait_for_completion": '"{{ x }}"'}, "wait= takes no template"),
        ({"awslogs_enabled": '"{{ x }}"'}, "copy_logs= takes no template"),
        ({"wait_for_completion": "False", "deferrable": "True"}, "wait=False does not wait"),
        ({"array_properties": '{"size": 2} if x else None'}, "array_properties: a field that is None is refused"),
        ({"container_overrides": '{"command": None}'}, "container_overrides: a field that is None is refused"),
        ({"parameters": '"{{ x }}"'}, "parameters: a text that is rendered to a mapping is refused"),
        ({"tags": '{"airflow-dag-id": "x"}'}, "the tag 'airflow-dag-id' begins with airflow-"),
    ],
)
def test_what_a_person_has_to_decide_is_marked(
    rewrite: Rewrite, dag_file: Path, given: dict[str, str], word: str
) -> None:
    """The call is rewritten, and a comment above it says what is left; the output says where."""
    after = rewrite(call(**given))
    [finding] = marked(after)

    assert word in finding
    assert f"{dag_file}:2: {finding}\n" in run(dag_file).stderr
    assert after.splitlines()[2].startswith("BatchJobOperator(")
    assert len(f"{MARK}{finding}") <= 140


@pytest.mark.parametrize(
    "definition",
    ['"a:1"', "'a:12'", '"a:{{ params.revision }}"', 'f"{PREFIX}-align:7"', 'f"align:{REVISION}"', "PINNED"],
)
def test_a_definition_with_a_revision_is_no_matter(rewrite: Rewrite, definition: str) -> None:
    """Where a revision can be seen to follow, nothing is left for a person."""
    assert not marked(rewrite('PINNED = "a:1"\n' + call(job_definition=definition)))


def test_a_name_for_an_unpinned_definition_is_found(rewrite: Rewrite) -> None:
    """A constant of the file is looked up."""
    assert marked(rewrite('ALIGN = "align"\n' + call(job_definition="ALIGN"))) == [
        'pin ALIGN to the revision that is to run, as in "align:7"'
    ]


def test_pin_writes_the_revision(rewrite: Rewrite) -> None:
    """A revision given once is written wherever the name stands as a definition, and nowhere else."""
    mapped = 'BatchOperator.partial(task_id="a").expand(job_definition=["a", "b:2"])\n'
    after = rewrite(call(job_name='"a"', job_definition='"a"') + mapped, "--pin", "a=7")

    assert after == our_call(job_name='"a"', definition='"a:7"') + (
        'BatchJobOperator.partial(task_id="a").expand(definition=["a:7", "b:2"])\n'
    )


def test_pin_leaves_a_constant_to_a_person(rewrite: Rewrite) -> None:
    """A name may stand for the definition here and for something else there."""
    after = rewrite('ALIGN = "align"\n' + call(job_definition="ALIGN", job_name="ALIGN"), "--pin", "align=7")

    assert marked(after) == ['pin ALIGN to the revision that is to run, as in "align:7"']


@pytest.mark.parametrize("pin", ["align", "align=latest", "align=0", "=7"])
def test_a_malformed_pin_is_refused(dag_file: Path, pin: str) -> None:
    """Before any file is touched."""
    dag_file.write_text(call())
    result = run(dag_file, "--write", "--pin", pin)

    assert result.exit_code == 2
    assert dag_file.read_text() == call()


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("BatchOperator(task_id='t', **COMMON)", "not all arguments are written in the call by their names"),
        ("BatchOperator('t', job_queue='q')", "not all arguments are written in the call by their names"),
        (
            "BatchOperator.partial(task_id='t').expand_kwargs(x)",
            "not all arguments are written in the call by their names",
        ),
        ("BatchOperator.partial(task_id='t').expand(tags=x)", "it maps tags; map submit_options with tags in it"),
        (
            "BatchOperator.partial(task_id='t').expand(max_retries=x)",
            "it maps max_retries, which BatchJobOperator does not take",
        ),
        ("part = BatchOperator.partial(task_id='t')", "partial and expand are not written in one expression"),
        ("class Mine(BatchOperator): ...", "a subclass of it"),
        ("make(BatchOperator)", "a use of it that is no call"),
        ("isinstance(x, BatchOperator)", "a use of it that is no call"),
    ],
)
def test_what_cannot_be_rewritten_is_left_and_marked(rewrite: Rewrite, statement: str, why: str) -> None:
    """It goes on with the provider's class, and the comment says why it was left."""
    assert rewrite(f"{IMPORT}{statement}\n") == f"{IMPORT}{MARK}BatchOperator was left here: {why}\n{statement}\n"


def test_a_mark_is_as_deep_as_what_it_is_about(rewrite: Rewrite) -> None:
    """Also above the first statement of a block, and below the comments that stand there."""
    statement = "BatchOperator(**x)\n"
    code = f"{IMPORT}with DAG('d'):  # a\n    # b\n    {statement}    if x:\n        {statement}"
    mark = f"{MARK}BatchOperator was left here: not all arguments are written in the call by their names\n"

    assert rewrite(code) == (
        f"{IMPORT}with DAG('d'):  # a\n    # b\n    {mark}    {statement}    if x:\n        {mark}        {statement}"
    )


def test_a_file_may_go_on_with_both(rewrite: Rewrite) -> None:
    """Where one use is left and another rewritten, both classes are imported, also under another name."""
    imported = IMPORT.replace("BatchOperator", "BatchOperator as Op, BatchClient")
    uses = "Op(task_id='a')\nOp(**x)\n"

    assert rewrite(imported + uses) == (
        f"{imported}{OURS}BatchJobOperator(task_id='a')\n"
        f"{MARK}BatchOperator was left here: not all arguments are written in the call by their names\nOp(**x)\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{IMPORT.rstrip()} as Op\nOp(task_id='t')\n", f"{OURS.rstrip()} as Op\nOp(task_id='t')\n"),
        (
            f"{IMPORT.rstrip()}, BatchX\nBatchX, BatchOperator(task_id='t')\n",
            f"{IMPORT.replace('BatchOperator', 'BatchX')}{OURS}BatchX, BatchJobOperator(task_id='t')\n",
        ),
        (
            "from airflow.providers.amazon.aws.operators import batch\nbatch.BatchOperator(task_id='t')\n",
            f"{OURS}BatchJobOperator(task_id='t')\n",
        ),
        (
            "from airflow.providers.amazon.aws.operators import batch, s3\nbatch.BatchOperator(task_id='t')\n",
            "from airflow.providers.amazon.aws.operators import s3\n" + OURS + "BatchJobOperator(task_id='t')\n",
        ),
        (
            "import airflow.providers.amazon.aws.operators.batch as b\nb.BatchOperator(task_id='t')\nb.X()\n",
            f"import airflow.providers.amazon.aws.operators.batch as b\n{OURS}BatchJobOperator(task_id='t')\nb.X()\n",
        ),
        (
            "import airflow.providers.amazon.aws.operators.batch as b\nb.BatchOperator(task_id='t')\n",
            f"{OURS}BatchJobOperator(task_id='t')\n",
        ),
        (
            f"import {SENSORS}\n{SENSORS}.BatchSensor()\n",
            f"import {SENSORS}\n{OUR_SENSOR}BatchJobSensor()\n",
        ),
        (
            f"def f() -> None:\n    {IMPORT}    BatchOperator(task_id='t')\n",
            f"def f() -> None:\n    {OURS}    BatchJobOperator(task_id='t')\n",
        ),
        (
            f"def f(): {IMPORT.rstrip()}, X; BatchOperator(task_id='t')\n",
            f"def f(): {IMPORT.rstrip().replace('BatchOperator', 'X')}; BatchJobOperator(task_id='t'); {OURS}",
        ),
        (
            f"{IMPORT}def f(x: list[BatchOperator]) -> BatchOperator | None:\n    return BatchOperator()\n",
            f"{OURS}def f(x: list[BatchJobOperator]) -> BatchJobOperator | None:\n    return BatchJobOperator()\n",
        ),
        (f"{OURS}{IMPORT}BatchOperator(task_id='t')\n", f"{OURS}BatchJobOperator(task_id='t')\n"),
        (
            f"import {SENSORS} as s\ns.BatchSensor(task_id='t')\nprint(s)\n",
            f"import {SENSORS} as s\n{OUR_SENSOR}BatchJobSensor(task_id='t')\nprint(s)\n",
        ),
    ],
)
def test_imports_of_all_kinds(rewrite: Rewrite, before: str, after: str) -> None:
    """Aliases, modules, imports in functions, beside what stays the provider's."""
    assert rewrite(before) == after


@pytest.mark.parametrize(
    ("code", "finding"),
    [
        (IMPORT, "BatchOperator is imported and not used here: see who takes it from here"),
        (IMPORT.replace("BatchOperator", "*"), "import by name what you use of this module; then migrate again"),
        (
            f"{IMPORT}class BatchJobOperator: ...\nBatchOperator(task_id='t')\n",
            "BatchOperator was left here: another BatchJobOperator is defined in this file",
        ),
        (
            f"{IMPORT}def f(x: BatchOperator): ...\n",
            None,
        ),
        (
            f"{call()}default_args = {{'awslogs_enabled': True}}\n",
            "default_args: awslogs_enabled is called copy_logs in BatchJobOperator",
        ),
        (
            f"{call()}DAG(default_args={{'tags': {{}}}})\n",
            "default_args: tags is tags in the submit_options of BatchJobOperator",
        ),
        (
            f"{call()}DAG(default_args={{'status_retries': 1}})\n",
            "default_args: BatchJobOperator takes no status_retries",
        ),
        (f"{call()}DAG(default_args={{'job_queue': 'q', 'deferrable': True}})\n", None),
        (
            f"{IMPORT}op = BatchOperator(task_id='t')\nprint(op.job_id)\n",
            "BatchJobOperator has no attribute job_id; the job's id is op.output",
        ),
        (
            f"{IMPORT}op = BatchOperator.partial(task_id='t').expand(job_queue=x)\nop.tags\n",
            "BatchJobOperator has no attribute tags",
        ),
        (f"{IMPORT}op = BatchOperator(task_id='t')\nop.job_queue, op.output, other.job_id\n", None),
        (f"{IMPORT}op: Any = BatchOperator(task_id='t')\nop.hook\n", "BatchJobOperator has no attribute hook"),
        (f"{IMPORT}op = BatchOperator(**x)\nop.job_id\n", "BatchOperator was left here: not all arguments"),
        (f"{SENSOR_IMPORT}op = BatchSensor(task_id='t')\nop.job_id, op.output\n", None),
        (f"{SENSOR_IMPORT}BatchSensor(task_id='t', mode=MODE)\n", 'see that mode= is not "reschedule"'),
        (f"{call()}ti.xcom_pull(task_ids='t', key='batch_job_details')\n", "this XCom is gone"),
        (f"{call()}x = \"{{{{ ti.xcom_pull('t', key='cloudwatch_events') }}}}\"\n", "this XCom is gone"),
        (f"{call()}x = f\"{{y}}{{{{ ti.xcom_pull('t', key='batch_job_queue') }}}}\"\n", "this XCom is gone"),
        (f"{call()}x = \"{{{{ ti.xcom_pull('t') }}}}\"\nf(key='other')\n", None),
    ],
)
def test_what_else_depends_on_the_class_is_marked(rewrite: Rewrite, code: str, finding: str | None) -> None:
    """Imports for others, default arguments, attributes and XComs that the provider's class had are found."""
    found = marked(rewrite(code))

    assert len(found) == (finding is not None)
    assert all(each.startswith(finding or "") for each in found)


LINES = {
    "task_id": '"t"',
    "job_name": '"j"',
    "job_definition": '"a:1"',
    "array_properties": '{\n    "size": 2,  # inner\n}',
    "tags": '{"a": "b"}',
    "status_retries": "3",
}


@pytest.mark.parametrize("first", LINES)
@pytest.mark.parametrize(("comma", "hanging"), [*product([",", ""], [True, False])])
def test_no_comment_is_lost(rewrite: Rewrite, first: str, comma: str, *, hanging: bool) -> None:
    """Whatever stands first or last and however the call is laid out: each comment is there, once, and it parses."""
    names = [first, *(name for name in LINES if name != first)]
    arguments = [f"# above {name}\n{name}={LINES[name]}" for name in names]
    body = "".join(
        f"{argument}{comma if name == names[-1] else ','}  # behind {name}\n"
        for name, argument in zip(names, arguments, strict=True)
    )
    opening = "(  # bracket\n" if hanging else "(task_id='first',  # bracket\n"
    code = f"{IMPORT}if x:\n    BatchOperator{opening}{indent(body, '        ')}    )\n"
    after = rewrite(code if hanging else code.replace('task_id="t"', "retries=1"))
    compile(after, "dag.py", "exec")

    comments = [f"# {where} {name}" for name in LINES for where in ("above", "behind")]
    for comment in (*comments, "# inner", "# bracket"):
        assert len(re.findall(rf"{comment}$", after, re.MULTILINE)) == 1, comment


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "BatchOperator(status_retries=1,  # a\n    task_id='t')\n",
            "BatchJobOperator(\n    # a\n    task_id='t')\n",
        ),
        (
            "BatchOperator(task_id='t',  # a\n    status_retries=1, retries=2)\n",
            "BatchJobOperator(task_id='t',  # a\n    retries=2)\n",
        ),
        (
            "BatchOperator(task_id='t', status_retries=1,  # a\n    )\n",
            "BatchJobOperator(task_id='t',\n    # a\n    )\n",
        ),
        (
            "BatchOperator(task_id='t', tags=x,  # a\n    retries=1, node_overrides=y  # b\n)\n",
            """BatchJobOperator(task_id='t', submit_options={
        "tags": x,  # a
        "nodeOverrides": y,  # b
    },
    retries=1\n)\n""",
        ),
        (
            "BatchOperator(task_id='t', tags={  # a\n    'b': 'c'})\n",
            "BatchJobOperator(task_id='t', submit_options={\"tags\": {  # a\n    'b': 'c'}})\n",
        ),
    ],
)
def test_comments_in_other_layouts(rewrite: Rewrite, before: str, after: str) -> None:
    """A comment behind what is dropped or moved goes to a line of its own, or with it."""
    assert rewrite(IMPORT + before) == OURS + after


def test_an_annotation_beside_what_is_left_is_marked(rewrite: Rewrite) -> None:
    """Nobody can tell which of the two classes it means."""
    code = f"{IMPORT}def f(x: BatchOperator): ...\nBatchOperator(**y)\n"

    assert marked(rewrite(code)) == [
        "BatchOperator is still used in this file, so this annotation was left",
        "BatchOperator was left here: not all arguments are written in the call by their names",
    ]


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
    """Whoever asks for help sees an example, the mark to look for, and what a script can rely on."""
    from airflow_batch_jobs.cli import app as whole

    app = typer.Typer(rich_markup_mode=whole.rich_markup_mode)
    app.command()(migrate)
    text = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())

    assert "airflow-batch-jobs migrate dags/nightly.py" in text
    assert "TODO(airflow-batch-jobs)" in text
    assert "Exits with 0 when nothing is left for you, with 1 when something is, and with 2" in text


@pytest.fixture(scope="module")
def provider_parameters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The parameters of the installed provider's classes, without those of Airflow itself, by the class's full name."""
    code = """
        import inspect, json, sys
        from importlib import import_module
        found = {}
        for full_name in sys.argv[1:]:
            module, _, name = full_name.rpartition(".")
            kind = getattr(import_module(module), name)
            theirs = [one for one in kind.__mro__ if "__init__" in vars(one) and ".providers.amazon." in one.__module__]
            names = {each.name for one in theirs for each in inspect.signature(one.__init__).parameters.values()
                     if each.kind is not each.VAR_KEYWORD}
            found[full_name] = sorted(names - {"self"})
        print(json.dumps(found))
    """
    found: dict[str, list[str]] = airflow(code, tmp_path_factory.mktemp("provider"), *COUNTERPARTS)
    return found


@pytest.mark.parametrize("full_name", COUNTERPARTS)
def test_every_parameter_of_the_provider_is_dealt_with(
    provider_parameters: dict[str, list[str]], full_name: str
) -> None:
    """A parameter that a new version of the provider brings, or takes away, shows here."""
    assert COUNTERPARTS[full_name].parameters == set(provider_parameters[full_name])


def _rows(counterpart: Counterpart) -> dict[str, str]:
    """Return the guide's rows about a class: what became of each parameter."""
    provider_name = {OPERATOR.name: "BatchOperator", SENSOR.name: "BatchSensor"}[counterpart.name]
    table = GUIDE.read_text(encoding="utf-8").partition(f"| `{provider_name}` |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`[^|]*`) \| (.*) \|$", table, re.MULTILINE)
    return {name: what for names, what in rows for name in re.findall(r"`(\w+)`", names)}


@pytest.mark.parametrize("counterpart", COUNTERPARTS.values(), ids=lambda each: each.name)
def test_the_guide_says_where_every_parameter_went(counterpart: Counterpart) -> None:
    """Each parameter has its row, with the name that it has here."""
    rows = _rows(counterpart)

    assert counterpart.parameters <= set(rows)
    for name, ours in {**counterpart.renamed, **counterpart.options}.items():
        assert f"`{ours}`" in rows[name], name
    for name in counterpart.options:
        assert "`submit_options`" in rows[name], name
    for name in counterpart.kept:
        assert f"`{name}`" in rows[name], name
    for name in counterpart.dropped:
        assert rows[name].startswith("none"), name
