"""DescribeJobs entries of every shape, as AWS writes them, with overrides; a request; and a clock that tests move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.request import SubmitRequest
from tests.clocks import ManualClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_batch_jobs.local.server import LocalAws

REGION = "eu-central-1"
ACCOUNT = f"arn:aws:batch:{REGION}:123456789012"
JOB_ID = "0f5e3c5a-7d0b-4b0e-9d5c-8a4d3a1b2c3d"

#: When every job of these factories was submitted.
CREATED = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def milliseconds(seconds: float) -> int:
    """Return AWS's form of the time this many seconds after the submit."""
    return int((CREATED + timedelta(seconds=seconds)).timestamp() * 1000)


class Entries:
    """Makes DescribeJobs entries; every keyword is a field of the entry, under AWS's own name."""

    def single(self, **fields: Any) -> dict[str, Any]:
        """A job of one container that ran from 12 s to 200 s after its submit and SUCCEEDED."""
        return {
            **self._every(),
            "status": "SUCCEEDED",
            "startedAt": milliseconds(12),
            "stoppedAt": milliseconds(200),
            "attempts": [self.attempt()],
            "container": {**self.container(), "exitCode": 0, "logStreamName": "align/default/1"},
            **fields,
        }

    def failed(self, exit_code: int | None = 1, reason: str = "", **fields: Any) -> dict[str, Any]:
        """A job of one container that FAILED."""
        end: dict[str, Any] = {"logStreamName": "align/default/1"}
        if exit_code is not None:
            end["exitCode"] = exit_code
        if reason:
            end["reason"] = reason
        status_reason = fields.get("statusReason", "Essential container in task exited")
        return self.single(
            **{
                "status": "FAILED",
                "statusReason": status_reason,
                "attempts": [{**self.attempt(), "container": end, "statusReason": status_reason}],
                "container": {**self.container(), **end},
                **fields,
            }
        )

    def waiting(self, status: str = "RUNNABLE", **fields: Any) -> dict[str, Any]:
        """A job that has not started: nearly everything is absent."""
        return {**self._every(), "status": status, "attempts": [], "container": self.container(), **fields}

    def running(self, **fields: Any) -> dict[str, Any]:
        """A job in its first attempt, which AWS does not list yet."""
        return {
            **self._every(),
            "status": "RUNNING",
            "startedAt": milliseconds(12),
            "attempts": [],
            "container": {**self.container(), "logStreamName": "align/default/1"},
            **fields,
        }

    def multi_container(self, results: Mapping[str, Mapping[str, Any]], **fields: Any) -> dict[str, Any]:
        """A job of several containers in one task.

        Args:
            results: By container name: `exitCode`, `reason`, `logStreamName`, `essential`, `logConfiguration`, …
            fields: Fields of the entry.
        """
        seen = ("exitCode", "reason", "logStreamName")
        containers = [{"name": name, "image": f"images/{name}:1", **result} for name, result in results.items()]
        attempted = [
            {"name": name, **{key: result[key] for key in seen if key in result}} for name, result in results.items()
        ]
        return {
            **self._every(),
            "status": "FAILED" if any(result.get("exitCode") for result in results.values()) else "SUCCEEDED",
            "startedAt": milliseconds(12),
            "stoppedAt": milliseconds(200),
            "container": {},
            "attempts": [
                {
                    "container": {},
                    "startedAt": milliseconds(12),
                    "stoppedAt": milliseconds(200),
                    "taskProperties": [{"taskArn": "arn:task", "containers": attempted}],
                }
            ],
            "ecsProperties": {"taskProperties": [{"taskArn": "arn:task", "containers": containers}]},
            **fields,
        }

    def array(self, summary: Mapping[str, int], **fields: Any) -> dict[str, Any]:
        """The parent of an array whose children are in the states given."""
        return {
            **self._every(),
            "status": "PENDING",
            "attempts": [],
            "container": self.container(),
            "arrayProperties": {"size": sum(summary.values()), "statusSummary": dict(summary)},
            **fields,
        }

    def child(self, index: int, entry: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A child of an array: any other entry, under the child's id."""
        return {
            **(entry or self.single()),
            "jobId": f"{JOB_ID}:{index}",
            "jobArn": f"{ACCOUNT}:job/{JOB_ID}:{index}",
            "arrayProperties": {"statusSummary": {}, "index": index},
        }

    def multi_node(self, nodes: int, main: int = 0, **fields: Any) -> dict[str, Any]:
        """The parent of a multi-node job: it has no container of its own."""
        ranges = [{"targetNodes": f"0:{nodes - 1}", "container": self.container()}]
        return {
            **self._every(),
            "status": "RUNNING",
            "startedAt": milliseconds(12),
            "attempts": [],
            "nodeProperties": {"numNodes": nodes, "mainNode": main, "nodeRangeProperties": ranges},
            **fields,
        }

    def node(self, index: int, entry: Mapping[str, Any] | None = None, *, is_main: bool = False) -> dict[str, Any]:
        """A node of a multi-node job: any other entry, under the node's id."""
        return {
            **(entry or self.single()),
            "jobId": f"{JOB_ID}#{index}",
            "jobArn": f"{ACCOUNT}:job/{JOB_ID}#{index}",
            "nodeDetails": {"nodeIndex": index, "isMainNode": is_main},
        }

    def eks(self, exit_code: int = 0, reason: str = "Completed", **fields: Any) -> dict[str, Any]:
        """A job that ran as a pod on EKS."""
        return {
            **self._every(),
            "status": "FAILED" if exit_code else "SUCCEEDED",
            "startedAt": milliseconds(12),
            "stoppedAt": milliseconds(200),
            "attempts": [],
            "eksProperties": {
                "podProperties": {
                    "containers": [{"name": "main", "image": "images/main:1", "exitCode": exit_code, "reason": reason}],
                    "podName": "aws-batch.0f5e3c5a",
                    "nodeName": "ip-10-0-0-7.ec2.internal",
                    "metadata": {"labels": {}},
                }
            },
            "eksAttempts": [
                {
                    "containers": [{"name": "main", "exitCode": exit_code, "reason": reason}],
                    "initContainers": [],
                    "eksClusterArn": f"arn:aws:eks:{REGION}:123456789012:cluster/science",
                    "podName": "aws-batch.0f5e3c5a",
                    "podNamespace": "batch-jobs",
                    "nodeName": "ip-10-0-0-7.ec2.internal",
                    "startedAt": milliseconds(12),
                    "stoppedAt": milliseconds(200),
                }
            ],
            **fields,
        }

    def attempt(self, number: int = 1, **container: Any) -> dict[str, Any]:
        """An ended attempt of one container: the first from 12 s to 200 s, each next one 300 s later."""
        start = 12 + 300 * (number - 1)
        return {
            "container": {"exitCode": 0, "logStreamName": f"align/default/{number}", **container},
            "startedAt": milliseconds(start),
            "stoppedAt": milliseconds(start + 188),
            "statusReason": "Essential container in task exited",
        }

    def container(self, **fields: Any) -> dict[str, Any]:
        """A container that has not run."""
        return {"image": "images/align:1", "command": ["align"], "vcpus": 1, "memory": 512, **fields}

    def read(self, entry: Mapping[str, Any]) -> JobDetail:
        """The entry as the package sees it."""
        return JobDetail.from_response(entry, REGION)

    def _every(self) -> dict[str, Any]:
        return {
            "jobId": JOB_ID,
            "jobArn": f"{ACCOUNT}:job/{JOB_ID}",
            "jobName": "align",
            "jobQueue": f"{ACCOUNT}:job-queue/science",
            "jobDefinition": f"{ACCOUNT}:job-definition/align-reads:7",
            "createdAt": milliseconds(0),
            "dependsOn": [],
            "parameters": {},
            "tags": {},
        }


@pytest.fixture
def entries() -> Entries:
    """Makes DescribeJobs entries."""
    return Entries()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that nothing else moves with."""
    return ManualClock()


def request_for(definition: str, **fields: Any) -> SubmitRequest:
    """A request for a job of the default queue."""
    return SubmitRequest(**{"job_name": "align-1", "job_queue": "default", "job_definition": definition, **fields})


@pytest.fixture
def align(aws: LocalAws) -> str:
    """A definition at revision 1 whose jobs end at once."""
    aws.script(definition="align", running=0)
    return aws.register("align", ["align", "Ref::sample"], parameters={"sample": "none"})
