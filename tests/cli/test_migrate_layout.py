"""migrate: a whole DAG, its comments and its layout."""

from __future__ import annotations

import re
from itertools import product
from textwrap import dedent, indent
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_batch_jobs.migration import MARK, migrate
from tests.cli.migrating import IMPORT, MODULE, OURS, airflow

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.migrating import Rewrite

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


@pytest.mark.long
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


def test_a_mark_is_as_deep_as_what_it_is_about(rewrite: Rewrite) -> None:
    """Also above the first statement of a block, and below the comments that stand there."""
    statement = "BatchOperator(**x)\n"
    code = f"{IMPORT}with DAG('d'):  # a\n    # b\n    {statement}    if x:\n        {statement}"
    mark = f"{MARK}BatchOperator was left here: not all arguments are given by name in the call\n"

    assert rewrite(code) == (
        f"{IMPORT}with DAG('d'):  # a\n    # b\n    {mark}    {statement}    if x:\n        {mark}        {statement}"
    )


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


INNER = {
    "task_id": '"t"',
    "tags": "(\n    # inner tags\n    x)",
    "array_properties": "{\n    # inner array_properties\n}",
    "node_overrides": "{  # inner node_overrides\n    'a': 1}",
    "status_retries": "(  # inner status_retries\n    3)",
    "retry_strategy": "y  # inner retry_strategy\n",
    "max_retries": "4200  # inner max_retries\n",
    "job_name": "# inner job_name\n'j'",
}


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(st.sampled_from(sorted(INNER)), unique=True, min_size=1),
    is_comma_first=st.booleans(),
    has_comma=st.booleans(),
)
def test_a_comment_is_kept_wherever_it_stands(names: list[str], *, is_comma_first: bool, has_comma: bool) -> None:
    """Before a comma, inside what is dropped or empty, and where no argument is left."""
    end, between = (", ", "") if is_comma_first else ("", ", ")
    arguments = "".join(
        f"{end if number else ''}{name}={INNER[name]}{between if number < len(names) - 1 else ''}  # behind {name}\n"
        for number, name in enumerate(names)
    )
    code = f"{IMPORT}BatchOperator(  # bracket\n{arguments}{',' if has_comma else ''}  # last\n)\n"
    after = migrate(code.encode()).after
    compile(after, "dag.py", "exec")

    for comment in re.findall("#.*", code):
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
            "BatchOperator(task_id='t', tags=x,  # a\n    node_overrides=y)\n",
            """BatchJobOperator(task_id='t', submit_options={
        "tags": x,  # a
        "nodeOverrides": y,
    })\n""",
        ),
        (
            "BatchOperator(\n    tags=x  # a\n    , task_id='t'  # b\n    , array_properties=y  # c\n)\n",
            """BatchJobOperator(
    submit_options={
        "tags": x,  # a
        "arrayProperties": y,  # c
    }, task_id='t'  # b\n    ,\n)\n""",
        ),
        ("BatchOperator(\n    tags={\n        # none\n    },\n)\n", "BatchJobOperator(\n    # none\n)\n"),
        (
            "BatchOperator(task_id='t', tags={  # a\n    'b': 'c'})\n",
            "BatchJobOperator(task_id='t', submit_options={\"tags\": {  # a\n    'b': 'c'}})\n",
        ),
    ],
)
def test_comments_in_other_layouts(rewrite: Rewrite, before: str, after: str) -> None:
    """A comment behind what is dropped or moved goes to a line of its own, or with it."""
    assert rewrite(IMPORT + before) == OURS + after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "from {0} import (\n    X,\n    BatchOperator,  # b\n)  # c\n",
            "from {0} import (\n    X,\n)  # c\nfrom airflow_batch_jobs import BatchJobOperator  # b\n",
        ),
        (
            "from {0} import (  # a\n    # above\n    BatchOperator,  # b\n    # own\n    X,\n    # end\n)\n",
            "from {0} import (  # a\n    # own\n    X,\n    # end\n)\n# above\n" + OURS.replace("\n", "  # b\n"),
        ),
        (
            "from {0} import (\n    BatchOperator,  # b\n    AwsBatchOperator,  # c\n)\nAwsBatchOperator()\n",
            "from airflow_batch_jobs import (\n    BatchJobOperator,  # b\n    # c\n)\nBatchJobOperator()\n",
        ),
        (
            "from {0} import BatchOperator\nfrom {0} import (  # a\n    BatchOperator  # b\n)\n",
            f"{OURS}from airflow_batch_jobs import (  # a\n    BatchJobOperator  # b\n)\n",
        ),
        ("from {0} import \\\n    X, \\\n    BatchOperator\n", "from {0} import \\\n    X\n" + OURS),
        ("from {0} import BatchOperator\nimport {0} as b\nb.BatchOperator()\n", f"{OURS}BatchJobOperator()\n"),
        ("from {0} import BatchOperator\nfrom {0} import BatchOperator\n", OURS),
        ("from {0} import BatchOperator; x = 1\n", f"{OURS.rstrip()}; x = 1\n"),
    ],
)
def test_comments_and_brackets_of_imports_stay(rewrite: Rewrite, before: str, after: str) -> None:
    """What is taken out of an import takes its comments with it, and nothing is imported twice without need."""
    use = "BatchOperator(task_id='t')\n"
    assert rewrite(before.format(MODULE) + use) == after.format(MODULE) + use.replace("Batch", "BatchJob")


@pytest.mark.parametrize("step", ["\t", "  ", "    "])
def test_a_file_keeps_its_own_indentation(rewrite: Rewrite, step: str) -> None:
    """With tabs, and with steps of two spaces, what is moved is indented likewise."""
    code = """\
        if True:
        >t = BatchOperator(
        >>task_id="t",
        >>tags={
        >>>"a": "b",
        >>},
        >>retry_strategy={"attempts": 3},
        >)
    """
    rewritten = """\
        if True:
        >t = BatchJobOperator(
        >>task_id="t",
        >>submit_options={
        >>>"tags": {
        >>>>"a": "b",
        >>>},
        >>>"retryStrategy": {"attempts": 3},
        >>},
        >)
    """
    before, after = (dedent(each).replace(">", step) for each in (code, rewritten))

    assert rewrite(IMPORT + before) == OURS + after
