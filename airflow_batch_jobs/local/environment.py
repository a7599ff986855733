"""The environment of a job's process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_batch_jobs.local.jobs import Attempt, Job, Part


def environment_of(job: Job, attempt: Attempt, part: Part, home: str) -> dict[str, str]:
    """Return a part's environment: like a container's, with nothing of this process but PATH and LANG.

    Args:
        job: The job.
        attempt: The current attempt.
        part: The part that is to run.
        home: Its own directory.
    """
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": home,
        "AWS_BATCH_CE_NAME": "local",
        "AWS_BATCH_JQ_NAME": job.queue_arn.rpartition("/")[2],
        "AWS_BATCH_JOB_ID": job.id,
        "AWS_BATCH_JOB_ATTEMPT": str(attempt.number),
    }
    if job.parent:
        environment["AWS_BATCH_JOB_ARRAY_INDEX"] = str(job.index)
        environment["AWS_BATCH_JOB_ARRAY_SIZE"] = str(job.parent.array_size)
    if part.container.node is not None:
        environment |= _node(job, part.container.node)
    return environment | dict(part.container.environment)


def _node(job: Job, node: int) -> dict[str, str]:
    environment = {
        "AWS_BATCH_JOB_ID": f"{job.id}#{node}",
        "AWS_BATCH_JOB_NODE_INDEX": str(node),
        "AWS_BATCH_JOB_NUM_NODES": str(job.node_count),
        "AWS_BATCH_JOB_MAIN_NODE_INDEX": str(job.main_node),
    }
    if node != job.main_node:
        environment["AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"] = "127.0.0.1"
    return environment
