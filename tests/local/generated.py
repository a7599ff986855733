"""Requests for any operation that the local AWS serves: valid ones, ones made up from the model, and mutated ones.

A text may hold the place of something that only exists once the endpoint runs: `{job}` is the id of a job.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

from tests.local.documented import knows, operation_model

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLE = "arn:aws:iam::123456789012:role/r"
NEEDS = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
CONTAINER: dict[str, Any] = {"image": "i", "command": ["run", "Ref::word"], "resourceRequirements": NEEDS}
RULE = {"onExitCode": "1*", "onReason": "a*", "onStatusReason": "b*", "action": "RETRY"}
STRATEGY = {"attempts": 2, "evaluateOnExit": [RULE]}
ENVIRONMENT = [{"name": "A", "value": "1"}]
NAMED = {**CONTAINER, "name": "a", "essential": True, "environment": ENVIRONMENT}
TASK = {
    "containers": [
        NAMED,
        {**NAMED, "name": "b", "essential": False, "dependsOn": [{"containerName": "a", "condition": "START"}]},
    ]
}
POD = {"containers": [{"name": "main", "image": "i", "args": ["x"], "env": ENVIRONMENT}]}
NODES = {
    "numNodes": 3,
    "mainNode": 1,
    "nodeRangeProperties": [
        {"targetNodes": "0:", "container": CONTAINER},
        {"targetNodes": "1", "container": CONTAINER},
    ],
}
PODS = {
    "numNodes": 2,
    "mainNode": 0,
    "nodeRangeProperties": [{"targetNodes": "0:", "eksProperties": {"podProperties": POD}}],
}
#: The definitions that exist before a request.
DEFINITIONS: dict[str, dict[str, Any]] = {
    "plain": {"type": "container", "containerProperties": {**CONTAINER, "environment": ENVIRONMENT}},
    "fargate": {
        "type": "container",
        "platformCapabilities": ["FARGATE"],
        "containerProperties": {**CONTAINER, "executionRoleArn": ROLE},
    },
    "task": {"type": "container", "ecsProperties": {"taskProperties": [TASK]}},
    "pod": {"type": "container", "eksProperties": {"podProperties": POD}},
    "nodes": {"type": "multinode", "nodeProperties": NODES},
    "pods": {"type": "multinode", "nodeProperties": PODS},
}
_JOB = {"jobName": "j", "jobQueue": "default", "jobDefinition": "plain", "tags": {"a": "b"}}
_OVERRIDE = {"command": ["x"], "environment": ENVIRONMENT, "resourceRequirements": NEEDS}
_GROUP = {"logGroupName": "/aws/batch/job"}
_PAGE = {"maxResults": 1, "nextToken": "WzFd"}

#: Valid requests of each operation that is served.
VALID: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("batch", "RegisterJobDefinition"): [
        {
            "jobDefinitionName": "new",
            "parameters": {"a": "b"},
            "retryStrategy": STRATEGY,
            "tags": {"a": "b"},
            "timeout": {"attemptDurationSeconds": 60},
            **one,
        }
        for one in DEFINITIONS.values()
    ],
    ("batch", "DeregisterJobDefinition"): [{"jobDefinition": "plain:1"}],
    ("batch", "DescribeJobDefinitions"): [
        {"jobDefinitions": ["plain:1"]},
        {"jobDefinitionName": "plain", "status": "ACTIVE", **_PAGE},
    ],
    ("batch", "CreateJobQueue"): [
        {"jobQueueName": "q", "priority": 1, "state": "ENABLED", "schedulingPolicyArn": "arn:x", "tags": {"a": "b"}}
    ],
    ("batch", "DescribeJobQueues"): [{"jobQueues": ["default"]}, _PAGE],
    ("batch", "GetJobQueueSnapshot"): [{"jobQueue": "default"}],
    ("batch", "SubmitJob"): [
        {**_JOB, "containerOverrides": _OVERRIDE, "retryStrategy": STRATEGY, "parameters": {"word": "x"}},
        {
            **_JOB,
            "arrayProperties": {"size": 2},
            "dependsOn": [{"jobId": "{array}", "type": "N_TO_N"}, {"type": "SEQUENTIAL"}],
        },
        {**_JOB, "dependsOn": [{"jobId": "{job}"}], "timeout": {"attemptDurationSeconds": 60}, "propagateTags": True},
        {**_JOB, "jobDefinition": "fargate", "containerOverrides": _OVERRIDE},
        {
            **_JOB,
            "jobDefinition": "task",
            "ecsPropertiesOverride": {"taskProperties": [{"containers": [{"name": "a", **_OVERRIDE}]}]},
        },
        {
            **_JOB,
            "jobDefinition": "pod",
            "eksPropertiesOverride": {"podProperties": {"containers": [{"name": "main", "env": ENVIRONMENT}]}},
        },
        {
            **_JOB,
            "jobDefinition": "nodes",
            "nodeOverrides": {
                "numNodes": 4,
                "nodePropertyOverrides": [{"targetNodes": "0:", "containerOverrides": _OVERRIDE}],
            },
        },
        {
            **_JOB,
            "jobDefinition": "pods",
            "nodeOverrides": {
                "nodePropertyOverrides": [
                    {
                        "targetNodes": "0:",
                        "eksPropertiesOverride": {"podProperties": {"containers": [{"env": ENVIRONMENT}]}},
                    }
                ],
            },
        },
    ],
    ("batch", "DescribeJobs"): [{"jobs": ["{job}", "{array}:1", "{nodes}#0", "{pods}#1", "nobody"]}],
    ("batch", "ListJobs"): [
        {"jobQueue": "default", "jobStatus": "RUNNING", **_PAGE},
        {"jobQueue": "default", "filters": [{"name": "JOB_NAME", "values": ["j*"]}]},
        {"jobQueue": "default", "filters": [{"name": "AFTER_CREATED_AT", "values": ["0"]}]},
        {"arrayJobId": "{array}", "jobStatus": "FAILED"},
        {"multiNodeJobId": "{nodes}", "jobStatus": "RUNNING"},
    ],
    ("batch", "CancelJob"): [{"jobId": "{job}", "reason": "r"}],
    ("batch", "CancelJobs"): [{"jobs": ["{job}", "{array}"], "reason": "r"}],
    ("batch", "TerminateJob"): [{"jobId": "{nodes}", "reason": "r"}, {"jobId": "{array}:0", "reason": "r"}],
    ("batch", "TerminateJobs"): [{"jobs": ["{job}", "{task}"], "reason": "r"}],
    ("batch", "TagResource"): [{"resourceArn": "arn:aws:batch:us-east-1:123456789012:job/{job}", "tags": {"a": "b"}}],
    ("batch", "UntagResource"): [
        {"resourceArn": "arn:aws:batch:us-east-1:123456789012:job-queue/default", "tagKeys": ["a"]}
    ],
    ("batch", "ListTagsForResource"): [{"resourceArn": "arn:aws:batch:us-east-1:123456789012:job-definition/plain:1"}],
    ("logs", "FilterLogEvents"): [
        {
            **_GROUP,
            "logStreamNames": ["{stream}"],
            "startTime": 0,
            "endTime": 1 << 42,
            "filterPattern": 'line "1" -2',
            "limit": 2,
        },
        {**_GROUP, "logStreamNamePrefix": "plain", "nextToken": "W2ZhbHNlLCBbMSwgMiwgMywgNF1d", "interleaved": True},
    ],
    ("logs", "GetLogEvents"): [
        {**_GROUP, "logStreamName": "{stream}", "nextToken": "f/1/2/3/4", "startFromHead": True}
    ],
    ("logs", "DescribeLogStreams"): [{**_GROUP, "orderBy": "LastEventTime", "descending": True, "limit": 1}],
    ("sts", "GetCallerIdentity"): [{}],
    ("sts", "AssumeRole"): [
        {
            "RoleArn": ROLE,
            "RoleSessionName": "worker",
            "DurationSeconds": 900,
            "Tags": [{"Key": "a", "Value": "b"}],
            "Policy": json.dumps({"Statement": {"Effect": "Deny", "Action": "batch:*", "Resource": "*"}}),
        }
    ],
}


class Call(NamedTuple):
    """A request for an operation."""

    service: str
    operation: str
    parameters: Any


#: What is wrong wherever it stands, and what exists.
_ODD = st.sampled_from(
    [
        "",
        "*",
        "-1",
        "0:",
        "9:1",
        ":",
        "#0",
        "\x00",
        "é" * 40,
        "a" * 9000,
        "9" * 5000,
        "AWS_BATCH_X",
        "Ref::word",
    ]
)
_KNOWN = st.sampled_from(
    ["{job}", "{array}:0", "{nodes}#1", "{job}#9", "plain:0", "plain:1", "default", "RUNNING", "running"]
)
_TEXTS = st.one_of(_ODD, _KNOWN, st.text(st.characters(codec="utf-8"), max_size=8))
_NUMBERS = st.one_of(st.sampled_from([0, -1, 1, 59, 10_001, 2**31 - 1, 2**31, 2**63]), st.integers())
_ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, st.floats(allow_nan=False, allow_infinity=False), _TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3)),
    max_leaves=6,
)


@cache
def _made_up(service: str, operation: str) -> st.SearchStrategy[Any]:
    shape = operation_model(service, operation).input_shape
    return st.just({}) if shape is None else of_shape(shape)


def of_shape(shape: Any) -> st.SearchStrategy[Any]:
    """Make values of a shape of a service's model."""
    kind = shape.type_name
    if kind == "structure":
        members = {name: of_shape(member) for name, member in shape.members.items()}
        required = {name: members.pop(name) for name in shape.required_members}
        return st.fixed_dictionaries(required, optional=members)
    if kind == "list":
        return st.lists(of_shape(shape.member), max_size=3)
    if kind == "map":
        return st.dictionaries(_TEXTS, of_shape(shape.value), max_size=3)
    if kind == "string":
        return st.sampled_from(shape.enum) if shape.enum else _TEXTS
    return st.booleans() if kind == "boolean" else _NUMBERS


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place in a value: what holds it, and its key or index there."""
    if isinstance(value, (dict, list)):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


@st.composite
def _mutated(draw: st.DrawFn, parameters: dict[str, Any]) -> Any:
    """Change a valid request at one place or two: null, something else, nothing, more of the same, one more member."""
    changed = json.loads(json.dumps(parameters))
    for _ in range(draw(st.integers(1, 2))):
        holder, key = draw(st.sampled_from(list(_places(changed)) or [({"": 0}, "")]))
        how = draw(st.sampled_from(["null", "other", "number", "text", "text", "drop", "repeat", "more"]))
        if how == "drop":
            del holder[key]
        elif how == "repeat" and isinstance(holder[key], list):
            holder[key] = holder[key] * draw(st.sampled_from([0, 2, 60]))
        elif how == "more" and isinstance(holder[key], dict):
            holder[key][draw(_TEXTS)] = draw(_ANYTHING)
        else:
            holder[key] = draw({"null": st.none(), "number": _NUMBERS, "text": _TEXTS}.get(how, _ANYTHING))
    return changed


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """Make a request for any operation that is served."""
    service, operation = draw(st.sampled_from([each for each in VALID if knows(*each)]))
    valid = draw(st.sampled_from(VALID[service, operation]))
    how = draw(st.sampled_from(["valid", "mutated", "mutated", "mutated", "mutated", "made up"]))
    if how == "mutated":
        return Call(service, operation, draw(_mutated(valid)))
    if how == "made up":
        return Call(service, operation, draw(_made_up(service, operation)))
    return Call(service, operation, valid)
