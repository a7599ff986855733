"""What a request makes of a revision: what it must not ask of it, and what is told without being refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.preflight.check import check_plan
from airflow_batch_jobs.batch.preflight.plan import Plan
from airflow_batch_jobs.errors import RequestError
from tests.batch.conftest import request_for
from tests.batch.preflight.conftest import FINE, ON_FARGATE, SIZES, Batch, check, nodes, notes, pod, task

if TYPE_CHECKING:
    from collections.abc import Sequence

LONG = [{"name": "SHORT", "value": "y"}, {"name": "PAYLOAD", "value": "x" * 9000}]
HALF = "x" * 4200


def needs(vcpus: str = "", memory_mib: str = "") -> list[dict[str, str]]:
    """Return resource requirements."""
    given = {"VCPU": vcpus, "MEMORY": memory_mib}
    return [{"type": kind, "value": value} for kind, value in given.items() if value]


def refusal(batch: Batch, kind: str, **fields: Any) -> str:
    """Return why a request for a revision of a kind is refused."""
    with pytest.raises(RequestError) as caught:
        check(batch, kind, **fields)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (
            "plain",
            {"container_overrides": {"environment": LONG}},
            "environment: makes the overrides too long: 9,060 of 9,076 characters, and ECS takes 8,192 for a task.",
        ),
        (
            "plain",
            {"container_overrides": {"command": ["x" * 9000], "environment": [{"name": "A", "value": "y" * 50}]}},
            "containerOverrides.command: makes the overrides too long: 9,004 of 9,106 characters",
        ),
        (
            "plain",
            {"parameters": {"word": "x" * 9000}},
            "parameters.word: makes the overrides too long: 9,002 of 9,022",
        ),
        (
            "pair",
            {"options": task({"name": "side", "command": [HALF]}, {"name": "main", "command": [HALF, "y"]})},
            "ecsPropertiesOverride.taskProperties[0].containers[1].command: makes the overrides too long: 4,208 of",
        ),
        (
            "pair",
            {
                "options": task({"name": "side", "command": [HALF]}),
                "parameters": {"word": HALF + "yyy"},
            },
            "parameters.word: makes the overrides too long: 4,205 of",
        ),
        (
            "plain",
            {
                "container_overrides": {
                    "command": ["Ref::word"] * 4,
                    "environment": [{"name": "A", "value": "x" * 4000}],
                },
                "parameters": {"word": "x" * 1500},
            },
            "6,008 of 10,065 characters, and ECS takes 8,192 for a task. It fills 4 placeholders, each with 1,502.",
        ),
        (
            "pair",
            {
                "options": task(
                    {"name": "side", "command": ["Ref::word"], "environment": [{"name": "A", "value": "x" * 4000}]}
                ),
                "parameters": {"word": "x" * 2500},
            },
            "parameters.word: makes the overrides too long: 5,004 of",
        ),
        (
            "mesh",
            {"options": nodes("0:", containerOverrides={"command": ["x" * 9000]})},
            "nodeOverrides.nodePropertyOverrides[0].containerOverrides.command: makes the overrides too long",
        ),
        (
            "mesh",
            {"options": nodes("1:2", **task({"name": "main", "environment": LONG}))},
            "nodePropertyOverrides[0].ecsPropertiesOverride.taskProperties[0].containers[0].environment: makes",
        ),
    ],
)
def test_overrides_beyond_what_ecs_takes_are_refused(
    batch: Batch, kind: str, fields: dict[str, Any], message: str
) -> None:
    """For each task that the job has; the field with most of them is named."""
    assert message in refusal(batch, kind, **fields)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("plain", {"container_overrides": {"command": ["x" * (8192 - len('{"command":[""]}'))]}}),
        ("pod", {"options": pod({"name": "main", "args": ["x" * 9000]})}),
        ("mesh", {"options": nodes("0:", containerOverrides={"command": [HALF]})}),
        (
            "mesh",
            {
                "options": {
                    "nodeOverrides": {
                        "nodePropertyOverrides": [
                            {"targetNodes": "0:", "containerOverrides": {"command": [HALF]}},
                            {"targetNodes": "1:2", **task({"name": "main", "command": [HALF]})},
                        ]
                    }
                }
            },
        ),
    ],
)
def test_as_many_as_ecs_takes_pass(batch: Batch, kind: str, fields: dict[str, Any]) -> None:
    """At the limit itself; nodes have a task each, and a pod is no matter of ECS."""
    check(batch, kind, **fields)


@pytest.mark.parametrize(
    ("kind", "override", "told"),
    [
        (
            "plain",
            {"memory": 8192},
            "containerOverrides.memory has no effect: what counts is MEMORY in the def",
        ),
        (
            "plain",
            {"vcpus": 4},
            'If you mean 4, override resourceRequirements: {"type": "VCPU", "value": "4"}',
        ),
        (
            "legacy",
            {"memory": 8192, "resourceRequirements": needs(memory_mib="512")},
            "what counts is MEMORY in containerOverrides.resourceRequirements, which is 512",
        ),
    ],
)
def test_an_older_field_without_effect_is_told(batch: Batch, kind: str, override: dict[str, Any], told: str) -> None:
    """With the field that has one."""
    [line] = notes(batch, kind, container_overrides=override)
    assert told in line


def test_an_older_field_on_fargate_is_refused_and_not_told_as_well(batch: Batch) -> None:
    """One thing is said once."""
    request = request_for("fargate:1", container_overrides={"memory": 8192})
    told: list[str] = []
    with pytest.raises(RequestError, match="is not taken for Fargate"):
        check_plan(batch.plan(request), told.append)
    assert told == []


def test_an_older_field_without_effect_on_nodes_is_told(batch: Batch) -> None:
    """With its place in the request."""
    [line] = notes(batch, "mesh", options=nodes("0:", containerOverrides={"memory": 8192}))
    assert line.startswith("nodeOverrides.nodePropertyOverrides[0].containerOverrides.memory has no effect")


@pytest.mark.parametrize(
    ("kind", "override"),
    [
        ("legacy", {"memory": 8192, "vcpus": 2}),
        ("plain", {"memory": 2048, "vcpus": 1}),
        ("plain", {"vcpus": 2, "resourceRequirements": needs("2.0")}),
    ],
)
def test_an_older_field_with_an_effect_is_not_told(batch: Batch, kind: str, override: dict[str, Any]) -> None:
    """Nor one that asks for what there is."""
    assert notes(batch, kind, container_overrides=override) == []


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (
            "fargate",
            {"container_overrides": {"resourceRequirements": needs(memory_mib="9000")}},
            "9000 MiB; the nearest that is enough is 2 vCPU with 9216 MiB. With 1 vCPU it has 2048 to 8192 MiB.",
        ),
        (
            "fargate",
            {"container_overrides": {"resourceRequirements": needs(vcpus="4")}},
            "does not offer 4 vCPU with 2048 MiB; the nearest that is enough is 4 vCPU with 8192 MiB",
        ),
        (
            "fargate",
            {"container_overrides": {"resourceRequirements": needs("0.3", "512")}},
            "does not offer 0.3 vCPU with 512 MiB; the nearest that is enough is 0.5 vCPU with 1024 MiB",
        ),
        (
            "fargate",
            {"container_overrides": {"resourceRequirements": needs("64", "999999")}},
            "Fargate does not offer 64 vCPU with 999999 MiB; the most it has is 32 vCPU with 249856 MiB.",
        ),
        (
            "fargate",
            {"container_overrides": {"resourceRequirements": needs("33", "512")}},
            "Fargate does not offer 33 vCPU with 512 MiB; the most it has is 32 vCPU",
        ),
        (
            "halves",
            {"options": task({"name": "main", "resourceRequirements": needs(memory_mib="512")})},
            "Fargate does not offer 2 vCPU with 4608 MiB; the nearest that is enough is 2 vCPU with 5120 MiB",
        ),
        (
            "fargate",
            {"container_overrides": {"resourceRequirements": [{"type": "GPU", "value": "1"}]}},
            "asks for a GPU, which Fargate does not offer",
        ),
        (
            "fargate",
            {"container_overrides": {"memory": 4096}},
            'memory: is not taken for Fargate; give resourceRequirements: {"type": "MEMORY", "value": "4096"}',
        ),
    ],
)
def test_what_fargate_does_not_offer_is_refused(batch: Batch, kind: str, fields: dict[str, Any], message: str) -> None:
    """With the nearest pair that it offers; what an override leaves out is the revision's."""
    assert message in refusal(batch, kind, **fields)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("fargate", {"container_overrides": {"resourceRequirements": needs("0.25", "512")}}),
        ("halves", {"options": task({"name": "main", "resourceRequirements": needs(memory_mib="1024")})}),
        ("plain", {"container_overrides": {"resourceRequirements": needs("3", "9000")}}),
        ("mesh", {"options": nodes("0:", containerOverrides={"resourceRequirements": needs("3", "9000")})}),
    ],
)
def test_what_is_offered_passes(batch: Batch, kind: str, fields: dict[str, Any]) -> None:
    """The sizes of Fargate are those of a whole task; EC2 has others."""
    check(batch, kind, **fields)


@pytest.mark.parametrize("shares", [("0.4", "0.3", "0.2", "0.1"), ("0.1", "0.2", "0.3", "0.4"), ["0.1"] * 10])
def test_what_containers_have_together_is_counted_in_decimals(shares: Sequence[str]) -> None:
    """In whatever order."""
    containers = [
        {"name": f"c{number}", "image": "i", "resourceRequirements": needs(share, "512")}
        for number, share in enumerate(shares)
    ]
    definition = {**ON_FARGATE, "ecsProperties": {"taskProperties": [{"containers": containers}]}}
    override = task({"name": "c0", "resourceRequirements": needs(shares[0])})
    check_plan(Plan.of(definition, {"jobDefinition": "a:1", **override}))


def test_a_size_that_cannot_be_told_is_not_judged() -> None:
    """AWS may know more kinds of resources, or of values."""
    odd = {**ON_FARGATE, "containerProperties": {**FINE, "resourceRequirements": SIZES[:1]}}
    for value in ("many", "1e3", ""):
        override = {"resourceRequirements": [{"type": "MEMORY", "value": value}]}
        check_plan(Plan.of(odd, {"jobDefinition": "a:1", "parameters": {"word": ""}, "containerOverrides": override}))


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (
            "pair",
            {"container_overrides": {"command": ["x"]}},
            "containerOverrides: overrides nothing: the job definition has ecsProperties; use ecsPropertiesOverride",
        ),
        ("plain", {"options": task({"name": "main"})}, "has containerProperties; use containerOverrides"),
        ("plain", {"options": nodes()}, "nodeOverrides: overrides nothing"),
        ("pod", {"container_overrides": {"memory": 1}}, "use eksPropertiesOverride"),
        ("mesh", {"container_overrides": {"command": ["x"]}}, "has nodeProperties; use nodeOverrides"),
        (
            "pair",
            {"options": task({"name": "mian"})},
            "[0].name: no container is called 'mian'. The job definition has main, side. Did you mean 'main'?",
        ),
        ("pair", {"options": task({"name": "side"}, {"command": ["x"]})}, "containers[1].name: is missing"),
        (
            "pair",
            {"options": {"ecsPropertiesOverride": {"taskProperties": [{}, {}]}}},
            "ecsPropertiesOverride.taskProperties: are 2 tasks; the job definition has 1",
        ),
        (
            "pod",
            {"options": pod({"name": "other"})},
            "containers[0].name: no container is called 'other'",
        ),
        ("pod", {"options": pod({}, key="initContainers")}, "podProperties.initContainers[0].name: is missing"),
        (
            "mesh",
            {"options": nodes("0:1")},
            "nodePropertyOverrides[0].targetNodes: '0:1' is none of the ranges of the 4 nodes of the job: 0:, 1:2",
        ),
        ("mesh", {"options": nodes("all")}, "'all' is not a range of nodes such as 0:3, 2:, :1 or 4"),
        ("closed", {"options": nodes("1:9")}, "'1:9' is none of the ranges of the 4 nodes of the job: 0:0, 1:3"),
        ("closed", {"options": nodes("1:3", count=5)}, "numNodes: no range of the job definition is open, as 0: is"),
        ("mesh", {"options": nodes("0:", count=1)}, "numNodes: is 1; the job definition needs at least 2"),
        (
            "mesh",
            {"options": nodes("0:", **task({"name": "main"}))},
            "nodePropertyOverrides[0].ecsPropertiesOverride: overrides nothing: the range 0: of nodes has container",
        ),
        ("mesh", {"options": nodes("1:2", **task({"name": "third"}))}, "containers[0].name: no container is called"),
        (
            "pods",
            {"options": nodes("2:3", **task({"name": "main"}))},
            "ecsPropertiesOverride: overrides nothing: the range 2:3 of nodes has eksProperties",
        ),
        (
            "pods",
            {"options": pod({})},
            "eksPropertiesOverride: overrides nothing: the job definition has nodeProperties",
        ),
        (
            "pods",
            {"options": nodes("0:", **pod({"name": "mian"}))},
            "eksPropertiesOverride.podProperties.containers[0].name: no container is called 'mian'",
        ),
        ("mesh", {"options": {"arrayProperties": {"size": 2}}}, "arrayProperties: are not taken for a multi-node job"),
        (
            "plain",
            {"container_overrides": {"instanceType": "m5.large"}},
            "containerOverrides.instanceType: is taken for multi-node jobs only",
        ),
        ("fargate", {"container_overrides": {"instanceType": "m5.large"}}, "instanceType: is taken for multi-node"),
    ],
)
def test_an_override_of_what_is_not_there_is_refused(
    batch: Batch, kind: str, fields: dict[str, Any], message: str
) -> None:
    """With what there is; and so is what only another kind of job takes."""
    assert message in refusal(batch, kind, **fields)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("pair", {"options": task({"name": "side", "command": ["x"]})}),
        ("pod", {"options": pod({"command": ["x"]})}),
        ("pod", {"options": pod({"name": "second"}, key="initContainers")}),
        ("mesh", {"options": nodes("0:3")}),
        ("mesh", {"options": nodes(":", count=9)}),
        ("pods", {"options": nodes("2:3", count=9, **pod({"command": ["x"]}))}),
        ("pods", {"options": nodes("0:", **pod({"name": "first"}, key="initContainers"))}),
        ("closed", {"options": nodes("0")}),
        ("closed", {"options": nodes("1:")}),
        ("mesh", {"options": nodes("0:", containerOverrides={"instanceType": "m5.large"})}),
        ("plain", {"options": {"ecsPropertiesOverride": {}, "nodeOverrides": {}, "arrayProperties": {"size": 2}}}),
    ],
)
def test_an_override_of_what_is_there_passes(batch: Batch, kind: str, fields: dict[str, Any]) -> None:
    """Ranges are compared by their nodes; the only container of a pod needs no name."""
    check(batch, kind, **fields)


def test_properties_of_a_kind_that_is_new_are_not_judged() -> None:
    """Nor containers whose names only AWS knows."""
    override = {"containerOverrides": {"command": ["x"]}, **task({"name": "x"})}
    check_plan(Plan.of({"microVmProperties": {"image": "i"}}, {"jobDefinition": "a:1", **override}))
    unnamed = {"ecsProperties": {"taskProperties": [{"containers": [{"image": "i"}, {"image": "i", "name": "b"}]}]}}
    check_plan(Plan.of(unnamed, {"jobDefinition": "a:1", **task({"name": "x"})}))


def test_more_tags_than_a_task_can_have_are_refused(batch: Batch) -> None:
    """Those of the job and of its definition together, each name once."""
    tags = {f"j{number}": "" for number in range(20)}
    check(batch, "tagged", options={"tags": {**tags, "d1": ""}})
    more = {**tags, "j20": ""}
    message = refusal(batch, "tagged", options={"tags": more})
    assert "SubmitJob tags: there are 51 to propagate: 21 of the job, 30 more of its definition" in message
    check(batch, "tagged", options={"tags": more, "propagateTags": False})


@pytest.mark.parametrize("key", ["aws:cloudformation:stack-name", "AWS:x"])
def test_tags_of_awss_own_do_not_count(key: str) -> None:
    """Those that CloudFormation puts on a definition, say."""
    tags = {f"d{number}": "" for number in range(50)}
    definition = {"containerProperties": {"image": "i"}, "propagateTags": True, "tags": {**tags, key: "x"}}
    check_plan(Plan.of(definition, {"jobDefinition": "a:1"}))
    with pytest.raises(RequestError, match="there are 51"):
        check_plan(Plan.of(definition, {"jobDefinition": "a:1", "tags": {"j": ""}}))


def test_a_number_of_nodes_beyond_all_measure_is_left_to_aws(batch: Batch) -> None:
    """Nothing is counted one by one."""
    check(batch, "mesh", options=nodes("0:", count=2**64, containerOverrides={"command": ["true"]}))
