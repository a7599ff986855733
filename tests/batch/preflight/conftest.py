"""Revisions of each kind, requests for them, and a Batch that takes or refuses these in this process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.preflight.check import check_plan
from airflow_batch_jobs.batch.preflight.plan import Plan
from airflow_batch_jobs.local.account import Account
from airflow_batch_jobs.local.clock import Timeline
from airflow_batch_jobs.local.definitions import Definitions
from airflow_batch_jobs.local.jobs import Jobs
from airflow_batch_jobs.local.queues import Queues
from airflow_batch_jobs.local.submit import Submitter
from tests.batch.conftest import request_for

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.request import SubmitRequest
    from airflow_batch_jobs.local.jobs import Job

ROLE = "arn:aws:iam::123456789012:role/r"
SIZES = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
FINE: dict[str, Any] = {"image": "i", "command": ["run", "Ref::word"], "resourceRequirements": SIZES}
ON_FARGATE = {"platformCapabilities": ["FARGATE"]}
PAIR = [{**FINE, "name": "main"}, {**FINE, "name": "side", "essential": False, "command": ["run", "Ref::other"]}]
POD = {
    "containers": [{"image": "i", "name": "main", "args": ["Ref::word"]}],
    "initContainers": [{"image": "i", "name": "first"}, {"image": "i", "name": "second"}],
}
#: A task on Fargate has what its containers have together.
HALVES = [{**one, "resourceRequirements": [SIZES[0], {"type": "MEMORY", "value": "4096"}]} for one in PAIR]
MESH = [
    {"targetNodes": "0:", "container": FINE},
    {"targetNodes": "1:2", "ecsProperties": {"taskProperties": [{"containers": PAIR}]}},
]
PODS = [{"targetNodes": targets, "eksProperties": {"podProperties": POD}} for targets in ("0:", "2:3")]
CLOSED = [{"targetNodes": "0:0", "container": FINE}, {"targetNodes": "1:3", "container": FINE}]
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"containerProperties": FINE},
    "legacy": {"containerProperties": {"image": "i", "command": ["run"], "vcpus": 1, "memory": 128}},
    "fargate": {**ON_FARGATE, "containerProperties": {**FINE, "executionRoleArn": ROLE}},
    "pair": {"ecsProperties": {"taskProperties": [{"containers": PAIR}]}},
    "halves": {**ON_FARGATE, "ecsProperties": {"taskProperties": [{"containers": HALVES, "executionRoleArn": ROLE}]}},
    "pod": {"eksProperties": {"podProperties": POD}},
    "mesh": {"nodeProperties": {"numNodes": 4, "mainNode": 1, "nodeRangeProperties": MESH}},
    "pods": {"nodeProperties": {"numNodes": 4, "mainNode": 0, "nodeRangeProperties": PODS}},
    "closed": {"nodeProperties": {"numNodes": 4, "mainNode": 0, "nodeRangeProperties": CLOSED}},
    "tagged": {"containerProperties": FINE, "tags": {f"d{number}": "" for number in range(30)}},
}


class Batch:
    """Takes requests as the local AWS does, without HTTP and without running anything."""

    def __init__(self) -> None:
        account = Account()
        self._definitions, jobs = Definitions(account), Jobs(10, lambda _: None)
        self._submitter = Submitter(
            account, Timeline(frozen=True), self._definitions, Queues(account, ["default"]), jobs
        )
        for name, properties in KINDS.items():
            kind = "multinode" if "nodeProperties" in properties else "container"
            defaults = {"word": "w", "other": "o"}
            self._definitions.register({"jobDefinitionName": name, "type": kind, "parameters": defaults, **properties})

    def plan(self, request: SubmitRequest) -> Plan:
        """Return what a request makes of its revision."""
        return Plan.of(self._definitions.active(request.job_definition).describe(), request.to_api())

    def submit(self, request: SubmitRequest) -> Job:
        """Return the job that Batch makes of a request.

        Raises:
            ServiceError: It refuses it.
        """
        sent = request.to_api()
        return self._submitter.make_job(sent, len(json.dumps(sent)))


@pytest.fixture(scope="session")
def batch() -> Batch:
    """A Batch with a definition of each kind."""
    return Batch()


def check(batch: Batch, kind: str, **fields: Any) -> None:
    """Look at a request for a revision of a kind."""
    request = request_for(f"{kind}:1", **fields)
    request.validate()
    check_plan(batch.plan(request))


def task(*overrides: dict[str, Any]) -> dict[str, Any]:
    """Return overrides of a task's containers."""
    return {"ecsPropertiesOverride": {"taskProperties": [{"containers": list(overrides)}]}}


def pod(*overrides: dict[str, Any], key: str = "containers") -> dict[str, Any]:
    """Return overrides of a pod's containers."""
    return {"eksPropertiesOverride": {"podProperties": {key: list(overrides)}}}


def nodes(targets: str = "0:", count: int | None = None, **override: Any) -> dict[str, Any]:
    """Return an override of a range of nodes."""
    of_range: dict[str, Any] = {"nodePropertyOverrides": [{"targetNodes": targets, **override}]}
    return {"nodeOverrides": of_range if count is None else {**of_range, "numNodes": count}}


def notes(batch: Batch, kind: str, **fields: Any) -> list[str]:
    """Return what is told of a request that is not refused."""
    said: list[str] = []
    check_plan(batch.plan(request_for(f"{kind}:1", **fields)), said.append)
    return said
