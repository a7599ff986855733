"""MoreMemory: which container gets how much."""

from __future__ import annotations

from copy import deepcopy
from itertools import repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.batch.changes.change import Change
from airflow_batch_jobs.batch.changes.failure import Failure
from airflow_batch_jobs.batch.changes.more_memory import MoreMemory
from airflow_batch_jobs.batch.fargate import MEMORY_MIB
from airflow_batch_jobs.errors import RequestError
from tests.batch.changes.applied import OUT, applied, failed, needs, single

FARGATE = {"platformCapabilities": ["FARGATE"]}


@pytest.mark.parametrize(
    ("definition", "request_fields", "jobs", "memory"),
    [
        (single(1024), {}, 1, "2048"),
        (single(1024), {}, 2, "4096"),
        (single(1024), {"containerOverrides": {"resourceRequirements": needs(1000)}}, 1, "2000"),
        ({"containerProperties": {"image": "i", "memory": 512, "vcpus": 1}}, {}, 1, "1024"),
        (
            {"containerProperties": {"image": "i", "memory": 512, "vcpus": 1}},
            {"containerOverrides": {"memory": 700}},
            1,
            "1400",
        ),
        # AWS gives this job 1024: an older field changes nothing of resourceRequirements.
        (single(1024), {"containerOverrides": {"memory": 9000}}, 1, "2048"),
        (
            {"containerProperties": {"image": "i", "memory": 512, "vcpus": 1}},
            {"containerOverrides": {"memory": 700, "resourceRequirements": [{"type": "MEMORY", "value": "800"}]}},
            1,
            "1600",
        ),
    ],
    ids=["definition", "twice", "override", "older", "older override", "no effect", "both styles"],
)
def test_memory_grows_from_what_revision_and_override_give(
    definition: dict[str, Any], request_fields: dict[str, Any], jobs: int, memory: str
) -> None:
    """In the older or the newer style, and once for each job that ran out of it."""
    made, [change] = applied(MoreMemory(), failed(*repeat(OUT, jobs)), definition, **request_fields)
    override = made["containerOverrides"]
    assert {one["type"]: one["value"] for one in override["resourceRequirements"]}["MEMORY"] == memory
    assert "memory" not in override
    assert change.after == f"{memory} MiB"


def test_what_else_is_overridden_stays() -> None:
    """Command, environment, vCPUs and GPUs."""
    own: dict[str, Any] = {
        "command": ["align"],
        "environment": [{"name": "A", "value": "1"}],
        "resourceRequirements": [{"type": "GPU", "value": "1"}],
    }
    made, _ = applied(MoreMemory(), failed(OUT), single(), containerOverrides=own)
    expected = [*own["resourceRequirements"], {"type": "MEMORY", "value": "2048"}]
    assert made["containerOverrides"] == {**own, "resourceRequirements": expected}


def test_a_change_says_what_was_changed_and_why() -> None:
    """In a line, and in the XCom."""
    _, [change] = applied(MoreMemory(factor=4, at_most_mib=3000), failed(OUT, OUT), single())
    assert str(change) == (
        "containerOverrides memory is 3000 MiB, not 1024 MiB, which is the most: "
        "out of memory in job job-1 and 1 before it"
    )
    assert Change.from_dict(change.to_dict()) == change


def test_the_most_is_given_and_said_and_no_more() -> None:
    """Also where the job begins with more than that, which a changed DAG may say."""
    change = MoreMemory(factor=1.5, at_most_mib=2000)
    steps = [applied(change, failed(*repeat(OUT, jobs)), single())[1][0] for jobs in (1, 2, 3)]
    assert [(step.after, step.is_most) for step in steps] == [
        ("1536 MiB", False),
        ("2000 MiB", True),
        ("2000 MiB", True),
    ]
    made, [stays] = applied(change, failed(OUT), single(4096))
    assert made == {}
    assert str(stays) == "containerOverrides memory stays 4096 MiB, which is the most: out of memory in job job-0"


TWO = {
    "ecsProperties": {
        "taskProperties": [
            {
                "containers": [
                    {"name": "main", "image": "i", "resourceRequirements": needs(1024)},
                    {"name": "side", "image": "i", "resourceRequirements": needs(512)},
                ]
            }
        ]
    }
}


def test_of_several_containers_the_one_that_ran_out_gets_more() -> None:
    """The others stay as they are, with their overrides."""
    own = {"taskProperties": [{"containers": [{"name": "side", "command": ["x"]}]}]}
    made, [change] = applied(MoreMemory(), failed(OUT, container="main"), TWO, ecsPropertiesOverride=own)
    [task] = made["ecsPropertiesOverride"]["taskProperties"]
    assert task["containers"] == [
        {"name": "side", "command": ["x"]},
        {"name": "main", "resourceRequirements": [{"type": "MEMORY", "value": "2048"}]},
    ]
    assert change.field == "ecsPropertiesOverride[main] memory"


def test_where_aws_does_not_say_which_container_it_was_all_get_more() -> None:
    """One of them needs it."""
    _, changes = applied(MoreMemory(), failed(OUT, container="gone"), TWO)
    assert [change.after for change in changes] == ["2048 MiB", "1024 MiB"]


NODES = {
    "nodeProperties": {
        "numNodes": 4,
        "mainNode": 0,
        "nodeRangeProperties": [
            {"targetNodes": "0", "container": {"image": "i", "resourceRequirements": needs(1024)}},
            {"targetNodes": "1:", "container": {"image": "i", "resourceRequirements": needs(2048)}},
        ],
    }
}


def test_the_range_of_the_node_that_ran_out_gets_more() -> None:
    """All of its nodes, since an override is of a range; the others stay as they are."""
    made, [change] = applied(MoreMemory(), failed(OUT, node=2), NODES)
    assert made["nodeOverrides"]["nodePropertyOverrides"] == [
        {
            "targetNodes": "1:",
            "containerOverrides": {"resourceRequirements": [{"type": "MEMORY", "value": "4096"}]},
        }
    ]
    assert change.field == "nodeOverrides[1:].containerOverrides memory"


def nested(**memory_mib: int) -> dict[str, Any]:
    """Return a revision of four nodes, whose ranges lie within each other."""
    ranges = [
        {"targetNodes": nodes.replace("_", ":"), "container": {"image": "i", "resourceRequirements": needs(memory)}}
        for nodes, memory in memory_mib.items()
    ]
    return {"nodeProperties": {"numNodes": 4, "mainNode": 0, "nodeRangeProperties": ranges}}


def test_an_outer_range_that_gets_more_takes_nothing_from_one_inside() -> None:
    """The narrowest override that has a node counts, so the inner range has one as well, which overrides nothing."""
    made, [change] = applied(MoreMemory(), failed(OUT, node=0), nested(**{"0_3": 1024, "2_": 8192}))
    outer, inner = made["nodeOverrides"]["nodePropertyOverrides"]
    assert outer["containerOverrides"]["resourceRequirements"] == [{"type": "MEMORY", "value": "2048"}]
    assert (inner, change.after) == ({"targetNodes": "2:"}, "2048 MiB")


def test_a_node_of_an_inner_range_gets_nothing_for_the_outer_one() -> None:
    """It belongs to the narrowest range that has it."""
    made, [change] = applied(MoreMemory(), failed(OUT, node=2), nested(**{"0_3": 1024, "2_": 8192}))
    [override] = made["nodeOverrides"]["nodePropertyOverrides"]
    assert (override["targetNodes"], change.after) == ("2:", "16384 MiB")


def test_the_override_of_an_inner_range_is_not_taken_for_the_outer_ones() -> None:
    """Also where both begin with the same node."""
    own = {"targetNodes": "0:1", "containerOverrides": {"command": ["inner"]}}
    definition, overrides = nested(**{"0_3": 1024, "0_1": 8192}), {"nodePropertyOverrides": [own]}
    made, _ = applied(MoreMemory(), failed(OUT, node=3), definition, nodeOverrides=overrides)
    inner, outer = made["nodeOverrides"]["nodePropertyOverrides"]
    assert inner == own
    assert outer["containerOverrides"] == {"resourceRequirements": [{"type": "MEMORY", "value": "2048"}]}


def test_a_number_of_nodes_beyond_all_measure_is_left_to_aws() -> None:
    """Nothing is counted one by one."""
    made, _ = applied(MoreMemory(), failed(OUT, node=3), NODES, nodeOverrides={"numNodes": 2**64})
    assert [one["targetNodes"] for one in made["nodeOverrides"]["nodePropertyOverrides"]] == ["1:"]


def test_the_override_of_a_range_is_kept() -> None:
    """Also where it names the range in another way."""
    own = {"numNodes": 6, "nodePropertyOverrides": [{"targetNodes": "1:5", "containerOverrides": {"command": ["x"]}}]}
    made, _ = applied(MoreMemory(), failed(OUT, node=5), NODES, nodeOverrides=own)
    [override] = made["nodeOverrides"]["nodePropertyOverrides"]
    assert override["containerOverrides"]["command"] == ["x"]
    assert override["containerOverrides"]["resourceRequirements"] == [{"type": "MEMORY", "value": "4096"}]


def test_a_pod_gets_more_where_it_has_it() -> None:
    """In limits and requests, which have to be equal, beside what else is there."""
    resources = {"limits": {"memory": "1024Mi", "cpu": "1"}, "requests": {"memory": "1024Mi"}}
    pod = {"eksProperties": {"podProperties": {"containers": [{"name": "m", "image": "i", "resources": resources}]}}}
    made, _ = applied(MoreMemory(), failed(OUT, container="m"), pod)
    assert made["eksPropertiesOverride"]["podProperties"]["containers"] == [
        {"name": "m", "resources": {"limits": {"memory": "2048Mi", "cpu": "1"}, "requests": {"memory": "2048Mi"}}}
    ]


def test_an_override_of_nodes_that_cannot_be_read_is_left_to_the_checks() -> None:
    """They say what it should be."""
    own = {"nodePropertyOverrides": [{"targetNodes": "x", "containerOverrides": {"command": ["x"]}}]}
    with pytest.raises(RequestError, match="'x' is not a range of nodes"):
        applied(MoreMemory(), failed(OUT, node=0), NODES, nodeOverrides=own)


@pytest.mark.parametrize(
    ("defined", "given"), [({}, {"name": "Default"}), ({"name": "Default"}, {}), ({"name": "m"}, {}), ({}, {})]
)
def test_a_container_of_a_pod_keeps_the_override_that_is_its_own(defined: Any, given: Any) -> None:
    """The only one is overridden without its name as well, and one without a name is AWS's `Default`."""
    resources = {"limits": {"memory": "1024Mi"}}
    containers = [{**defined, "image": "i", "resources": resources}]
    own = {"podProperties": {"containers": [{**given, "command": ["x"]}]}}
    pod = {"eksProperties": {"podProperties": {"containers": containers}}}
    made, _ = applied(MoreMemory(), failed(OUT), pod, eksPropertiesOverride=own)
    more = {"resources": {"limits": {"memory": "2048Mi"}}}
    assert made["eksPropertiesOverride"]["podProperties"]["containers"] == [{**given, "command": ["x"], **more}]


@pytest.mark.parametrize(
    ("vcpus", "memory", "factor", "most", "expected"),
    [
        ("0.25", 512, 2, None, ("1024", None)),
        ("0.25", 2048, 2, None, ("4096", "0.5")),
        ("1", 8192, 1.1, None, ("9216", "2")),
        ("4", 30720, 2, None, ("61440", "8")),
        ("8", 32768, 1.01, None, ("36864", None)),
        ("1", 2048, 1.5, None, ("3072", None)),
        # 8 vCPU grow by 4,096: the next would be above the most, so the largest below it is taken.
        ("8", 16384, 1.5, 22000, ("20480", None)),
    ],
)
def test_on_fargate_it_is_the_next_size_that_fargate_has(
    vcpus: str, memory: int, factor: float, most: int | None, expected: tuple[str, str | None]
) -> None:
    """With more vCPUs where the size needs them."""
    change = MoreMemory(factor=factor, at_most_mib=most)
    made, _ = applied(change, failed(OUT), single(memory, vcpus, **FARGATE))
    given = {one["type"]: one["value"] for one in made["containerOverrides"]["resourceRequirements"]}
    assert (given["MEMORY"], given.get("VCPU")) == expected


def test_fargates_largest_is_the_most() -> None:
    """There is no next size, and the change says so."""
    made, [change] = applied(MoreMemory(), failed(OUT), single(249856, "32", **FARGATE))
    assert (made, change.after, change.is_most) == ({}, "249856 MiB", True)


def test_on_fargate_the_containers_of_a_task_have_a_size_together() -> None:
    """What one gets fills the size up."""
    task = deepcopy(TWO)
    for container in task["ecsProperties"]["taskProperties"][0]["containers"]:
        container["resourceRequirements"] = needs(1024, "0.5")
    made, [change] = applied(MoreMemory(factor=1.5), failed(OUT, container="main"), {**task, **FARGATE})
    [override] = made["ecsPropertiesOverride"]["taskProperties"][0]["containers"]
    assert override == {"name": "main", "resourceRequirements": [{"type": "MEMORY", "value": "2048"}]}
    assert change.after == "2048 MiB"


SIZES = [(vcpus, memory) for vcpus, every in MEMORY_MIB.items() for memory in every]


@given(
    st.sampled_from(SIZES),
    st.floats(1.001, 50),
    st.integers(1, 40),
    st.one_of(st.none(), st.integers(512, 300_000)),
)
def test_every_step_on_fargate_is_a_size_of_fargates(
    size: tuple[Any, int], factor: float, jobs: int, most: int | None
) -> None:
    """Never smaller than before, and never above the most; `applied` checks that the request is one that AWS takes."""
    vcpus, memory = size
    change = MoreMemory(factor=factor, at_most_mib=most)
    definition = single(memory, str(vcpus), **FARGATE)
    _, [one] = applied(change, failed(*repeat(OUT, jobs)), definition)
    after = int(one.after.split()[0])
    assert after >= memory
    assert after <= max(memory, most or 249_856)
    assert one.is_most or after > memory


@given(st.floats(1.001, 1000), st.integers(1, 200), st.integers(4, 2_000_000))
def test_memory_grows_with_each_job_and_ends_at_the_most(factor: float, jobs: int, memory: int) -> None:
    """Whatever the factor, nothing overflows."""
    change = MoreMemory(factor=factor, at_most_mib=4_000_000)
    sizes = [
        int(applied(change, failed(*repeat(OUT, count)), single(memory))[1][0].after.split()[0])
        for count in (jobs, jobs + 1)
    ]
    assert memory < sizes[0] <= sizes[1] <= 4_000_000


def test_the_containers_of_a_task_on_fargate_take_nothing_from_each_other() -> None:
    """What a size has more than the one before goes to the container that ran out, in the order of the jobs."""
    task = deepcopy(TWO)
    for container in task["ecsProperties"]["taskProperties"][0]["containers"]:
        container["resourceRequirements"] = needs(15360, "2")
    failures = [
        Failure(job_id=str(number), cause=OUT, container=name) for number, name in enumerate(["main", "side", "main"])
    ]
    steps = [applied(MoreMemory(factor=3), failures[:many], {**task, **FARGATE})[1] for many in (1, 2, 3)]
    assert [[change.after.split()[0] for change in step] for step in steps] == [
        ["46080"],
        ["46080", "52224"],
        ["197632", "52224"],
    ]


def test_a_small_factor_goes_to_the_next_size_each_time() -> None:
    """Never twice to the same one."""
    steps = [
        applied(MoreMemory(factor=1.1), failed(*repeat(OUT, jobs)), single(16384, "8", **FARGATE))[1][0].after
        for jobs in (1, 2, 3, 4)
    ]
    assert steps == ["20480 MiB", "24576 MiB", "28672 MiB", "32768 MiB"]


def test_what_grows_is_a_whole_number_of_mib() -> None:
    """1.1 times 1000 is 1100, and not a part of a MiB more."""
    _, [change] = applied(MoreMemory(factor=1.1), failed(OUT), single(1000))
    assert change.after == "1100 MiB"


def side(name: str, memory: int = 1024) -> dict[str, Any]:
    """Return the ECS properties of a range of nodes."""
    container = {"name": name, "image": "i", "resourceRequirements": needs(memory)}
    return {"ecsProperties": {"taskProperties": [{"containers": [container]}]}}


def test_an_override_is_checked_against_the_range_that_it_is_of() -> None:
    """Not against an inner one that begins at the same node, and may be of another kind."""
    groups = [{"targetNodes": "0:", **side("worker")}, {"targetNodes": "0", "container": {"image": "i"}}]
    definition = {"nodeProperties": {"numNodes": 3, "mainNode": 0, "nodeRangeProperties": groups}}
    made, _ = applied(MoreMemory(), failed(OUT, node=1), definition)
    outer, inner = made["nodeOverrides"]["nodePropertyOverrides"]
    [container] = outer["ecsPropertiesOverride"]["taskProperties"][0]["containers"]
    assert (outer["targetNodes"], container["name"], inner) == ("0:", "worker", {"targetNodes": "0"})


def test_only_the_container_of_a_pod_that_ran_out_gets_more_if_it_has_no_name() -> None:
    """AWS calls it `Default`."""
    pod = [{"image": "i", "resources": {"limits": {"memory": "1024Mi"}}}]
    pod.append({"image": "i", "name": "side", "resources": {"limits": {"memory": "1024Mi"}}})
    definition = {"eksProperties": {"podProperties": {"containers": pod}}}
    made, [change] = applied(MoreMemory(), failed(OUT, container="Default"), definition)
    [override] = made["eksPropertiesOverride"]["podProperties"]["containers"]
    assert override == {"resources": {"limits": {"memory": "2048Mi"}}}
    assert change.field == "eksPropertiesOverride[Default] memory"
