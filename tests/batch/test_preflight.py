"""What is checked before a submit: the queue, the revision, and the placeholders of its commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from airflow_batch_jobs.batch.preflight import check_queue, check_request, check_revision
from airflow_batch_jobs.errors import (
    AccessDeniedError,
    DefinitionNotFoundError,
    NotPinnedError,
    ParameterError,
    QueueNotFoundError,
    RevisionInactiveError,
)
from tests.batch.conftest import request_for

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws


def test_a_good_request_passes(aws: LocalAws, align: str) -> None:
    """The check tells the ARN of the revision that will run."""
    arn = check_request(aws.clients(), request_for(align))
    assert arn.startswith("arn:aws:batch:")
    assert arn.endswith(":job-definition/align:1")


def test_an_unknown_queue_is_named_with_those_there_are(aws: LocalAws) -> None:
    """A typing error in the queue's name is seen at a glance."""
    with pytest.raises(QueueNotFoundError, match=r"No job queue 'defualt' in region .*Existing queues: default"):
        check_queue(aws.clients(), "defualt")


def test_an_unknown_definition_is_named(aws: LocalAws) -> None:
    """There is nothing of that name at all."""
    with pytest.raises(DefinitionNotFoundError, match="No job definition 'algin' is active"):
        check_revision(aws.clients(), "algin:1")


def test_an_unknown_revision_is_told_the_newest(aws: LocalAws) -> None:
    """The definition exists, and the revision does not."""
    for _ in range(2):
        aws.register("align", ["align"])
    with pytest.raises(DefinitionNotFoundError, match=r"no revision 9\. The newest ACTIVE one is 2"):
        check_revision(aws.clients(), "align:9")


def test_a_deregistered_revision_is_told_the_newest_active_one(aws: LocalAws) -> None:
    """Infrastructure tools deregister the revision before: the error says which one there is and how to pin it."""
    arn = check_revision(aws.clients(), aws.register("align", ["align"]))["jobDefinitionArn"]
    aws.register("align", ["align"])
    aws.clients()("batch").deregister_job_definition(jobDefinition="align:1")
    with pytest.raises(RevisionInactiveError, match=r"at_revision\(2\)` or as \"align:2\"") as caught:
        check_revision(aws.clients(), "align:1")
    assert caught.value.action == "batch:DescribeJobDefinitions"
    with pytest.raises(RevisionInactiveError, match=arn[:-1] + "2"):
        check_revision(aws.clients(), arn)


def test_a_definition_without_active_revisions_says_so(aws: LocalAws, align: str) -> None:
    """There is no other revision to pin."""
    aws.clients()("batch").deregister_job_definition(jobDefinition=align)
    with pytest.raises(RevisionInactiveError, match="no ACTIVE revision: register one"):
        check_revision(aws.clients(), align)


def test_a_reference_without_a_revision_is_not_looked_up(aws: LocalAws) -> None:
    """Which revision it means would change under a running DAG."""
    with pytest.raises(NotPinnedError):
        check_revision(aws.clients(), "align")


def test_a_placeholder_that_nothing_fills_is_found(aws: LocalAws) -> None:
    """AWS would hand `Ref::sample` to the program as it stands."""
    reference = aws.register("align", ["align", "Ref::sample", "Ref::threads"], parameters={"threads": "4"})
    with pytest.raises(ParameterError, match="align:1: parameter 'sample' is missing") as caught:
        check_request(aws.clients(), request_for(reference))
    assert caught.value.field == "sample"
    check_request(aws.clients(), request_for(reference, parameters={"sample": "s1"}))


def test_a_command_that_is_replaced_needs_no_parameters(aws: LocalAws) -> None:
    """Only the commands that will run count."""
    reference = aws.register("align", ["align", "Ref::sample"])
    check_request(aws.clients(), request_for(reference, container_overrides={"command": ["align", "--version"]}))


def test_the_placeholders_of_every_container_count(aws: LocalAws) -> None:
    """Of several containers, those whose command is replaced are left out."""
    containers = [{"name": name, "image": "i", "command": [f"Ref::{name}"]} for name in ("main", "sidecar")]
    aws.clients()("batch").register_job_definition(
        jobDefinitionName="pair", type="container", ecsProperties={"taskProperties": [{"containers": containers}]}
    )
    with pytest.raises(ParameterError, match="'sidecar'"):
        check_request(aws.clients(), request_for("pair:1", parameters={"main": "x"}))
    override = {"taskProperties": [{"containers": [{"name": "sidecar", "command": ["true"]}]}]}
    check_request(
        aws.clients(), request_for("pair:1", parameters={"main": "x"}, options={"ecsPropertiesOverride": override})
    )


def test_the_placeholders_of_nodes_count(aws: LocalAws) -> None:
    """A range of nodes has its own command."""
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
    container = {"image": "i", "command": ["Ref::rank"], "resourceRequirements": needs}
    nodes = {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": [{"targetNodes": "0:1", "container": container}]}
    aws.clients()("batch").register_job_definition(jobDefinitionName="mpi", type="multinode", nodeProperties=nodes)
    with pytest.raises(ParameterError, match="'rank'"):
        check_request(aws.clients(), request_for("mpi:1"))
    override = {"nodePropertyOverrides": [{"targetNodes": "0:1", "containerOverrides": {"command": ["true"]}}]}
    check_request(aws.clients(), request_for("mpi:1", options={"nodeOverrides": override}))


@pytest.mark.parametrize("operation", ["DescribeJobQueues", "DescribeJobDefinitions"])
def test_a_role_that_may_not_look_may_still_submit(aws: LocalAws, align: str, operation: str) -> None:
    """The check is passed over, with a word about why."""
    aws.fault(operation, "denied")
    notes: list[str] = []
    assert check_request(aws.clients(), request_for(align), note=notes.append) == align
    assert check_request(aws.clients(), request_for(align)) == align
    assert len(notes) == 1
    assert f"batch:{operation}" in notes[0]


def test_a_role_that_may_not_be_assumed_may_not_submit(aws: LocalAws, align: str) -> None:
    """There is nothing to pass over: no call would be answered."""
    answer: Any = {"Error": {"Code": "AccessDenied", "Message": "No."}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    notes: list[str] = []

    def clients(service: str, *, region_name: str | None = None, config: Any = None) -> Any:
        del service, region_name, config
        raise ClientError(answer, "AssumeRole")

    with pytest.raises(AccessDeniedError, match="sts:AssumeRole"):
        check_request(clients, request_for(align), note=notes.append)
    assert not notes
    assert not aws.requests("DescribeJobQueues")
