"""What is checked before a submit, with AWS asked: the queue, the revision, and what the request makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from airflow_batch_jobs.batch.operations import send
from airflow_batch_jobs.batch.preflight import check_queue, check_request, check_revision
from airflow_batch_jobs.batch.preflight.place import Place
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
    with pytest.raises(RevisionInactiveError, match=r"pin \"align:2\"") as caught:
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
    with pytest.raises(ParameterError, match="Parameter 'sample' of align:1 is missing") as caught:
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


HERE = "arn:aws:batch:us-east-1:123456789012"
ELSEWHERE = {
    "arn:aws:batch:eu-west-1:123456789012": "Its ARN is of region eu-west-1, and the AWS connection leads to region us",
    "arn:aws:batch:us-east-1:210987654321": "of account 210987654321, and the AWS connection leads to account 123456",
    "arn:aws-cn:batch:us-east-1:123456789012": "of partition aws-cn, and the AWS connection leads to partition aws.",
    "arn:aws-us-gov:batch:us-gov-west-1:123456789012": "of region us-gov-west-1, and",
}


@pytest.mark.parametrize("arn", ELSEWHERE)
def test_an_arn_of_elsewhere_is_told(aws: LocalAws, align: str, arn: str) -> None:
    """A queue or a revision of the same name here does not hide it."""
    with pytest.raises(QueueNotFoundError, match=ELSEWHERE[arn]):
        check_request(aws.clients(), request_for(align, job_queue=f"{arn}:job-queue/default"))
    with pytest.raises(DefinitionNotFoundError, match=ELSEWHERE[arn]):
        check_request(aws.clients(), request_for(f"{arn}:job-definition/{align}"))
    with pytest.raises(DefinitionNotFoundError, match="is not that of this AWS connection"):
        check_request(aws.clients(), request_for(f"{arn}:job-definition/other:1"))


@pytest.mark.parametrize("region", [None, "eu-west-1"])
def test_an_arn_of_here_passes(aws: LocalAws, align: str, region: str | None) -> None:
    """Also if the client was made for another region: what AWS finds is where the connection leads."""
    clients = aws.clients()

    def of_region(service: str, *, region_name: str | None = None, config: Any = None) -> Any:
        return clients(service, region_name=region_name or region, config=config)

    request = request_for(f"{HERE}:job-definition/{align}", job_queue=f"{HERE}:job-queue/default")
    assert check_request(of_region, request) == f"{HERE}:job-definition/{align}"
    with pytest.raises(QueueNotFoundError, match=r"of this account\. Existing queues: default\.$"):
        check_queue(of_region, f"{HERE}:job-queue/other")


@pytest.mark.parametrize("refuses", ["DescribeJobQueues", "DescribeJobDefinitions"])
def test_an_arn_of_elsewhere_that_aws_refuses_is_told(aws: LocalAws, align: str, refuses: str) -> None:
    """In place of what AWS says of it."""
    clients, answer = aws.clients(), {"Error": {"Code": "ClientException", "Message": "No."}}

    def refuse(**request: Any) -> None:
        if any("eu-west-1" in str(value) for value in request.values()):
            raise ClientError({**answer, "ResponseMetadata": {"HTTPStatusCode": 400}}, refuses)  # type: ignore[typeddict-item]

    def refusing(service: str, *, region_name: str | None = None, config: Any = None) -> Any:
        client = clients(service, region_name=region_name, config=config)
        client.meta.events.register(f"provide-client-params.batch.{refuses}", lambda params, **_: refuse(**params))
        return client

    arn = "arn:aws:batch:eu-west-1:123456789012"
    wanted: dict[str, dict[str, Any]] = {
        "DescribeJobQueues": {"job_queue": f"{arn}:job-queue/default"},
        "DescribeJobDefinitions": {"job_definition": f"{arn}:job-definition/{align}"},
    }
    with pytest.raises((QueueNotFoundError, DefinitionNotFoundError), match="Its ARN is of region eu-west-1"):
        check_request(refusing, request_for(**{"definition": align, **wanted[refuses]}))


@pytest.mark.parametrize("text", ["default", "", "arn:aws", "arn:aws:batch", HERE, "x:" * 9, "arn:aws:s3:::b"])
def test_of_what_is_no_arn_of_a_place_nothing_is_said(text: str) -> None:
    """Nor if the connection's own place is not known."""
    here, elsewhere = Place("aws", "us-east-1", "123456789012"), Place.of("arn:aws:batch:eu-west-1:123456789012:x")
    assert Place.of(text).foreign_to(here) == ""
    assert elsewhere.foreign_to(Place.of(text)) == ""


def test_consumable_resources_of_elsewhere_are_told(aws: LocalAws, align: str) -> None:
    """Of the job and of its nodes; AWS does not say whether a job can have them."""
    arn = "arn:aws:batch:{}:123456789012:consumable-resource/licence"
    options = {
        "consumableResourcePropertiesOverride": {
            "consumableResourceList": [
                {"consumableResource": arn.format(region), "quantity": 1} for region in ("us-east-1", "eu-west-1")
            ]
        }
    }
    notes: list[str] = []
    check_request(aws.clients(), request_for(align, options=options), note=notes.append)
    assert [line.partition(". ")[0] for line in notes] == [
        f"The job may not get the consumable resource {arn.format('eu-west-1')}"
    ]


def test_a_priority_that_a_queue_does_not_heed_is_told(aws: LocalAws) -> None:
    """AWS ignores it in silence where there is no fair-share policy."""
    aws.clients()("batch").create_job_queue(
        jobQueueName="fair", priority=1, schedulingPolicyArn="arn:aws:batch:us-east-1:123456789012:scheduling-policy/p"
    )
    reference, told = aws.register("align"), {}
    for queue in ("default", "fair"):
        options = {"schedulingPriorityOverride": 5, **({"shareIdentifier": "a"} if queue == "fair" else {})}
        notes: list[str] = []
        check_request(aws.clients(), request_for(reference, job_queue=queue, options=options), note=notes.append)
        told[queue] = [line.partition(":")[0] for line in notes]
    assert told == {"default": ["schedulingPriorityOverride has no effect"], "fair": []}


def test_what_may_not_be_meant_is_told_and_sent(aws: LocalAws) -> None:
    """One line each."""
    reference = aws.register("loose", ["run", "--in=Ref::key"])
    request = request_for(reference, parameters={"key": "k", "more": "m"}, container_overrides={"memory": 9000})
    notes: list[str] = []
    check_request(aws.clients(), request, note=notes.append)
    assert [line[:20] for line in notes] == ["Not filled in: Ref::", "Nothing in loose:1 u", "containerOverrides.m"]
    send(aws.clients(), request)
    assert aws.counts()["SubmitJob"] == 1


ON_EKS = {"eksProperties": {"podProperties": {"containers": [{"image": "i", "name": "main"}]}}}
NODES = {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": [{"targetNodes": "0:", **ON_EKS}]}


@pytest.mark.parametrize(
    "properties", [{"type": "container", **ON_EKS}, {"type": "multinode", "nodeProperties": NODES}]
)
@pytest.mark.parametrize(("asked", "lines"), [({}, 0), ({"propagateTags": True}, 1), ({"propagateTags": False}, 0)])
def test_tags_are_not_propagated_on_eks(
    aws: LocalAws, properties: dict[str, Any], asked: dict[str, Any], lines: int
) -> None:
    """AWS must not be told propagateTags there; the digest, by which a retry finds the job, stays as it is."""
    aws.clients()("batch").register_job_definition(jobDefinitionName="pod", **properties)
    request, notes = request_for("pod:1", options=asked), list[str]()
    digest = request.digest()
    check_request(aws.clients(), request, note=notes.append)
    send(aws.clients(), request)
    [sent] = aws.requests("SubmitJob")
    assert "propagateTags" not in sent.parameters
    assert request.digest() == digest
    assert len(notes) == lines


@pytest.mark.parametrize("asked", [{}, {"propagateTags": True}])
def test_tags_that_are_not_propagated_are_not_counted(aws: LocalAws, asked: dict[str, Any]) -> None:
    """On EKS job and definition may have fifty each."""
    aws.clients()("batch").register_job_definition(
        jobDefinitionName="pod",
        type="container",
        **ON_EKS,
        tags={f"d{number}": "" for number in range(50)},
    )
    request = request_for("pod:1", options={"tags": {"j": ""}, **asked})
    check_request(aws.clients(), request)
    send(aws.clients(), request)
    assert aws.counts()["SubmitJob"] == 1


def test_tags_are_propagated_on_ecs(aws: LocalAws, align: str) -> None:
    """Unless they are not to be."""
    for asked in ({}, {"propagateTags": False}):
        request = request_for(align, options=asked)
        check_request(aws.clients(), request)
        send(aws.clients(), request)
    assert [sent.parameters["propagateTags"] for sent in aws.requests("SubmitJob")] == [True, False]
