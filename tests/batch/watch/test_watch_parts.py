"""JobWatcher and the parts of arrays and multi-node jobs, in virtual time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.watch import Ended
from tests.batch.virtual import VirtualAws, consume, follow_to_end, lines_by_label, lines_of, run
from tests.batch.watch.scripted import numbered

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.watch.updates import Update
    from airflow_batch_jobs.local.server import LocalAws


def register_nodes(aws: LocalAws) -> None:
    """Register `nodes:1`, a definition of three nodes."""
    container = {"image": "i", "command": ["c"], "vcpus": 1, "memory": 128}
    ranges = [{"targetNodes": "0:2", "container": container}]
    aws.clients()("batch").register_job_definition(
        jobDefinitionName="nodes",
        type="multinode",
        nodeProperties={"numNodes": 3, "mainNode": 0, "nodeRangeProperties": ranges},
    )


def test_an_array_shows_all_childrens_lines_under_their_labels(frozen_aws: LocalAws) -> None:
    """Of an array of three every line of each child comes, and the children are part of the end."""
    frozen_aws.script(definition="talk", running=20, lines={"count": 20, "rate": 1.0})
    reference = frozen_aws.register("talk")
    [job_id] = frozen_aws.submit(reference, arrayProperties={"size": 3})

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    updates = run(main())
    assert lines_by_label(updates) == {f"child {index}": numbered(20) for index in range(3)}
    end = updates[-1]
    assert isinstance(end, Ended)
    assert [part.array_index for part in end.parts] == [0, 1, 2]


@pytest.mark.long
def test_a_large_array_costs_a_bounded_number_of_calls(frozen_aws: LocalAws) -> None:
    """1,500 children are asked for by the hundred, at most five calls each time, and not at all while none moves."""
    frozen_aws.script(definition="talk", runnable=60, running=30, lines=1)
    reference = frozen_aws.register("talk")
    [job_id] = frozen_aws.submit(reference, arrayProperties={"size": 1_500})

    async def main() -> tuple[int, list[Update]]:
        virtual = VirtualAws(frozen_aws)
        async with virtual.watcher(log_lines_per_second=2_000).follow(job_id) as follower:
            watched: list[Update] = []
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(consume(follower, watched))
                await asyncio.sleep(55)
                waiting = len(frozen_aws.requests("DescribeJobs"))
                await task
        return waiting, watched

    waiting, updates = run(main())
    assert waiting <= 13
    calls = frozen_aws.requests("DescribeJobs")
    assert all(len(call.parameters["jobs"]) <= 100 for call in calls)
    assert len(calls) <= 15 + 8 * 6 + 16
    assert len(lines_of(updates)) == 1_500
    assert len(lines_by_label(updates)) == 1_500


@pytest.mark.long
def test_every_running_child_of_a_large_array_has_its_turn(frozen_aws: LocalAws) -> None:
    """None waits for the end of others before its log is shown."""
    frozen_aws.script(definition="talk", running=7_200)
    [job_id] = frozen_aws.submit(frozen_aws.register("talk"), arrayProperties={"size": 1_200})

    async def main() -> int:
        async with VirtualAws(frozen_aws).watcher().follow(job_id) as follower:
            with suppress(TimeoutError):
                async with asyncio.timeout(60):
                    await consume(follower, [])
            return len(follower.log_streams())

    assert run(main()) == 1_200


def test_an_array_that_failed_tells_which_children_without_its_log(frozen_aws: LocalAws) -> None:
    """Without the log the children are not watched, and those that failed are described at the end."""
    frozen_aws.script(definition="talk", running=5)
    frozen_aws.script(definition="talk", array_index=2, running=5, attempts=[7])
    reference = frozen_aws.register("talk")
    [job_id] = frozen_aws.submit(reference, arrayProperties={"size": 4})

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id, copy_logs=False))

    updates = run(main())
    end = updates[-1]
    assert isinstance(end, Ended)
    assert [(part.array_index, part.exit_code) for part in end.parts] == [(2, 7)]
    assert frozen_aws.counts().get("FilterLogEvents", 0) == 0


def test_a_multi_node_job_shows_all_nodes_lines_under_their_labels(frozen_aws: LocalAws) -> None:
    """Of three nodes every line comes."""
    frozen_aws.script(definition="nodes", running=20, lines={"count": 20, "rate": 1.0})
    register_nodes(frozen_aws)
    [job_id] = frozen_aws.submit("nodes:1")

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    updates = run(main())
    assert lines_by_label(updates) == {f"node {index}": numbered(20) for index in range(3)}


def test_a_multi_node_job_that_is_retried_shows_all_attempts_of_all_nodes(frozen_aws: LocalAws) -> None:
    """The nodes of the first attempt are final before the second one runs on them again."""
    frozen_aws.script(definition="nodes", running=12, attempts=[1, 0], lines={"count": 12, "rate": 1.0})
    register_nodes(frozen_aws)
    [job_id] = frozen_aws.submit("nodes:1")

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    updates = run(main())
    assert sorted(lines_of(updates)) == sorted(numbered(12) * 6)
    assert isinstance(updates[-1], Ended)


def test_a_multi_node_job_that_failed_tells_which_nodes_without_its_log(frozen_aws: LocalAws) -> None:
    """The nodes that failed are described at the end."""
    frozen_aws.script(definition="nodes", running=5, attempts=[{"exit_code": 9, "parts": {"1": 9, "0": 9, "2": 0}}])
    register_nodes(frozen_aws)
    [job_id] = frozen_aws.submit("nodes:1")

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id, copy_logs=False))

    end = run(main())[-1]
    assert isinstance(end, Ended)
    assert 0 in {part.node_index for part in end.parts}
    assert {part.status for part in end.parts} == {JobStatus.FAILED}


def test_parts_that_aws_does_not_mention_hold_up_the_end_for_seconds_only(frozen_aws: LocalAws) -> None:
    """A job whose parts cannot be described ends without them."""
    frozen_aws.script(definition="nodes", running=5, lines=3)
    register_nodes(frozen_aws)
    [job_id] = frozen_aws.submit("nodes:1")
    make = frozen_aws.clients()

    def clients(service: str, **how: Any) -> Any:
        client = make(service, **how)

        def leave_parts_out(parsed: dict[str, Any], **_: Any) -> None:
            parsed["jobs"] = [job for job in parsed["jobs"] if "#" not in job["jobId"]]

        if service == "batch":
            client.meta.events.register("after-call.batch.DescribeJobs", leave_parts_out)
        return client

    async def main() -> tuple[list[Update], float]:
        updates = await follow_to_end(VirtualAws(frozen_aws).watcher(clients).follow(job_id))
        return updates, asyncio.get_running_loop().time()

    updates, seconds = run(main())
    assert isinstance(updates[-1], Ended)
    assert updates[-1].parts == ()
    assert seconds < 9 + 5 + 20
