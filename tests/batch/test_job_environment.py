"""Variables that a job gets besides its author's own: in every container of every kind of job, and never at a price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.batch.job_environment import give_variables
from airflow_batch_jobs.batch.preflight import check_revision
from airflow_batch_jobs.batch.request import SubmitRequest
from tests.batch.conftest import request_for

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws

VARIABLES = {"TRACEPARENT": "00-a-b-01", "AIRFLOW_CTX_DAG_ID": "d"}
GIVEN = [{"name": name, "value": value} for name, value in VARIABLES.items()]


def sent(definition: dict[str, Any], **request: Any) -> dict[str, Any]:
    """Return what is sent of a request for a definition."""
    asked = request_for("align:1", **request)
    give_variables(asked, definition, VARIABLES)
    return asked.to_api()


def ecs(*names: str, **fields: Any) -> dict[str, Any]:
    """Return the properties of an ECS task with containers of these names."""
    containers = [{"name": name, "image": "i", **fields} for name in names]
    return {"ecsProperties": {"taskProperties": [{"containers": containers}]}}


def test_the_container_of_a_job_gets_them() -> None:
    """After those that its author overrides."""
    own = {"name": "MODE", "value": "fast"}
    definition = {"containerProperties": {"image": "i"}}
    assert sent(definition)["containerOverrides"] == {"environment": GIVEN}
    overrides = {"environment": [own], "command": ["x"]}
    found = sent(definition, container_overrides=overrides)["containerOverrides"]
    assert found == {"environment": [own, *GIVEN], "command": ["x"]}


def test_every_container_of_a_task_gets_them() -> None:
    """By its name, with what is overridden of it besides."""
    override = {"taskProperties": [{"containers": [{"name": "b", "command": ["x"]}]}]}
    found = sent(ecs("a", "b"), options={"ecsPropertiesOverride": override})
    assert found["ecsPropertiesOverride"]["taskProperties"][0]["containers"] == [
        {"name": "b", "command": ["x"], "environment": GIVEN},
        {"name": "a", "environment": GIVEN},
    ]


def test_the_containers_of_a_pod_get_them() -> None:
    """Those that run before the others as well; Kubernetes calls the field otherwise."""
    pod = {"initContainers": [{"name": "init"}], "containers": [{"name": "main"}]}
    found = sent({"eksProperties": {"podProperties": pod}})["eksPropertiesOverride"]["podProperties"]
    assert found == {
        "initContainers": [{"name": "init", "env": GIVEN}],
        "containers": [{"name": "main", "env": GIVEN}],
    }


@pytest.mark.parametrize("inside", [{"container": {"image": "i"}}, ecs("a")])
def test_every_node_gets_them(inside: dict[str, Any]) -> None:
    """Whatever runs on it; each range of nodes has an override."""
    groups = [{"targetNodes": "0:0", **inside}, {"targetNodes": "1:", **inside}]
    definition = {"nodeProperties": {"numNodes": 3, "mainNode": 0, "nodeRangeProperties": groups}}
    found = sent(definition)["nodeOverrides"]["nodePropertyOverrides"]
    assert sorted(one["targetNodes"] for one in found) == ["0:0", "1:"]
    for one in found:
        tasks = (one.get("ecsPropertiesOverride") or {}).get("taskProperties") or []
        container = one.get("containerOverrides") or tasks[0]["containers"][0]
        assert container["environment"] == GIVEN


def test_ranges_within_each_other_get_nothing_of_each_others_overrides() -> None:
    """An inner one gets what its author overrides of the outer one, as far as both are of a kind."""
    inside = {"0:": {"container": {"image": "i"}}, "0:1": {"container": {"image": "i"}}, "2:2": ecs("a")}
    groups = [{"targetNodes": targets, **properties} for targets, properties in inside.items()]
    definition = {"nodeProperties": {"numNodes": 4, "mainNode": 0, "nodeRangeProperties": groups}}
    of_task = {"taskProperties": [{"containers": [{"name": "a", "environment": GIVEN}]}]}
    for overridden, commands in (("0:", {"0:": ["x"], "0:1": ["x"]}), ("0:1", {"0:1": ["x"]})):
        own = {"targetNodes": overridden, "containerOverrides": {"command": ["x"]}}
        found = sent(definition, options={"nodeOverrides": {"nodePropertyOverrides": [own]}})
        by_range = {one.pop("targetNodes"): one for one in found["nodeOverrides"]["nodePropertyOverrides"]}
        assert by_range.pop("2:2") == {"ecsPropertiesOverride": of_task}
        assert {targets: one["containerOverrides"].get("command") for targets, one in by_range.items()} == {
            targets: commands.get(targets) for targets in ("0:", "0:1")
        }


@pytest.mark.parametrize(
    ("defined", "override"),
    [
        ({"environment": [{"name": "TRACEPARENT", "value": "own"}]}, {}),
        ({"secrets": [{"name": "TRACEPARENT", "valueFrom": "arn"}]}, {}),
        ({}, {"environment": [{"name": "TRACEPARENT", "value": ""}]}),
    ],
)
def test_what_the_author_has_set_stays(defined: dict[str, Any], override: dict[str, Any]) -> None:
    """In the definition, as one of its secrets, or in the request, whatever its value."""
    found = sent({"containerProperties": {"image": "i", **defined}}, container_overrides=override)
    environment = found["containerOverrides"]["environment"]
    assert environment == [*override.get("environment", ()), GIVEN[1]]


def test_the_digest_tells_what_the_author_asks_for() -> None:
    """So a retry, whose variables are others, adopts the job."""
    first, second = request_for("align:1"), request_for("align:1")
    give_variables(first, {"containerProperties": {"image": "i"}}, VARIABLES)
    give_variables(second, {"containerProperties": {"image": "i"}}, {"AIRFLOW_CTX_TRY_NUMBER": "2"})
    assert first.digest() == second.digest() == request_for("align:1").digest()
    assert first.to_api() != second.to_api()


@pytest.mark.parametrize("size", [7_150, 8_100])
def test_a_request_without_room_is_sent_without_them(size: int) -> None:
    """With a line that says so: ECS takes 8,192 characters, counts more than is known, and the author's come first."""
    own = [{"name": "DATA", "value": "x" * size}]
    asked = request_for("align:1", container_overrides={"environment": own})
    before, notes = asked.to_api(), list[str]()
    give_variables(asked, {"containerProperties": {"image": "i"}}, VARIABLES, notes.append)
    assert asked.to_api() == before
    assert len(notes) == 1
    assert notes[0].startswith("The job is not told of its task: its environment has no room. ")


@pytest.mark.parametrize(
    "definition",
    [
        {},
        {"newProperties": {"x": 1}},
        {"containerProperties": None},
        {"nodeProperties": {"numNodes": 2, "nodeRangeProperties": [{"targetNodes": "?", "container": {}}]}},
        {"nodeProperties": {"numNodes": 2, "nodeRangeProperties": [{"container": {}}]}},
        {"ecsProperties": {"taskProperties": [{"containers": [{"image": "nameless"}]}]}},
    ],
)
def test_what_aws_does_not_describe_is_left_as_it_is(definition: dict[str, Any]) -> None:
    """No kind of job that is new, or looks odd, is refused for it."""
    assert sent(definition) == request_for("align:1").to_api()


@given(st.dictionaries(st.sampled_from(list(VARIABLES)), st.text(max_size=300), min_size=1))
def test_any_value_reaches_the_request(variables: dict[str, str]) -> None:
    """A run's id may be any text."""
    asked = SubmitRequest(job_name="a", job_queue="q", job_definition="align:1")
    give_variables(asked, {"containerProperties": {"image": "i"}}, variables)
    environment = asked.to_api()["containerOverrides"]["environment"]
    assert {one["name"]: one["value"] for one in environment} == variables


CHECK = ["sh", "-c", 'test "$AIRFLOW_CTX_DAG_ID" = d && test "$OWN" = own']
RESOURCES = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
OWN = [{"name": "OWN", "value": "own"}]
CONTAINER = {"image": "i", "command": CHECK, "resourceRequirements": RESOURCES, "environment": OWN}
LIMITS = {"cpu": "1", "memory": "128Mi"}
POD = {"containers": [{"name": "main", "image": "i", "command": CHECK, "env": OWN, "resources": {"limits": LIMITS}}]}
RANGES = [{"targetNodes": "0:", "container": CONTAINER}, {"targetNodes": "1", "container": CONTAINER}]


@pytest.mark.parametrize(
    ("definition", "options"),
    [
        ({"type": "container", "containerProperties": CONTAINER}, {}),
        ({"type": "container", "containerProperties": CONTAINER}, {"arrayProperties": {"size": 2}}),
        (
            {
                "type": "container",
                "ecsProperties": {
                    "taskProperties": [{"containers": [{"name": name, **CONTAINER} for name in ("main", "aside")]}]
                },
            },
            {},
        ),
        ({"type": "container", "eksProperties": {"podProperties": POD}}, {}),
        (
            {"type": "multinode", "nodeProperties": {"numNodes": 2, "mainNode": 1, "nodeRangeProperties": RANGES}},
            {},
        ),
    ],
    ids=["single", "array", "ecs", "eks", "multinode"],
)
def test_jobs_of_every_kind_run_with_them(aws: LocalAws, definition: dict[str, Any], options: dict[str, Any]) -> None:
    """AWS takes the overrides, and the processes see the variables beside the definition's own."""
    batch = aws.clients()("batch")
    batch.register_job_definition(jobDefinitionName="seen", **definition)
    request = request_for("seen:1", options=options)
    give_variables(request, check_revision(aws.clients(), "seen:1"), VARIABLES)
    job_id = batch.submit_job(**request.to_api())["jobId"]
    assert aws.wait_for_status(job_id)["status"] == "SUCCEEDED"
