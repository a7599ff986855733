"""docs/iam: each policy allows what its role calls, and nothing else."""

from __future__ import annotations

import ast
import asyncio
import json
import re
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.aws import service
from airflow_batch_jobs.batch.identity import (
    DEPLOYMENT_TAG,
    TaskIdentity,
    TaskKey,
    legal_tag_value,
    new_job_name,
    task_tags,
)
from airflow_batch_jobs.batch.job import BatchJob
from airflow_batch_jobs.batch.orphans import OrphanSweep
from airflow_batch_jobs.batch.watch import Ended, JobWatcher, WatchOptions
from tests.clocks import FrozenClock
from tests.docs.source import ROOT, Place, nodes, nodes_of
from tests.local.documented import needs
from tests.local.generated import VALID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_batch_jobs.local.server import LocalAws

#: What is a call to AWS is read from botocore, so it has to know all of them.
pytestmark = needs("batch", "TerminateJobs")
POLICIES = ROOT / "docs" / "iam"
#: Who may need a call, by the function that makes it.
AIRFLOW, WATCH_ONLY, SWEEP, BY_HAND, REGISTER = (
    "airflow",
    "airflow-watch-only",
    "orphan-sweep",
    "by-hand",
    "register",
)
ROLES = {
    "batch/job:BatchJob.cancel": {BY_HAND},
    "batch/listing:active_revisions": {BY_HAND},
    "batch/listing:listed_jobs": {SWEEP, BY_HAND},
    "batch/listing:queue_names": {BY_HAND},
    "batch/orphans:detach": {AIRFLOW},
    "batch/definition_files:register_folder": {REGISTER},
    "batch/logs/page:fetch_page": {AIRFLOW, WATCH_ONLY, BY_HAND},
    "batch/logs/page:knows_start_from_head": {AIRFLOW, WATCH_ONLY, BY_HAND},
    "batch/operations:describe_jobs": {AIRFLOW, SWEEP, BY_HAND},
    "batch/operations:find_by_name": {AIRFLOW, BY_HAND},
    "batch/operations:send": {AIRFLOW, BY_HAND},
    "batch/operations:knows_terminate_jobs": {AIRFLOW, SWEEP},
    "batch/operations:terminate_once": {AIRFLOW, SWEEP, BY_HAND},
    "batch/operations:terminate_together": {AIRFLOW, SWEEP},
    "batch/preflight/existing:check_queue": {AIRFLOW, BY_HAND},
    "batch/preflight/existing:find_queue": {AIRFLOW, BY_HAND},
    "batch/preflight/existing:check_revision": {AIRFLOW, BY_HAND},
    "batch/queue_snapshot:_positions": {BY_HAND},
    "batch/repetition:repetition_of": {BY_HAND},
    "batch/watch/status_poll:Descriptions.ask": {AIRFLOW, WATCH_ONLY, BY_HAND},
    "batch/operations:failed_children": {AIRFLOW, WATCH_ONLY, BY_HAND},
}
#: Who beside batch/aws loads boto3 or botocore.
SESSION_OPENERS = {"cli/aws_options", "task/connection"}
#: What IAM asks for beside an operation's own action: for tags, and for the role that a definition names.
BESIDE = {
    "batch:SubmitJob": {"batch:TagResource"},
    "batch:RegisterJobDefinition": {"batch:TagResource", "iam:PassRole"},
}
#: An operation on many jobs is allowed by the action of the operation on one:
#: https://docs.aws.amazon.com/batch/latest/APIReference/API_TerminateJobs.html
WITHOUT_ACTION = {"batch:TerminateJobs": "batch:TerminateJob"}
#: These have no resources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html
FOR_ALL = {"batch:DescribeJobs", "batch:ListJobs", "batch:DescribeJobDefinitions", "batch:DescribeJobQueues"}
TASK = TaskIdentity(TaskKey("d", "r", "t"), deployment="here")


@cache
def actions() -> dict[str, str]:
    """Return the IAM action of each method of the boto3 clients that this package makes."""
    from botocore import xform_name
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    found = {}
    for prefix in ("sts", "logs", "batch"):  # what several have is meant of Batch: of the others nothing is changed
        model = ServiceModel(Loader().load_service_model(prefix, "service-2"), prefix)
        found.update({xform_name(name): f"{prefix}:{name}" for name in model.operation_names})
    return found


def calls(where: Iterable[tuple[Place, ast.AST]]) -> dict[str, set[str]]:
    """Return which actions each function needs: whatever names a method of a client counts as its call."""
    found: dict[str, set[str]] = {}
    for place, node in where:
        match node:
            case ast.Attribute(value=ast.Name(id=owner)) if owner[0].isupper():
                continue  # a class's own method that is called so, as BatchJob.describe_jobs
            case ast.Attribute(attr=name) | ast.Constant(value=str(name)) if name in actions():
                found.setdefault(str(place), set()).add(actions()[name])
            case ast.Call(
                func=ast.Attribute(attr="call" | "pages" | "pages_once"), args=[ast.Constant(value=name), *_]
            ) if name in actions():
                continue  # the operation is among what is named
            case (
                ast.Attribute(attr="get_waiter" | "get_paginator" | "generate_presigned_url")
                | ast.Call(func=ast.Attribute(attr="call" | "pages" | "pages_once"))
            ) if place.module != "batch/aws/calls":
                raise AssertionError(f"{place} calls AWS in a way that this test does not read")
    return found


def policy(name: str) -> list[dict[str, Any]]:
    """Return the statements of a policy."""
    document = json.loads((POLICIES / f"{name}.json").read_text(encoding="utf-8"))
    assert document["Version"] == "2012-10-17"
    statements: list[dict[str, Any]] = document["Statement"]
    return statements


def allowed(name: str) -> set[str]:
    """Return the actions that a policy allows."""
    assert all(statement["Effect"] == "Allow" for statement in policy(name))
    return set(chain.from_iterable(map(actions_of, policy(name))))


def actions_of(statement: dict[str, Any]) -> list[str]:
    """Return a statement's actions, which may be one alone."""
    named = statement["Action"]
    return [named] if isinstance(named, str) else named


def needed(name: str) -> set[str]:
    """Return the actions that the functions of a role need."""
    own = set(chain.from_iterable(named for place, named in calls(nodes()).items() if name in ROLES[place]))
    own = {WITHOUT_ACTION.get(action, action) for action in own}
    return own | set(chain.from_iterable(BESIDE.get(action, ()) for action in own))


def seen_by(aws: LocalAws) -> set[str]:
    """Return the actions of the calls that reached a local AWS."""
    by_operation = {action.partition(":")[2]: action for action in actions().values()}
    return {by_operation[name.rpartition(".")[2]] for name, count in aws.counts().items() if count}


def test_every_call_belongs_to_a_role() -> None:
    """A function that begins to call AWS, or no longer does, has to be entered here."""
    assert set(calls(nodes())) == set(ROLES)


def test_the_local_aws_serves_every_call() -> None:
    """What it does not serve could not be developed or tested against it."""
    served = {f"{name}:{operation}" for name, operation in VALID}
    assert set(chain.from_iterable(calls(nodes()).values())) <= served


def test_every_role_has_its_policy() -> None:
    """One file each."""
    assert {path.stem for path in POLICIES.glob("*.json")} == set(chain.from_iterable(ROLES.values()))


@pytest.mark.parametrize("name", [AIRFLOW, WATCH_ONLY, SWEEP, BY_HAND, REGISTER])
def test_a_policy_allows_what_its_role_calls_and_nothing_else(name: str) -> None:
    """No action too few, none too many."""
    assert allowed(name) == needed(name)


def test_a_call_more_would_be_noticed() -> None:
    """Whatever way it is made: directly, by its name, or handed on."""
    source = (
        "def f(batch, client):\n    batch.call('list_jobs', dict)\n    client.cancel_job(jobId='1')\n"
        "    g(client.untag_resource)"
    )
    found = calls(nodes_of(ast.parse(source), "new"))
    assert found == {"new:f": {"batch:CancelJob", "batch:ListJobs", "batch:UntagResource"}}


@pytest.mark.parametrize(
    "call",
    [
        "batch.call(name, dict)",
        "batch.pages(name, 'jobs', dict)",
        "client.get_waiter('x')",
        "batch.call('describe_compute_environment', dict)",
        "service(clients, 'ec2').call('describe_instances', dict)",
    ],
)
def test_a_call_that_does_not_name_an_operation_would_be_noticed(call: str) -> None:
    """What it needs could not be told: not of a name in a variable, of a misspelt one or of another service's."""
    with pytest.raises(AssertionError, match="new:f calls AWS in a way that this test does not read"):
        calls(nodes_of(ast.parse(f"def f(batch, name):\n    {call}"), "new"))


def test_boto3_is_known_in_one_place() -> None:
    """What opens sessions beside it makes no calls."""
    loaded_by = {place.module for place, node in nodes() if place.name and {"boto3", "botocore"} & imported_by(node)}
    assert loaded_by == {
        *SESSION_OPENERS,
        *(f"batch/aws/{each}" for each in ("botocore_config", "calls", "clients", "trouble")),
    }
    assert not {place.partition(":")[0] for place in calls(nodes())} & loaded_by


def imported_by(node: ast.AST) -> set[str]:
    """Return the packages that a statement imports."""
    match node:
        case ast.ImportFrom(module=str(module)):
            return {module.partition(".")[0]}
        case ast.Import(names=names):
            return {each.name.partition(".")[0] for each in names}
    return set()


def test_errors_name_the_actions_that_are_called(aws: LocalAws) -> None:
    """What a message asks the reader to allow comes from botocore's model of the call, and is written nowhere."""
    texts = {node.value for _, node in nodes() if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert not {text for text in texts if re.fullmatch(r"[a-z0-9]+:[A-Z]\w+", text)}
    called = set(chain.from_iterable(calls(nodes()).values()))
    for method, action in actions().items():
        if action in called:
            assert service(aws.clients(), action.partition(":")[0]).action_of(method) == action


@pytest.mark.parametrize("name", [AIRFLOW, WATCH_ONLY, SWEEP, BY_HAND, REGISTER])
def test_all_resources_are_named_where_aws_knows_some(name: str) -> None:
    """`*` is used where AWS has nothing narrower, and only there."""
    for statement in policy(name):
        assert {action in FOR_ALL for action in actions_of(statement)} == {statement["Resource"] == "*"}


def test_the_sweep_may_terminate_only_what_it_would() -> None:
    """Its condition is the tag by which it chooses jobs."""
    [condition] = [statement["Condition"] for statement in policy(SWEEP) if "Condition" in statement]
    assert condition == {"StringEquals": {f"aws:ResourceTag/{DEPLOYMENT_TAG}": "DEPLOYMENT"}}
    assert task_tags(TASK)[DEPLOYMENT_TAG] == legal_tag_value("here") == "here"


def test_a_sweep_calls_what_its_policy_allows(frozen_aws: LocalAws) -> None:
    """On the wire: it lists, describes and terminates."""
    frozen_aws.register("job")
    frozen_aws.script(definition="job", running=36_000)
    name = new_job_name(TASK.job_name_prefix())
    [job_id] = frozen_aws.submit("job:1", jobName=name, tags=task_tags(TASK))
    frozen_aws.advance(3600)
    frozen_aws.clear_requests()
    sweep = OrphanSweep(
        clients=frozen_aws.clients(),
        deployment="here",
        job_queues=["default"],
        dry_run=False,
        clock=FrozenClock(frozen_aws),
    )
    assert sweep.run(lambda owners: dict.fromkeys(owners, "failed")).ended == (job_id,)
    assert seen_by(frozen_aws) == allowed(SWEEP)


def test_who_only_watches_calls_what_its_policy_allows(aws: LocalAws) -> None:
    """On the wire: of an array that fails, with and without its log."""
    aws.script(definition="talk", starting=0, running=0.1, attempts=[1], lines=1)
    [job_id] = aws.submit(aws.register("talk"), arrayProperties={"size": 2})
    aws.clear_requests()

    async def watch(*, copy_logs: bool) -> Ended:
        watcher = JobWatcher(aws.clients(), WatchOptions(log_settle_seconds=0.1))
        async with watcher.follow(job_id, poll_interval=0.1, copy_logs=copy_logs) as follower:
            while not isinstance(update := await anext(follower), Ended):
                pass
            return update

    ends = [asyncio.run(watch(copy_logs=copy_logs)) for copy_logs in (True, False)]
    assert [end.detail.status.value for end in ends] == ["FAILED", "FAILED"]
    assert seen_by(aws) == allowed(WATCH_ONLY)


@pytest.mark.long
def test_a_job_by_hand_calls_nothing_beyond_its_policy(aws: LocalAws) -> None:
    """On the wire: submit, follow, cancel and terminate."""
    from airflow_batch_jobs.batch.definition import JobDefinition

    aws.script(definition="talk", running=0.1, lines=1)
    definition = JobDefinition.named(aws.register("talk"), {})
    aws.clear_requests()
    job = BatchJob(definition, clients=aws.clients())
    job.submit("default")
    assert list(job.logs(follow=True))
    job.cancel("no more")
    job.terminate("no more")
    assert seen_by(aws) < allowed(BY_HAND)
    assert {"batch:SubmitJob", "batch:CancelJob", "batch:TerminateJob", "logs:FilterLogEvents"} <= seen_by(aws)
