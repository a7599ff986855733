"""MoreMemory, OtherQueue and LongerTimeout: failures and a request in, a request out."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from datetime import timedelta
from itertools import repeat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.changes.change import Change, check_changes
from airflow_batch_jobs.batch.changes.failure import Failure
from airflow_batch_jobs.batch.changes.longer_timeout import LongerTimeout
from airflow_batch_jobs.batch.changes.more_memory import MoreMemory
from airflow_batch_jobs.batch.changes.next_job import NextJob
from airflow_batch_jobs.batch.changes.other_queue import OtherQueue
from airflow_batch_jobs.batch.fargate import MEMORY_MIB
from airflow_batch_jobs.batch.preflight.check import check_plan
from airflow_batch_jobs.batch.preflight.plan import Plan

REQUEST = {"jobName": "d-t-0", "jobQueue": "spot", "jobDefinition": "align:7"}


def needs(memory: int, vcpus: str = "1") -> list[dict[str, str]]:
    """Return resourceRequirements."""
    return [{"type": "VCPU", "value": vcpus}, {"type": "MEMORY", "value": str(memory)}]


def failed(*causes: Cause, **fields: Any) -> list[Failure]:
    """Return failures of as many jobs."""
    return [
        Failure(**{"job_id": f"job-{number}", "cause": cause, "queue": "spot", **fields})
        for number, cause in enumerate(causes)
    ]


def applied(
    change: Any, failures: list[Failure], definition: dict[str, Any], **request: Any
) -> tuple[dict[str, Any], list[Change]]:
    """Return what a change makes of a request, without the fields that all have, and what it says."""
    job = NextJob(deepcopy({**REQUEST, **request}), definition)
    changes = list(change.apply(job, failures))
    made = job.to_api()
    check_plan(Plan.of(definition, made))
    return {name: value for name, value in made.items() if REQUEST.get(name) != value}, changes


def own(**members: Any) -> Any:
    """Return a change of a user's own."""
    return type("Own", (), {"apply": lambda *_: [], **members})()


def single(memory: int = 1024, vcpus: str = "1", **more: Any) -> dict[str, Any]:
    """Return a revision of one container."""
    return {"containerProperties": {"image": "i", "resourceRequirements": needs(memory, vcpus)}, **more}


OUT = Cause.OUT_OF_MEMORY
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


def test_an_outer_range_that_gets_more_takes_nothing_from_one_inside() -> None:
    """The narrowest override that has a node counts, so the inner range has one as well, which overrides nothing."""
    ranges = [
        {"targetNodes": nodes, "container": {"image": "i", "resourceRequirements": needs(memory)}}
        for nodes, memory in (("0:3", 1024), ("2:", 8192))
    ]
    nested = {"nodeProperties": {"numNodes": 4, "mainNode": 0, "nodeRangeProperties": ranges}}
    made, [change] = applied(MoreMemory(), failed(OUT, node=0), nested)
    outer, inner = made["nodeOverrides"]["nodePropertyOverrides"]
    assert outer["containerOverrides"]["resourceRequirements"] == [{"type": "MEMORY", "value": "2048"}]
    assert (inner, change.after) == ({"targetNodes": "2:"}, "2048 MiB")


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


def test_other_causes_change_nothing() -> None:
    """A change answers what it says."""
    for change in (MoreMemory(), OtherQueue("on-demand"), LongerTimeout()):
        assert applied(change, failed(Cause.EXIT_CODE, Cause.UNKNOWN), single()) == ({}, [])


def test_the_queue_is_replaced_once_a_job_failed_there() -> None:
    """An ARN and a name are the same queue."""
    made, [change] = applied(OtherQueue("on-demand"), failed(Cause.HOST_LOST), single())
    assert made == {"jobQueue": "on-demand"}
    assert change.is_most
    arn = "arn:aws:batch:eu-central-1:123456789012:job-queue/spot"
    assert applied(OtherQueue("on-demand"), failed(Cause.HOST_LOST), single(), jobQueue=arn)[0] == made


def test_several_queues_are_taken_one_after_the_other() -> None:
    """The second once a job failed in the first one's."""
    lost = failed(Cause.HOST_LOST) + failed(Cause.CAPACITY, queue="second")
    for failures, queue in ((lost[:1], "second"), (lost, "third")):
        job = NextJob(deepcopy(REQUEST))
        for change in (OtherQueue("second"), OtherQueue("third")):
            list(change.apply(job, failures))
        assert job.request["jobQueue"] == queue


@pytest.mark.parametrize(
    ("definition", "own", "expected"),
    [({"timeout": {"attemptDurationSeconds": 60}}, {}, 120), ({}, {"timeout": {"attemptDurationSeconds": 90}}, 180)],
)
def test_a_timeout_grows_from_the_revisions_or_the_requests(
    definition: dict[str, Any], own: dict[str, Any], expected: int
) -> None:
    """Once for each job that took too long."""
    made, [change] = applied(LongerTimeout(), failed(Cause.TIMEOUT), single(**definition), **own)
    assert made == {"timeout": {"attemptDurationSeconds": expected}}
    assert change.after == f"{expected} s"
    made, [change] = applied(
        LongerTimeout(at_most=timedelta(minutes=3)), failed(*repeat(Cause.TIMEOUT, 3)), single(**definition), **own
    )
    assert made == {"timeout": {"attemptDurationSeconds": 180}}
    assert change.is_most


def test_what_is_not_known_is_said() -> None:
    """A role that may not look the revision up, and a job without a timeout."""
    notes: list[str] = []
    job = NextJob(deepcopy(REQUEST), {}, notes.append)
    assert list(MoreMemory().apply(job, failed(OUT))) == []
    assert list(LongerTimeout().apply(job, failed(Cause.TIMEOUT))) == []
    assert notes == [
        "MoreMemory changes nothing: the role may not look up the revision, which says what a job has",
        "LongerTimeout changes nothing: nothing says which timeout the job has",
    ]


def test_a_most_below_what_the_job_begins_with_is_told() -> None:
    """It could never give anything."""
    job = NextJob(deepcopy(REQUEST), single(2048, timeout={"attemptDurationSeconds": 600}))
    assert MoreMemory(at_most_mib=4096).check(job) is None
    assert MoreMemory(at_most_mib=1024).check(job) == (
        "MoreMemory(at_most_mib=1024) is below the 2048 MiB that the job begins with; raise it"
    )
    assert LongerTimeout(at_most=timedelta(minutes=5)).check(job) == (
        "LongerTimeout(at_most=0:05:00) is below the 600 s that the job begins with; raise it"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MoreMemory(factor=1), "MoreMemory factor must be above 1, not 1"),
        (lambda: MoreMemory(factor=0.5), "MoreMemory factor must be above 1, not 0.5"),
        (lambda: MoreMemory(factor=float("nan")), "MoreMemory factor must be a number above 0, not nan"),
        (lambda: MoreMemory(at_most_mib=0), "MoreMemory at_most_mib must be a number above 0, not 0"),
        (lambda: MoreMemory(at_most_mib=3), "MoreMemory at_most_mib must be a whole number from 4, not 3"),
        (lambda: MoreMemory(at_most_mib=1.5), "MoreMemory at_most_mib must be a whole number"),  # type: ignore[arg-type]
        (lambda: MoreMemory(after=set()), r"MoreMemory after must be a set of Cause, not set\(\)"),
        (lambda: MoreMemory(after={"out of memory"}), "MoreMemory after must be a set of Cause"),  # type: ignore[arg-type]
        (lambda: OtherQueue(""), "OtherQueue queue must not be empty"),
        (lambda: OtherQueue("{{ var.value.q }}"), "OtherQueue queue must be a name or an ARN, not the template"),
        (lambda: LongerTimeout(factor=-1), "LongerTimeout factor must be a number above 0"),
        (lambda: LongerTimeout(at_most=60), "LongerTimeout at_most must be a timedelta, not 60"),  # type: ignore[arg-type]
        (lambda: MoreMemory(factor="2"), "MoreMemory factor must be a number above 1, not '2'"),  # type: ignore[arg-type]
        (lambda: MoreMemory(factor=timedelta(2)), "MoreMemory factor must be a number above 1, not datetime"),  # type: ignore[arg-type]
        (lambda: LongerTimeout(factor="3"), "LongerTimeout factor must be a number above 1, not '3'"),  # type: ignore[arg-type]
        (lambda: check_changes([own(after=OUT)], "on_retry"), "on_retry: Own.after must be a set of Cause, not <Cause"),
        (
            lambda: check_changes([own(after="timeout")], "on_retry"),
            "on_retry: Own.after must be a set of Cause, not 'ti",
        ),
        (lambda: check_changes([own(after=[])], "on_retry"), r"on_retry: Own.after must be a set of Cause, not \[\]"),
        (lambda: check_changes(MoreMemory(), "on_retry"), "on_retry must be a list of changes such as MoreMemory"),
        (lambda: check_changes([MoreMemory], "on_retry"), "on_retry must have changes such as MoreMemory"),
        (lambda: check_changes(["MoreMemory"], "on_retry"), "on_retry must have changes such as MoreMemory"),
    ],
)
def test_a_wrong_argument_is_an_error_that_names_it(make: Any, message: str) -> None:
    """When the DAG is parsed."""
    with pytest.raises(ValueError, match=message):
        make()


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


def test_the_text_of_a_change_is_the_same_in_every_process() -> None:
    """It becomes a part of the DAG's version, and the order of a set of these differs from process to process."""
    causes = {Cause.KILLED, Cause.OUT_OF_MEMORY}
    assert str(MoreMemory(after=causes)) == (
        "MoreMemory(factor=2, at_most_mib=None, "
        "after=(<Cause.OUT_OF_MEMORY: 'out of memory'>, <Cause.KILLED: 'killed'>))"
    )


def test_a_change_of_ones_own_has_a_text_without_an_address() -> None:
    """Unless it has one of its own."""
    changes = [own(after={OUT}), own(after={OUT}, __repr__=lambda _: "mine")]
    check_changes(changes, "on_retry")
    assert [str(change) for change in changes] == ["Own()", "mine"]


def test_a_set_of_causes_has_the_same_order_in_every_process() -> None:
    """Its text is a part of that of a dataclass of a user's own."""
    program = "from airflow_batch_jobs.batch.cause import Cause; print(frozenset(Cause))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1
