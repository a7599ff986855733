"""Whatever is asked of whatever revision, the checks refuse only what AWS refuses or lets fail, and miss none of it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_batch_jobs.batch.preflight.check import check_plan
from airflow_batch_jobs.batch.preflight.parameters import note_placeholders_inside, note_unused_parameters
from airflow_batch_jobs.batch.preflight.place import Place, note_foreign_resources
from airflow_batch_jobs.batch.preflight.plan import Plan
from airflow_batch_jobs.batch.preflight.resources import note_older_fields
from airflow_batch_jobs.errors import BatchJobsError, ParameterError, RequestError
from airflow_batch_jobs.local.wire import ServiceError
from tests.batch.conftest import request_for
from tests.batch.preflight.conftest import KINDS, Batch
from tests.local.documented import operation_model
from tests.local.generated import of_shape

#: What the local AWS says of a request that the checks should have found.
FOUND = (
    "does not match",
    "Non matching",
    "can only be given",
    "Fargate",
    "at most one task",
    "range_end",
    "NumNodes",
    "multi-node parallel",
    "empty string",
)

TEXTS = st.one_of(
    st.sampled_from(["x", "Ref::word", "Ref::gone", "--a=Ref::word", "Ref::word/Ref::gone", "é" * 4100, "x" * 8000]),
    st.text(max_size=5),
)
COMMANDS = st.lists(TEXTS, max_size=3)
ENVIRONMENTS = st.lists(st.fixed_dictionaries({"name": st.sampled_from("AB"), "value": TEXTS}), max_size=2)
NEEDS = st.lists(
    st.one_of(
        st.fixed_dictionaries({"type": st.just("VCPU"), "value": st.sampled_from(["0.3", "0.7", "1", "2", "3", "8"])}),
        st.fixed_dictionaries({"type": st.just("MEMORY"), "value": st.sampled_from(["512", "2048", "8192", "16384"])}),
        st.just({"type": "GPU", "value": "1"}),
    ),
    max_size=2,
    unique_by=lambda need: need["type"],
)
OVERRIDE = {"command": COMMANDS, "environment": ENVIRONMENTS, "resourceRequirements": NEEDS}
SINGLE = st.fixed_dictionaries(
    {}, optional={**OVERRIDE, "memory": st.just(256), "vcpus": st.just(2), "instanceType": st.just("m5.large")}
)
NAMED = st.fixed_dictionaries({"name": st.sampled_from(["main", "side", "other"])}, optional=OVERRIDE)
TASKS = st.lists(st.fixed_dictionaries({"containers": st.lists(NAMED, max_size=2)}), max_size=2)
IN_A_POD = st.lists(
    st.fixed_dictionaries(
        {}, optional={"name": st.sampled_from(["main", "first", "third"]), "command": COMMANDS, "args": COMMANDS}
    ),
    max_size=2,
)
OF_A_NODE = {
    "containerOverrides": SINGLE,
    "ecsPropertiesOverride": st.fixed_dictionaries({"taskProperties": TASKS}),
    "eksPropertiesOverride": st.fixed_dictionaries(
        {"podProperties": st.fixed_dictionaries({}, optional={"containers": IN_A_POD, "initContainers": IN_A_POD})}
    ),
}
RANGES = st.fixed_dictionaries(
    {"targetNodes": st.sampled_from(["0:", "1:2", "0:0", "1:3", "1", "0:3", ":", "9:", "x"])}, optional=OF_A_NODE
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "ecsPropertiesOverride": OF_A_NODE["ecsPropertiesOverride"],
        "eksPropertiesOverride": OF_A_NODE["eksPropertiesOverride"],
        "nodeOverrides": st.fixed_dictionaries(
            {},
            optional={"numNodes": st.integers(3, 6), "nodePropertyOverrides": st.lists(RANGES, max_size=2)},
        ),
        "tags": st.dictionaries(st.integers(0, 99).map(str), st.just(""), max_size=40),
        "propagateTags": st.booleans(),
        "arrayProperties": st.just({"size": 2}),
    },
)
REQUESTS = st.fixed_dictionaries(
    {"container_overrides": SINGLE, "options": OPTIONS},
    optional={"parameters": st.dictionaries(st.sampled_from(["word", "other", "wrod"]), TEXTS, max_size=3)},
)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(fields=REQUESTS)
def test_what_is_refused_is_what_aws_refuses_or_lets_fail(batch: Batch, kind: str, fields: dict[str, Any]) -> None:
    """Of the rules that the checks know; a placeholder without a value reaches the program."""
    request = request_for(f"{kind}:1", **fields)
    refusal = job = None
    answer = ""
    try:
        request.validate()
        check_plan(batch.plan(request))
    except BatchJobsError as error:
        refusal = error
    try:
        job = batch.submit(request)
    except ServiceError as error:
        answer = str(error)
    if job is None:
        assert refusal or not any(words in answer for words in FOUND)
    elif isinstance(refusal, ParameterError):
        assert any(f"Ref::{refusal.field}" in container.command for container in job.containers)
    else:
        assert bool(job.flaw) == isinstance(refusal, RequestError), (job.flaw, refusal)


DESCRIBED: Any = operation_model("batch", "DescribeJobDefinitions").output_shape
DEFINITIONS = of_shape(DESCRIBED.members["jobDefinitions"].member)
SUBMITS = of_shape(operation_model("batch", "SubmitJob").input_shape)


@settings(deadline=None)
@given(definition=DEFINITIONS, submit=SUBMITS)
def test_nothing_but_errors_of_this_package_is_raised(definition: Any, submit: dict[str, Any]) -> None:
    """For any revision and any request of the shapes that AWS's model has."""
    notes: list[str] = []
    plan = None
    with suppress(BatchJobsError):
        plan = Plan.of(definition, {**submit, "jobDefinition": "a:1"})
        check_plan(plan, notes.append)
    assert plan is not None
    for look in (note_placeholders_inside, note_unused_parameters, note_older_fields):
        look(plan, notes.append)
    note_foreign_resources(plan.request, Place("aws", "us-east-1", "123456789012"), notes.append)
    assert all(isinstance(one, str) for one in notes)
