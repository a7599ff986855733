"""migrate: what becomes of a call's parameters, and of the definition's revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_batch_jobs.migration import MARK
from tests.cli.migrating import OUR_SENSOR, SENSOR_IMPORT, call, marked, our_call, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.migrating import Rewrite


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
        ({"job_definition": '"a:latest"'}, "'a:latest' is not a definition with a revision"),
        ({"job_definition": '"a" "b"'}, 'pin the revision that is to run, as in "ab:7"'),
        ({"job_definition": "NAME"}, "make sure that NAME has a revision"),
        ({"job_definition": '"{{ params.definition }}"'}, "is rendered to a text with a revision"),
        ({"job_definition": 'f"{PREFIX}-align"'}, "ends in a revision"),
        ({"job_id": "upstream.output"}, "write it with >>"),
        ({"waiters": "W"}, "a custom waiter has no counterpart"),
        ({"max_retries": "10"}, "Limit it with execution_timeout="),
        ({"region": '"eu-west-1"'}, "use region_name="),
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
