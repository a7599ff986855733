"""What BatchJobOperator finds when a DAG is parsed."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import timedelta
from enum import Enum
from inspect import signature
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, task

from airflow_batch_jobs.batch.definition import Field, JobDefinition
from airflow_batch_jobs.batch.definition.values import without_enums
from airflow_batch_jobs.errors import DefinitionError, NotPinnedError, ParameterError, RequestError
from airflow_batch_jobs.migration.counterparts import OPERATOR
from airflow_batch_jobs.operators import BatchJobOperator
from airflow_batch_jobs.sensors import BatchJobSensor
from airflow_batch_jobs.sweep import BatchOrphanSweepOperator

if TYPE_CHECKING:
    from collections.abc import Callable


class Align(JobDefinition, name="align", revision=7):
    """A definition with a parameter of each kind that matters here."""

    sample: str
    threads: int = Field(default=4, ge=1)


class Unpinned(JobDefinition, name="unpinned"):
    """A definition without a revision."""


#: Says whether botocore is loaded once usual options have been checked.
_USUAL_ALONE = (
    "import sys; from airflow_batch_jobs.batch.aws.botocore_config import check_config; "
    "check_config({usual!r}); print('botocore' in sys.modules)"
)


def operator(**arguments: Any) -> BatchJobOperator:
    """Return an operator with what the test does not care about filled in."""
    return BatchJobOperator(**{"task_id": "job", "job_queue": "default", **arguments})


@pytest.mark.parametrize("definition", ["align", Unpinned, Unpinned()])
def test_an_unpinned_definition_is_refused(definition: Any) -> None:
    """Without a revision the DAG does not parse, and the error says how to pin one."""
    with pytest.raises(NotPinnedError, match="at_revision"):
        operator(definition=definition)


@pytest.mark.parametrize("definition", ["align:latest", "align:0", "align:-1", "al ign:7", "", "arn:aws:batch:x"])
def test_a_malformed_reference_is_refused(definition: str) -> None:
    """A revision is a whole number from 1, and a name is one that AWS accepts."""
    with pytest.raises(DefinitionError):
        operator(definition=definition)


LONG = "x" * 9000


@pytest.mark.parametrize(
    "arguments",
    [
        {"container_overrides": {"environment": [{"name": "A", "value": LONG}]}},
        {"container_overrides": {"command": ["run", "{{ ds }}", LONG]}},
        {
            "submit_options": {
                "ecsPropertiesOverride": {"taskProperties": ({"containers": [{"name": "a", "command": [LONG]}]},)}
            }
        },
        {
            "submit_options": {
                "nodeOverrides": {
                    "nodePropertyOverrides": [{"targetNodes": "0:", "containerOverrides": {"command": [LONG]}}]
                }
            }
        },
    ],
)
def test_overrides_that_are_too_long_as_they_stand_are_refused(arguments: dict[str, Any]) -> None:
    """ECS takes 8,192 characters, and rendering does not make a literal shorter."""
    with pytest.raises(RequestError, match=r"makes the overrides too long: 9,0\d\d of"):
        operator(definition="a:1", **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"container_overrides": {"command": ["{{ '" + LONG + "' | length }}"]}},
        {"container_overrides": {"command": [f"Ref::{LONG}"]}},
        {"container_overrides": "{{ params.overrides }}", "submit_options": "{{ params.options }}"},
        {"container_overrides": {"environment": {"A": LONG}}, "submit_options": {"nodeOverrides": [LONG]}},
        {"submit_options": {"tags": {"a": LONG}}},
    ],
)
def test_what_rendering_may_change_waits_for_it(arguments: dict[str, Any]) -> None:
    """So does what has another shape than AWS's."""
    operator(definition="a:1", **arguments)


@pytest.mark.parametrize("value", [0, -1, "soon", math.nan, math.inf, True])
def test_an_interval_that_is_no_time_is_refused(value: Any) -> None:
    """By its name, for the operator and the sensor alike."""
    with pytest.raises(ValueError, match="poll_interval must be a number above 0"):
        operator(definition="a:1", poll_interval=value)
    with pytest.raises(ValueError, match="poll_interval must be a number above 0"):
        BatchJobSensor(task_id="t", job_id="j", poll_interval=value)


@pytest.mark.parametrize(("value", "seconds"), [(10, 10), ("10", 10), (timedelta(seconds=10), 10), (None, None)])
def test_an_interval_is_read_in_whatever_way_it_is_given(value: Any, seconds: float | None) -> None:
    """As a number, as text, as a span of time."""
    assert operator(definition="a:1", poll_interval=value).poll_interval == seconds
    assert BatchJobSensor(task_id="t", job_id="j", poll_interval=value).poll_interval == seconds


#: Arguments that are not of their kind: "false" would count as True.
_WRONG: list[tuple[str, Any]] = [
    *((name, value) for name in ("wait", "deferrable", "copy_logs", "terminate_on_kill") for value in ("false", None)),
    ("finish_in_triggerer", "false"),
    ("container_overrides", "{}"),
    ("submit_options", 3),
    ("botocore_config", "retries"),
    ("parameters", [("a", "b")]),
    ("parameters", {1: 2}),
    ("submit_options", {5: 5}),
    *((name, value) for name in ("job_queue", "job_name") for value in (5, ["a"], {"a": 1}, b"a", "\ud800")),
    *(("job_queue", value) for value in (None, "", " ")),
    *(("aws_conn_id", value) for value in (5, ["a"], False)),
    *(("region_name", value) for value in (5, ["x"], "nowhere!", "-eu", "1", "eu-central-1\n")),
    *(("verify", value) for value in (5, [1], 0)),
    *(("execution_timeout", value) for value in (timedelta.max, timedelta(days=3_000_000), timedelta(-1))),
    *(("poll_interval", value) for value in (1e308, 1e-308, timedelta.max)),
    *(("botocore_config", value) for value in (5, ["retries"], {1: 2})),
]


@pytest.mark.parametrize(("name", "value"), _WRONG)
def test_an_argument_that_is_not_of_its_kind_is_refused(name: str, value: Any) -> None:
    """By its name, for the operator and, where they have it, the sensor and the sweep."""
    with pytest.raises(ValueError, match=f"^{name} must "):
        operator(definition="a:1", **{name: value})
    if name in signature(BatchJobSensor).parameters:
        with pytest.raises(ValueError, match=f"^{name} must "):
            BatchJobSensor(task_id="t", job_id="j", **{name: value})
    if name in signature(BatchOrphanSweepOperator).parameters:
        with pytest.raises(ValueError, match=f"^{name} must "):
            BatchOrphanSweepOperator(task_id="t", job_queues=["q"], **{name: value})


@pytest.mark.parametrize("name", ["container_overrides", "submit_options", "parameters"])
@pytest.mark.parametrize("value", [[{"name": "TOKEN", "value": "hunter2"}], "{'TOKEN': 'hunter2'}"])
def test_no_error_shows_what_may_be_a_secret(name: str, value: Any) -> None:
    """An environment in place of the overrides, or a mapping as text, is told by its type."""
    with pytest.raises(ValueError, match=f"^{name} must be a mapping, not a value of type") as raised:
        operator(definition="a:1", **{name: value})
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("job_queues", value) for value in (None, 5, {"q": 1}, [5], [""], "")),
        *(("grace_seconds", value) for value in (-1, "soon", math.inf, 1e308)),
        *(("dry_run", value) for value in ("false", None, 0)),
    ],
)
def test_a_sweep_without_sense_is_refused(name: str, value: Any) -> None:
    """By the argument's name: "false" would count as True, and a job is never younger than nothing."""
    with pytest.raises(ValueError, match=f"^{name} must "):
        BatchOrphanSweepOperator(**{"task_id": "t", "job_queues": ["q"], name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("timeout", "poke_interval") for value in (math.inf, math.nan, 1e12, 1e308, -1)),
        ("timeout", timedelta.max),
        *(("job_id", value) for value in (None, 5, "", ["a"])),
    ],
)
def test_a_sensor_without_sense_is_refused(name: str, value: Any) -> None:
    """By the argument's name; a span of ten thousand years would overflow when the sensor runs."""
    with pytest.raises(ValueError, match=f"^{name} must "):
        BatchJobSensor(**{"task_id": "t", "job_id": "j", name: value})


@pytest.mark.parametrize(
    ("config", "option"),
    [
        ({"nope": 1}, "nope"),
        ({"nope": "{{ 1 }}"}, "nope"),
        ({"read_timeout": 5, "retries": "x"}, "retries"),
        ({"retries": {"max_attempts": -1}}, "retries"),
        ({"retries": {"mode": "eager"}}, "retries"),
        ({"s3": {"addressing_style": "odd"}}, "s3"),
    ],
)
def test_an_option_that_botocore_does_not_take_is_refused(config: dict[str, Any], option: str) -> None:
    """By its name, when the DAG is parsed and not when its job has been submitted."""
    with pytest.raises(ValueError, match=f"^botocore_config: botocore does not take '{option}'"):
        operator(definition="a:1", botocore_config=config)


def test_arguments_of_run_time_and_usual_ones_pass() -> None:
    """Templates and upstream results in every place that is rendered; usual options, without loading botocore."""
    with DAG("late", schedule=None):

        @task
        def upstream() -> str:
            return "x"

        late: Any = upstream()
        names = ("job_queue", "job_name", "aws_conn_id", "region_name", "verify", "botocore_config")
        for number, value in enumerate((late, "{{ params.x }}")):
            operator(task_id=f"t{number}", definition="a:1", **dict.fromkeys(names, value))
            BatchJobSensor(task_id=f"s{number}", job_id=value, timeout=60)
            BatchOrphanSweepOperator(task_id=f"o{number}", job_queues=value, region_name=value)
    usual = {"read_timeout": 5, "connect_timeout": "{{ 5 }}", "retries": {"max_attempts": 3, "mode": "standard"}}
    operator(definition="a:1", botocore_config=usual, verify="/etc/ca.pem", region_name="us-gov-west-1", aws_conn_id="")
    operator(definition="a:1", botocore_config={"signature_version": "v4", "s3": "{{ params.s3 }}"}, aws_conn_id=None)
    run = subprocess.run(
        [sys.executable, "-c", _USUAL_ALONE.format(usual=usual)], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize("definition", [7, None, b"x" * 5_000, {"name": "align", "TOKEN": "hunter2"}])
def test_what_is_no_definition_is_refused(definition: Any) -> None:
    """The error names what can be passed, and shows no value, which may hold secrets or be of any length."""
    with pytest.raises(DefinitionError, match="is not a job definition") as raised:
        operator(definition=definition)
    assert "hunter2" not in str(raised.value)
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"sample": "x", "threads": 0}, "threads"),
        ({"sample": "x", "threads": "many"}, "threads"),
        ({"threads": 4}, "sample"),
        ({"sample": "x", "thread": 4}, "thread"),
    ],
)
def test_a_literal_parameter_that_does_not_fit_is_refused(parameters: dict[str, Any], field: str) -> None:
    """A value out of range, of the wrong type, missing or unknown is found before anything runs."""
    with pytest.raises(ParameterError) as raised:
        operator(definition=Align, parameters=parameters)
    assert raised.value.field == field


def test_templates_and_upstream_results_wait_for_the_run() -> None:
    """What is not known yet is no reason to reject a DAG, and an upstream result makes an upstream task."""
    with DAG("late", schedule=None):

        @task
        def threads() -> int:
            return 3

        job = operator(definition=Align, parameters={"sample": "{{ ds }}", "threads": threads()})
        whole = operator(task_id="whole", definition=Align, parameters=threads())
    assert job.upstream_task_ids == {"threads"}
    assert whole.upstream_task_ids == {"threads__1"}


def test_parameters_stand_over_the_definitions_own() -> None:
    """A literal parameter is checked together with the values of the instance that it overrides."""
    with pytest.raises(ParameterError, match="threads"):
        operator(definition=Align(sample="x"), parameters={"threads": 0})
    assert operator(definition=Align(sample="x"), parameters={"threads": 2}).definition == "align:7"


def test_a_dag_serializes_the_same_at_each_parse() -> None:
    """Definitions in operators and in mapped operators do not make a new DAG version at each parse."""
    from airflow.serialization.serialized_objects import DagSerialization

    def serialized() -> Any:
        with DAG("same", schedule=None) as dag:
            operator(definition=Align(sample="x"))
            BatchJobOperator.partial(task_id="class", job_queue="default", definition=Align).expand(
                parameters=[{"sample": "x"}]
            )
            BatchJobOperator.partial(task_id="instance", job_queue="default", definition=Align(sample="x")).expand(
                parameters=[{"threads": 1}]
            )
        return DagSerialization.to_dict(dag)["dag"]["tasks"]

    first, second = serialized(), serialized()
    assert first == second
    assert " at 0x" not in str(first)


def test_a_rescheduling_sensor_is_told_of_the_better_way() -> None:
    """There is one way to free a worker slot."""
    with pytest.raises(ValueError, match="deferrable=True"):
        BatchJobSensor(task_id="wait", job_id="x", mode="reschedule")
    with pytest.raises(ValueError, match="deferrable=True"):
        BatchJobSensor.partial(task_id="wait", mode="reschedule")


@pytest.mark.parametrize("how", [BatchJobOperator, BatchJobOperator.partial], ids=["made", "partial"])
def test_every_parameter_of_the_providers_operator_names_its_counterpart(how: Callable[..., Any]) -> None:
    """Whoever comes from BatchOperator reads what it is called here, or that nothing takes its place."""
    foreign = OPERATOR.parameters - OPERATOR.kept
    for name in foreign:
        with pytest.raises(
            TypeError, match=rf"^BatchJobOperator has no {name}: it is |^{name}=.* is not taken"
        ) as caught:
            how(task_id="job", job_queue="default", definition=Align(sample="x"), **{name: "x"})
        ours = OPERATOR.renamed.get(name) or OPERATOR.options.get(name) or OPERATOR.dropped[name]
        assert ours.replace("was dropped", "is not taken") in str(caught.value)
    assert len(foreign) >= 15


def test_several_are_named_together_and_a_queue_is_told_from_airflows() -> None:
    """`queue` alone is Airflow's own argument, for executors."""
    with pytest.raises(TypeError) as caught:
        BatchJobOperator(task_id="job", queue="default", job_definition="align:7", max_retries=3)  # type: ignore[call-arg]
    assert str(caught.value) == (
        "BatchJobOperator has no job_definition: it is called definition. "
        "max_retries=, which limited the wait, is not taken. Limit it with execution_timeout=. "
        "The queue of AWS Batch is job_queue; queue is Airflow's own, for executors"
    )
    assert operator(definition=Align(sample="x"), queue="celery").queue == "celery"


_QUEUE = "The queue of AWS Batch is job_queue; queue is Airflow's own, for executors"
_DEFINITION = "BatchJobOperator has no job_definition: it is called definition"
_OVERRIDES = "BatchJobOperator has no overrides: it is called container_overrides"


@pytest.mark.parametrize(
    ("defaults", "given", "message"),
    [
        ({}, {"queue": "spot", "definition": "a:1"}, _QUEUE),
        ({"queue": "spot"}, {"definition": "a:1"}, _QUEUE),
        ({"queue": "spot", "job_definition": "a:1"}, {}, f"{_DEFINITION}. {_QUEUE}"),
        ({}, {"default_args": {"job_definition": "a:1"}, "job_queue": "spot"}, _DEFINITION),
    ],
)
@pytest.mark.parametrize("is_mapped", [False, True])
def test_what_is_missing_is_looked_for_under_the_providers_names(
    defaults: dict[str, Any], given: dict[str, Any], message: str, *, is_mapped: bool
) -> None:
    """In the call and in what `default_args` bring, where Airflow would say no more than that it is missing."""

    def mapped(**arguments: Any) -> None:
        BatchJobOperator.partial(**arguments).expand(parameters=[{}])

    how: Any = mapped if is_mapped else BatchJobOperator
    with DAG("moved", schedule=None, default_args=defaults), pytest.raises(TypeError) as caught:
        how(task_id="job", **given)
    assert str(caught.value) == message


def test_default_args_that_other_operators_need_stay() -> None:
    """A DAG with both kinds of operators has the provider's names besides; a subclass may know what is missing."""

    class Spot(BatchJobOperator):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(job_queue="spot", **kwargs)

    with DAG("both", schedule=None, default_args={"job_definition": "b:1", "overrides": {}, "queue": "celery"}):
        assert operator(definition="a:1").queue == "celery"
        assert Spot(task_id="own", definition="a:1").job_queue == "spot"
        Spot.partial(task_id="mapped", definition="a:1").expand(parameters=[{}])
    with DAG("ours", schedule=None, default_args={"job_queue": "spot", "definition": "a:1"}):
        assert BatchJobOperator(task_id="one").job_queue == "spot"  # type: ignore[call-arg]  # as default_args do
        BatchJobOperator.partial(task_id="many").expand(parameters=[{}])


@pytest.mark.parametrize(
    ("expand", "message"),
    [
        (lambda partial: partial.expand(overrides=[{}]), _OVERRIDES),
        (lambda partial: partial.expand_kwargs([{"definition": "a:1"}, {"job_definition": "b:1"}]), _DEFINITION),
        (lambda partial: partial.expand_kwargs([{"parameters": {}}]), "BatchJobOperator is mapped without definition"),
    ],
)
def test_what_a_task_is_mapped_over_is_checked(expand: Callable[[Any], Any], message: str) -> None:
    """When the DAG is parsed, as far as it is known by then; what a run makes of it, when the task is made."""
    with DAG("mapped", schedule=None):
        with pytest.raises(TypeError) as caught:
            expand(BatchJobOperator.partial(task_id="job", job_queue="spot"))
        assert str(caught.value) == message

        @task
        def upstream() -> list[dict[str, str]]:
            return [{"job_definition": "b:1"}]

        late: Any = BatchJobOperator.partial(task_id="late", job_queue="spot").expand_kwargs(upstream())
    with pytest.raises(TypeError, match=_DEFINITION):
        late.unmap({"job_definition": "b:1"})
    with pytest.raises(TypeError, match=r"^max_retries=, .* Limit it with timeout="):
        BatchJobSensor.partial(task_id="wait").expand(job_id=["a"], max_retries=[3])


def _mapped(how: str, kind: Any, given: dict[str, Any], name: str, value: Any) -> None:
    """Map a task in which one argument is wrong, which is common to all, one of a list, or a default of the DAG."""
    others = {key: other for key, other in given.items() if key != name}
    over = "copy_logs" if name != "copy_logs" else "deferrable"
    with DAG("mapped", schedule=None, default_args={name: value} if how == "default" else {}):
        if how == "list":
            kind.partial(task_id="t", **others).expand(**{name: [value]})
        elif how == "kwargs":
            kind.partial(task_id="t", **others).expand_kwargs([{name: value}])
        else:
            kind.partial(task_id="t", **others, **({name: value} if how == "common" else {})).expand(**{over: [True]})


@pytest.mark.parametrize("how", ["common", "default", "list", "kwargs"])
@pytest.mark.parametrize(("name", "value"), _WRONG)
def test_an_argument_of_a_mapped_task_is_checked_when_the_dag_is_parsed(how: str, name: str, value: Any) -> None:
    """As that of a single task is: its tasks are made only when they are about to run."""
    with pytest.raises(ValueError, match=f"^{name} must "):
        _mapped(how, BatchJobOperator, {"job_queue": "q", "definition": "a:1"}, name, value)
    if name in signature(BatchJobSensor).parameters:
        with pytest.raises(ValueError, match=f"^{name} must "):
            _mapped(how, BatchJobSensor, {"job_id": "j"}, name, value)


@pytest.mark.parametrize(
    ("common", "mapped"),
    [
        ({"definition": "a"}, {"copy_logs": [True]}),
        ({}, {"definition": ["a:1", "a"]}),
        ({"definition": Align}, {"parameters": [{"sample": "x"}, {}]}),
        ({"definition": Align}, {"parameters": [{"sample": "x", "thread": 2}]}),
        ({"definition": Align(sample="x")}, {"parameters": [{"threads": "many"}]}),
    ],
)
def test_the_definition_of_a_mapped_task_is_checked_when_the_dag_is_parsed(
    common: dict[str, Any], mapped: dict[str, Any]
) -> None:
    """With the literal parameters of each of its tasks."""
    with DAG("mapped", schedule=None), pytest.raises(DefinitionError):
        BatchJobOperator.partial(task_id="t", job_queue="q", **common).expand(**mapped)


def test_what_a_subclass_takes_by_itself_is_not_checked() -> None:
    """It may have another meaning for an argument of that name."""

    class Lines(BatchJobOperator):
        def __init__(self, *, parameters: str, **kwargs: Any) -> None:
            super().__init__(parameters={"lines": parameters}, **kwargs)

    with DAG("mapped", schedule=None):
        Lines.partial(task_id="t", job_queue="q", definition="a:1").expand(parameters=["one", "two"])


class Queue(str, Enum):  # noqa: UP042 - what it is that is tested
    """As DAGs had enums of text before Python 3.11."""

    SPOT = "spot"


def test_an_enum_of_text_is_its_text() -> None:
    """Airflow renders it by its name, which is no queue."""
    task = operator(
        definition="a:1",
        job_queue=Queue.SPOT,
        parameters={"queue": Queue.SPOT, "all": [Queue.SPOT]},
        submit_options={"shareIdentifier": Queue.SPOT},
    )
    sweep = BatchOrphanSweepOperator(task_id="t", job_queues=[Queue.SPOT])
    for each in (task, sweep):
        each.render_template_fields({})
    assert (task.job_queue, sweep.job_queues) == ("spot", ["spot"])
    assert task.parameters == {"queue": "spot", "all": '["spot"]'}
    assert task.submit_options == {"shareIdentifier": "spot"}


def test_what_has_no_enum_is_kept_and_not_copied() -> None:
    """What an upstream task has returned is known to Airflow by its identity: in a copy it renders templates."""
    given: Any = {"parameters": {"x": ["{{ y }}"]}, "container_overrides": {"command": ["{{ y }}"]}, "job_name": "j"}
    task = operator(definition="a:1", **given)
    assert [name for name, value in given.items() if getattr(task, name) is not value] == []
    assert without_enums([given, Queue.SPOT])[0] is given


def test_the_providers_parameters_of_a_sensor_name_their_counterparts() -> None:
    """The sensor has fewer of them, and takes Airflow's own."""
    with pytest.raises(TypeError, match=r"^max_retries=, .* Limit it with timeout="):
        BatchJobSensor(task_id="wait", job_id="1a2b", max_retries=3)
    assert BatchJobSensor(task_id="wait", job_id="1a2b", poke_interval=30).poke_interval == 30


def test_a_subclass_may_take_a_parameter_of_that_name() -> None:
    """What its own constructor takes is its own affair; any other unknown argument is Airflow's to refuse."""

    class Tagged(BatchJobOperator):
        def __init__(self, *, tags: dict[str, str], **kwargs: Any) -> None:
            super().__init__(submit_options={"tags": tags}, **kwargs)

    task = Tagged(task_id="job", job_queue="default", definition=Align(sample="x"), tags={"team": "genomics"})
    assert task.submit_options == {"tags": {"team": "genomics"}}
    with pytest.raises(TypeError, match="no_such"):
        operator(definition=Align(sample="x"), no_such=1)


def test_the_decorator_names_them_as_well() -> None:
    """It takes the operator's arguments; a function that is mapped is not asked again."""

    def align() -> Align:
        return Align(sample="x")

    with pytest.raises(TypeError, match="it is arrayProperties in submit_options"):
        task.batch_job(job_queue="default", array_properties={"size": 2})(align)
    with DAG("foreign", schedule=None):
        with pytest.raises(TypeError, match=_QUEUE):
            task.batch_job(queue="default")(align)()
        with pytest.raises(TypeError, match="tags in submit_options"):
            task.batch_job(job_queue="default")(align).override(tags={})()
    with DAG("defaults", schedule=None, default_args={"job_queue": "spot"}):
        made: Any = task.batch_job(align)()
    assert made.operator.job_queue == "spot"
