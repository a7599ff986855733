"""Attempts after attempts: whatever fails, in whatever job, and whatever list of changes answers it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.changes.change import Change
from airflow_batch_jobs.batch.changes.failure import Failure
from airflow_batch_jobs.batch.changes.longer_timeout import LongerTimeout
from airflow_batch_jobs.batch.changes.more_memory import MoreMemory
from airflow_batch_jobs.batch.changes.next_job import NextJob
from airflow_batch_jobs.batch.changes.on_retry import OnRetry
from airflow_batch_jobs.batch.changes.other_queue import OtherQueue
from airflow_batch_jobs.batch.fargate import MEMORY_MIB, Size
from airflow_batch_jobs.batch.preflight.check import check_plan
from airflow_batch_jobs.batch.preflight.plan import Plan
from airflow_batch_jobs.batch.request import SubmitRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CAUSES = [Cause.OUT_OF_MEMORY, Cause.KILLED, Cause.HOST_LOST, Cause.TIMEOUT, Cause.EXIT_CODE]
QUEUES = ["default", "b", "c"]
SIZES = [Size(vcpus, memory) for vcpus, every in MEMORY_MIB.items() for memory in every]


@dataclass(frozen=True)
class Replacing:
    """A change of a user's own that puts new objects in the place of the overrides."""

    after: frozenset[Cause]
    name: str

    def apply(self, job: NextJob, failures: Sequence[Failure]) -> Iterable[Change]:
        """Say in a variable how often it has answered."""
        answered = sum(failure.cause in self.after for failure in failures)
        if not answered:
            return
        for key in ("containerOverrides", "ecsPropertiesOverride", "nodeOverrides", "eksPropertiesOverride"):
            if key in job.request:
                job.request[key] = deepcopy(job.request[key])
        if "containerOverrides" in job.request:
            mine = {"name": self.name, "value": str(answered)}
            others = [
                each for each in job.request["containerOverrides"].get("environment", []) if each["name"] != self.name
            ]
            job.request["containerOverrides"] |= {"environment": [*others, mine]}
            yield Change(f"environment {self.name}", "", str(answered), "a test")


def container(name: str | None, memory: int, vcpus: Decimal) -> dict[str, Any]:
    """Return a container."""
    needs = [{"type": "VCPU", "value": str(vcpus)}, {"type": "MEMORY", "value": str(memory)}]
    return {"image": "i", "resourceRequirements": needs, **({} if name is None else {"name": name})}


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    """Return a revision of any kind of job."""
    on_fargate, kind = draw(st.booleans()), draw(st.sampled_from(["single", "ecs", "nodes", "pod"]))
    if kind == "pod":
        memory = draw(st.integers(4, 4000))
        resources = {"limits": {"memory": f"{memory}Mi"}}
        return {
            "eksProperties": {"podProperties": {"containers": [{"name": "a", "image": "i", "resources": resources}]}}
        }
    many = 1 if kind == "single" else draw(st.integers(1, 3))
    if on_fargate and kind != "nodes":
        size = draw(st.sampled_from(SIZES))
        cuts = sorted(
            draw(st.lists(st.integers(1, size.memory_mib - 1), min_size=many - 1, max_size=many - 1, unique=True))
        )
        memories = [end - begin for begin, end in zip([0, *cuts], [*cuts, size.memory_mib], strict=True)]
        vcpus = [size.vcpus / 4] * (many - 1)
        vcpus.append(size.vcpus - sum(vcpus, Decimal()))
    else:
        memories = draw(st.lists(st.integers(4, 4000), min_size=many, max_size=many))
        vcpus = [Decimal(1)] * many
    timeout = {"timeout": {"attemptDurationSeconds": 60}} if draw(st.booleans()) else {}
    platform: dict[str, Any] = (
        {"platformCapabilities": ["FARGATE"], **timeout} if on_fargate and kind != "nodes" else timeout
    )
    if kind == "single":
        return {"containerProperties": container(None, memories[0], vcpus[0]), **platform}
    if kind == "nodes":
        ranges = [
            {"targetNodes": str(number), "container": container(None, memory, Decimal(1))}
            for number, memory in enumerate(memories)
        ]
        return {"nodeProperties": {"numNodes": many, "mainNode": 0, "nodeRangeProperties": ranges}, **platform}
    containers = [
        container(name, memory, each) for name, memory, each in zip("abc"[:many], memories, vcpus, strict=True)
    ]
    return {"ecsProperties": {"taskProperties": [{"containers": containers}]}, **platform}


afters = st.sets(st.sampled_from(CAUSES), min_size=1, max_size=3)
changes = st.lists(
    st.one_of(
        st.builds(
            MoreMemory,
            factor=st.sampled_from([1.01, 1.1, 1.5, 2, 3, 10]),
            at_most_mib=st.one_of(st.none(), st.integers(4, 200_000)),
            after=st.one_of(st.just({Cause.OUT_OF_MEMORY}), afters),
        ),
        st.builds(OtherQueue, st.sampled_from(QUEUES), after=afters),
        st.builds(
            LongerTimeout, factor=st.sampled_from([1.1, 2, 3]), after=st.one_of(st.just({Cause.TIMEOUT}), afters)
        ),
        st.builds(Replacing, after=afters.map(frozenset), name=st.sampled_from("XYZ")),
    ),
    min_size=1,
    max_size=4,
)
falls = st.lists(st.tuples(st.sampled_from(CAUSES), st.integers(0, 2)), min_size=1, max_size=7)


def memory_of(definition: Mapping[str, Any], request: dict[str, Any]) -> dict[str, int | None]:
    """Return how much memory each container has, by the path of its override."""
    tasks = NextJob(deepcopy(request), definition).tasks
    return {container.path: container.memory_mib for task in tasks for container in task.containers}


@settings(deadline=None)
@given(definitions(), changes, falls)
def test_no_attempt_loses_what_one_before_it_was_given_or_repeats_one_in_vain(
    definition: dict[str, Any], changes: list[Any], falls: list[tuple[Cause, int]]
) -> None:
    """Memory never falls and keeps to its most, and what is said is what is sent."""
    request = SubmitRequest(job_name="d-t-0", job_queue="default", job_definition="job:1")
    on_retry = OnRetry(no_clients, changes, lambda _: None)
    original = had = request.to_api()
    failures: list[Failure] = []
    told: list[list[Change]] = [[] for _ in changes]
    for number, (cause, part) in enumerate(falls):
        containers = [(task, one) for task in NextJob(deepcopy(had), definition).tasks for one in task.containers]
        task, failed = containers[part % len(containers)]
        node = None if task.nodes is None else task.nodes[0]
        failures.append(
            Failure(job_id=f"job-{number}", cause=cause, queue=had["jobQueue"], container=failed.name, node=node)
        )
        made, tells = on_retry.made(request, definition, failures)
        check_plan(Plan.of(definition, made))
        base, before, after = (memory_of(definition, each) for each in (original, had, made))
        most = max((change.at_most_mib or 10**9 for change in changes if isinstance(change, MoreMemory)), default=0)
        for path in base:
            assert (before[path] or 0) <= (after[path] or 0) <= max(base[path] or 0, most)
        if made != had:
            assert tells != told
        else:
            assert not [
                change
                for change in changes
                if isinstance(change, MoreMemory)
                and cause in change.after
                and has_room(definition, made, change, failed.path)
            ]
        check_told([one for each in tells for one in each], original, made, base, after)
        had, told = made, tells


def no_clients(*_: Any, **__: Any) -> Any:
    """Make no client: nothing is asked of AWS."""
    raise AssertionError


def has_room(definition: Mapping[str, Any], request: dict[str, Any], change: MoreMemory, path: str) -> bool:
    """Tell whether a container can be given more by a change."""
    [(task, one)] = [
        (task, one)
        for task in NextJob(deepcopy(request), definition).tasks
        for one in task.containers
        if one.path == path
    ]
    size, memory = task.size(), one.memory_mib or 0
    most = change.at_most_mib or 10**8
    if "FARGATE" not in definition.get("platformCapabilities", ()) or size is None:
        return memory < most
    return any(each.vcpus >= size.vcpus and 0 < each.memory_mib - size.memory_mib <= most - memory for each in SIZES)


def check_told(
    told: list[Change], original: dict[str, Any], made: dict[str, Any], base: dict[str, Any], after: dict[str, Any]
) -> None:
    """Check that the last that is said of each field is what is sent, and that nothing else differs."""
    last = {one.field: one.after for one in told}
    for path, memory in after.items():
        assert int(last.get(f"{path} memory", str(base[path])).split()[0]) == memory
    assert last.get("jobQueue", original["jobQueue"]) == made["jobQueue"]
    timeout = made.get("timeout", {}).get("attemptDurationSeconds")
    assert last.get("timeout.attemptDurationSeconds", None if timeout is None else "") == (timeout and f"{timeout} s")
    sent = {each["name"]: each["value"] for each in made.get("containerOverrides", {}).get("environment", [])}
    assert sent == {name: last[f"environment {name}"] for name in "XYZ" if f"environment {name}" in last}
