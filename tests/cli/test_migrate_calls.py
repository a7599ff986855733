"""migrate: what becomes of a call's parameters, and of the definition's revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_batch_jobs.migration import MARK
from tests.cli.migrating import IMPORT, OUR_SENSOR, OURS, SENSOR_IMPORT, call, marked, our_call, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.migrating import Rewrite

ARN = "arn:aws:batch:eu-west-1:123456789012:job-definition/a"


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
        ({"wait_for_completion": "None"}, "wait= takes no None"),
        ({"awslogs_enabled": "None"}, "copy_logs= takes no None"),
        ({"deferrable": "None"}, "deferrable= takes no None"),
        ({"poll_interval": "0"}, "poll_interval= must be more than 0"),
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
    """A constant of the file is looked up, also one of several that are assigned at once."""
    for assigned in ('ALIGN = "align"', 'COUNT, ALIGN = "count:1", "align"'):
        assert marked(rewrite(f"{assigned}\n{call(job_definition='ALIGN')}")) == [
            'pin ALIGN to the revision that is to run, as in "align:7"'
        ]


def test_pin_writes_the_revision(rewrite: Rewrite) -> None:
    """A revision given once is written wherever the name stands as a definition, and nowhere else."""
    mapped = 'BatchOperator.partial(task_id="a").expand(job_definition=["a", "b:2"])\n'
    after = rewrite(call(job_name='"a"', job_definition='"a"') + mapped, "--pin", "a=7")

    assert after == our_call(job_name='"a"', definition='"a:7"') + (
        'BatchJobOperator.partial(task_id="a").expand(definition=["a:7", "b:2"])\n'
    )


def test_pin_leaves_a_constant_as_it_is(rewrite: Rewrite) -> None:
    """A name may stand for the definition here and for something else there, so the revision is written behind it."""
    after = rewrite('ALIGN = "align"\n' + call(job_definition="ALIGN", job_name="ALIGN"), "--pin", "align=7")

    assert after == 'ALIGN = "align"\n' + our_call(definition='f"{ALIGN}:7"', job_name="ALIGN")


@pytest.mark.parametrize(
    ("definition", "pinned"),
    [
        ("'a'", "'a:7'"),
        ('r"a"', 'r"a:7"'),
        ('"""a"""', '"""a:7"""'),
        ('("prefix" "-a")', '("prefix" "-a:7")'),
        ('"prefix" + "-a"', '"prefix" + "-a:7"'),
        ('PREFIX + "-a"', 'PREFIX + "-a:7"'),
        ('f"{PREFIX}-a"', 'f"{PREFIX}-a:7"'),
        ('"a" if X else "b:2"', '"a:7" if X else "b:2"'),
        ('X or "a"', 'X or "a:7"'),
        ('(Y := "a")', '(Y := "a:7")'),
        (f'"{ARN}"', f'"{ARN}:7"'),
    ],
)
def test_pin_writes_the_revision_into_any_text(rewrite: Rewrite, definition: str, pinned: str) -> None:
    """However the name of the definition is put together, as long as the file shows it."""
    code = 'PREFIX = "prefix"\nX = "x:1"\n'
    after = rewrite(code + call(job_definition=definition), "--pin", "a=7", "--pin", "prefix-a=7")

    assert after == code + our_call(definition=pinned)


def test_a_later_run_pins_what_the_first_left_open(dag_file: Path) -> None:
    """The revision is written into our own call, and the comment that asked for it goes."""
    mapped = 'BatchOperator.partial(task_id="b").expand(job_definition=["a", "b"])\n'
    code = call(job_definition='"a"') + mapped
    dag_file.write_text(code)
    first = run(dag_file, "--write")
    second = run(dag_file, "--write", "--pin", "a=7")
    third = run(dag_file, "--write", "--pin", "a=7", "--pin", "b=2")

    assert [each.exit_code for each in (first, second, third)] == [1, 1, 0]
    assert "--pin a=REVISION --pin b=REVISION --write" in first.stderr
    assert "--pin a=7 --pin b=REVISION --write" in second.stderr
    assert dag_file.read_text() == our_call(definition='"a:7"') + (
        'BatchJobOperator.partial(task_id="b").expand(definition=["a:7", "b:2"])\n'
    )


@pytest.mark.parametrize(
    ("definition", "task"),
    [
        ("register()", "register"),
        ("NAME", "register"),
        ("upstream.output", "upstream"),
        ('upstream.output["name"]', "upstream"),
        ("XComArg(upstream)", "upstream"),
    ],
)
def test_a_definition_that_a_task_returns_is_pulled(rewrite: Rewrite, definition: str, task: str) -> None:
    """A task's result is refused as a definition, so the advice is what works instead."""
    made = "@task\ndef register():\n    return 1\n\n\nNAME = register()\n"
    [finding] = marked(rewrite(made + call(job_definition=definition)))

    assert f"\"{{{{ ti.xcom_pull(task_ids='{task}') }}}}\"" in finding
    assert "@task.batch_job" in finding


@pytest.mark.parametrize("definition", ["NAME", '"%s:7" % X', '"{}:{}".format(X, 7)', 'f"{X}:{REVISION}"', "f'{NAME}'"])
def test_a_definition_is_followed_through_the_file(rewrite: Rewrite, definition: str) -> None:
    """Where all that a name may stand for has a revision, nothing is left for a person."""
    names = 'REVISION = 7\nif X:\n    NAME = "a:1"\nelse:\n    NAME = "a:2"\n' if definition == "NAME" else ""
    assert not marked(rewrite((names or 'NAME = "a:1"\nREVISION = 7\n') + call(job_definition=definition)))


def test_a_long_definition_is_not_cut_in_its_quotes(rewrite: Rewrite) -> None:
    """What is too long to be shown is named in words."""
    [finding] = marked(rewrite(call(job_definition='"{{ name_of(' + "'x', " * 20 + ') }}"')))

    assert finding == 'make sure that this definition is rendered to a text with a revision, as in "align:7"'


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("awslogs_stream_prefix", "neither the provider nor BatchJobOperator knows awslogs_stream_prefix="),
        ("job_quue", "knows job_quue=; is it job_queue=?"),
        ("provide_context", "knows provide_context="),
    ],
)
def test_a_parameter_that_nobody_knows_is_named(rewrite: Rewrite, name: str, word: str) -> None:
    """It would be an error when the DAG is parsed."""
    [finding] = marked(rewrite(call(**{name: "1"})))
    [mapped] = marked(rewrite(f"{IMPORT}BatchOperator.partial(task_id='t').expand({name}=[1])\n"))

    assert word in finding
    assert mapped == finding


def test_the_former_name_of_container_overrides_is_rewritten(rewrite: Rewrite) -> None:
    """In a call, and where it is mapped."""
    mapped = "BatchOperator.partial(task_id='t').expand(overrides=[1])\n"

    assert rewrite(call(overrides="{}") + mapped) == our_call(container_overrides="{}") + (
        "BatchJobOperator.partial(task_id='t').expand(container_overrides=[1])\n"
    )


@pytest.mark.parametrize(
    "given",
    [
        {"overrides": "{}", "container_overrides": "{}"},
        {"wait_for_completion": "True", "wait": "True"},
        {"submit_options": "{}", "tags": "{}"},
    ],
)
def test_two_arguments_that_would_be_one_are_left(rewrite: Rewrite, given: dict[str, str]) -> None:
    """A call with the same keyword twice would not compile."""
    code = call(**given)
    after = rewrite(code)

    assert after.splitlines()[-1] == code.splitlines()[-1]
    assert all(f"{name}=" in marked(after)[0] for name in list(given)[:1])


def test_what_says_nothing_goes_without_a_word(rewrite: Rewrite) -> None:
    """The provider's own default for the limit of a wait, and empty fields of SubmitJob."""
    assert rewrite(call(max_retries="4200", array_properties="{}", tags="{}")) == our_call()


def test_the_oldest_operators_take_arguments_without_a_name(rewrite: Rewrite) -> None:
    """The first four are the same in all versions; a fifth is not."""
    module = "airflow.contrib.operators.awsbatch_operator"
    code = f"from {module} import AWSBatchOperator\n"
    after = rewrite(f"{code}AWSBatchOperator('j', 'a:1', 'q', {{}}, task_id='t')  # first\n")

    assert after == (
        f"{OURS}BatchJobOperator(job_name='j', definition='a:1', job_queue='q', container_overrides={{}}, task_id='t')"
        "  # first\n"
    )
    [left] = marked(rewrite(f"{code}AWSBatchOperator('j', 'a:1', 'q', {{}}, 1)\n"))
    assert left.startswith("AWSBatchOperator, which the provider no longer has, was left here: not all arguments")


def test_the_queue_of_batch_is_not_that_of_airflow(rewrite: Rewrite) -> None:
    """The oldest operator called it queue."""
    code = call(queue='"q"').replace(', job_queue="q"', "")
    assert marked(rewrite(code)) == ["queue= is Airflow's, for executors: the queue of AWS Batch is job_queue="]
