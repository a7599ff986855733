"""Whose job it is: `TaskKey` and `TaskIdentity`. A task instance's jobs are found by name; tags tell which count."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Protocol

from airflow_batch_jobs.batch.definition.reference import NAME_LIMIT, RANDOM_DIGITS, legal_name, unique_name

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The beginning of every tag key that is this package's own.
TAG_PREFIX = "airflow-"
DAG_TAG = "airflow-dag-id"
RUN_TAG = "airflow-run-id"
TASK_TAG = "airflow-task-id"
MAP_INDEX_TAG = "airflow-map-index"
#: On jobs of tasks in a loop alone.
LOOP_INDEX_TAG = "airflow-loop-index"
#: Which attempt submitted the job, from 1.
TRY_NUMBER_TAG = "airflow-try-number"
#: Which wanted run of the task instance the job is of.
GENERATION_TAG = "airflow-generation"
#: Which Airflow submitted the job: `[batch_jobs] deployment`, in characters that AWS accepts.
DEPLOYMENT_TAG = "airflow-deployment"
#: On jobs that may outlive their task instance: the operator does not wait, or leaves the job alone when it is stopped.
DETACHED_TAG = "airflow-detached"
DETACHED = "true"

#: What AWS accepts in the keys and values of tags: letters, digits and spaces of any script, and these characters.
TAG_SIGNS = r"\w +\-=.:/@"
TAG_VALUE_LIMIT = 256
#: What neither of them may begin with, in any case of its letters.
TAG_RESERVED = "aws:"

_INSTANCE_DIGITS = 12
_TEXT_LIMIT = NAME_LIMIT - _INSTANCE_DIGITS - RANDOM_DIGITS - len("--")


class HasTaskKey(Protocol):
    """Anything that names a task instance as Airflow does: a worker's, a trigger's, a link's key."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int | None


@dataclass(frozen=True, slots=True)
class TaskKey:
    """The name of a task instance, without the attempt.

    Attributes:
        dag_id: The DAG.
        run_id: The DAG run.
        task_id: The task.
        map_index: The index in a mapped task; -1 in any other.
        loop_index: The pass of the loop that the task is in, from 0; None outside of loops. Passes of one task have all
            else in common.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    loop_index: int | None = None

    def __str__(self) -> str:
        mapped = "" if self.map_index < 0 else f"[{self.map_index}]"
        looped = "" if self.loop_index is None else f", pass {self.loop_index},"
        return f"{self.dag_id}.{self.task_id}{mapped}{looped} of run {self.run_id}"

    @classmethod
    def of(cls, ti: HasTaskKey, loop_index: int | None = None) -> TaskKey:
        """Take the name from anything that has it.

        Args:
            ti: What has it, but for the pass of a loop.
            loop_index: The pass.
        """
        return cls(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index, loop_index)


@dataclass(frozen=True, slots=True)
class TaskIdentity:
    """One attempt of one task instance.

    Attributes:
        key: The task instance.
        try_number: Which attempt, from 1.
        max_tries: How many retries are allowed; changes when a user clears the task instance.
        traceparent: That of the task instance's trace; changes on a clear, not on a retry. None if unknown.
        deployment: The name of this Airflow among those that share an AWS account.
        region_id: Where Airflow keeps the pass of a loop; changes when a clear makes the pass anew, not on a retry.
            None outside of loops.
    """

    key: TaskKey
    _: KW_ONLY
    try_number: int = 1
    max_tries: int = 0
    traceparent: str | None = None
    deployment: str = ""
    region_id: str | None = None

    @property
    def generation(self) -> str:
        """The same for all attempts at one wanted run of the task instance; different after a clear."""
        region = () if self.region_id is None else (self.region_id,)
        return _digest(16, *_instance(self.key, self.deployment), self.traceparent or "", self.max_tries, *region)

    def job_name_prefix(self, job_name: str | None = None) -> str:
        """Return how the names of all jobs of this task instance begin: `<dag>-<task>-<hash>`.

        Args:
            job_name: Replaces `<dag>-<task>`.
        """
        text = legal_name(job_name or f"{self.key.dag_id}-{self.key.task_id}", _TEXT_LIMIT)
        return f"{text}-{_instance_digest(self.key, self.deployment)}"


def new_job_name(prefix: str) -> str:
    """Return a name for a new job of a task instance: `<dag>-<task>-<hash>-<six random hexadecimal digits>`.

    Args:
        prefix: From `TaskIdentity.job_name_prefix`.
    """
    return unique_name(prefix)


def task_tags(identity: TaskIdentity, *, is_detached: bool = False) -> dict[str, str]:
    """Return the tags that tell whose job it is, with values that AWS accepts.

    Args:
        identity: Whose job it is.
        is_detached: Whether the job may outlive its task instance.
    """
    values = {
        DAG_TAG: identity.key.dag_id,
        RUN_TAG: identity.key.run_id,
        TASK_TAG: identity.key.task_id,
        MAP_INDEX_TAG: str(identity.key.map_index),
        TRY_NUMBER_TAG: str(identity.try_number),
        GENERATION_TAG: identity.generation,
        DEPLOYMENT_TAG: identity.deployment,
    }
    if identity.key.loop_index is not None:
        values[LOOP_INDEX_TAG] = str(identity.key.loop_index)
    if is_detached:
        values[DETACHED_TAG] = DETACHED
    return {key: legal_tag_value(value) for key, value in values.items()}


def owner_of(tags: Mapping[str, str], job_name: str, deployment: str) -> TaskKey | None:
    """Tell from a job's tags and name whose it is; None if that cannot be told exactly.

    A tag holds what AWS accepts of a value, not always the value itself: a run id may contain a `~`. The hash in the
    job's name is made of the values themselves, so tags that do not give the same hash are not believed.

    Args:
        tags: The job's tags.
        job_name: The job's name.
        deployment: The deployment that the job has to belong to.
    """
    named = re.fullmatch(rf".*-([0-9a-f]{{{_INSTANCE_DIGITS}}})-[0-9a-f]{{{RANDOM_DIGITS}}}", job_name)
    map_index, loop_index = tags.get(MAP_INDEX_TAG, ""), tags.get(LOOP_INDEX_TAG)
    if named is None or not re.fullmatch(r"-1|[0-9]+", map_index) or not re.fullmatch(r"[0-9]+", loop_index or "0"):
        return None
    owner = TaskKey(
        tags.get(DAG_TAG, ""),
        tags.get(RUN_TAG, ""),
        tags.get(TASK_TAG, ""),
        int(map_index),
        None if loop_index is None else int(loop_index),
    )
    return owner if _instance_digest(owner, deployment) == named[1] else None


def legal_tag_value(text: str) -> str:
    """Replace what AWS does not accept in a tag's value with `_`, and cut it to the length that AWS accepts."""
    legal = re.sub(rf"[^{TAG_SIGNS}]", "_", text)[:TAG_VALUE_LIMIT]
    return legal.replace(":", "_", 1) if legal.lower().startswith(TAG_RESERVED) else legal


def _instance_digest(key: TaskKey, deployment: str) -> str:
    """Return what distinguishes the names of a task instance's jobs from others, whatever was cut from the names."""
    return _digest(_INSTANCE_DIGITS, *_instance(key, deployment))


def _instance(key: TaskKey, deployment: str) -> tuple[str | int, ...]:
    looped = () if key.loop_index is None else (key.loop_index,)
    return deployment, key.dag_id, key.run_id, key.task_id, key.map_index, *looped


def _digest(digits: int, *parts: str | int) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:digits]
