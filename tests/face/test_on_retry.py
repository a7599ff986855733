"""on_retry at the operator and the decorator: what the UI shows of it, and what a policy makes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, RetryAction
from airflow.sdk.execution_time import task_runner
from airflow.serialization.serialized_objects import DagSerialization
from structlog.testing import capture_logs

from airflow_batch_jobs.batch.cause import Cause, Outlook
from airflow_batch_jobs.batch.changes.change import Change
from airflow_batch_jobs.batch.changes.longer_timeout import LongerTimeout
from airflow_batch_jobs.batch.changes.more_memory import MoreMemory
from airflow_batch_jobs.batch.changes.other_queue import OtherQueue
from airflow_batch_jobs.batch.definition import JobDefinition
from airflow_batch_jobs.batch.diagnosis import Diagnosis
from airflow_batch_jobs.batch.job_failed import job_failed
from airflow_batch_jobs.decorators import batch_job_task
from airflow_batch_jobs.errors import JobFailedError, OutOfMemoryError
from airflow_batch_jobs.operators import BatchJobOperator
from airflow_batch_jobs.retries import BatchRetryPolicy, Retry
from airflow_batch_jobs.task.handover import Outcome
from tests.face.attempts import Attempts, deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_batch_jobs.batch.changes.failure import Failure
    from airflow_batch_jobs.batch.changes.next_job import NextJob
    from airflow_batch_jobs.local.server import LocalAws


@pytest.fixture
def hungry(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """A local AWS whose jobs begin with 1 GiB and need 3, as Airflow's connection `aws_default`."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.airflow_connection())
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "1024"}]
    aws.register("hungry", container={"resourceRequirements": needs})
    aws.script(definition="hungry", running=0.05, attempts=[{"needs_mib": {"": 3072}}])
    return aws


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The rendered fields that were sent to Airflow, in their order."""
    sent: list[dict[str, Any]] = []

    class Comms:
        def send(self, message: Any) -> None:
            sent.append(message.rendered_fields)

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Comms(), raising=False)
    return sent


def operator(**arguments: Any) -> BatchJobOperator:
    """Return an operator that runs the job."""
    given = {"task_id": "t", "job_queue": "default", "definition": "hungry:1", "on_retry": [MoreMemory()]}
    with DAG("d", schedule=None):
        return BatchJobOperator(**{**given, **arguments})


def decorated(**arguments: Any) -> BatchJobOperator:
    """Return the same of a decorated function."""

    def decide() -> JobDefinition:
        return JobDefinition.named("hungry:1")

    with DAG("d", schedule=None) as dag:
        batch_job_task(decide, **{"job_queue": "default", "on_retry": [MoreMemory()], **arguments})()
    task: Any = dag.get_task("decide")
    return task  # type: ignore[no-any-return]  # a DAG's tasks are of any class


def fail(task: BatchJobOperator, context: Any) -> OutOfMemoryError:
    """Execute a task whose job runs out of memory."""
    with pytest.raises(OutOfMemoryError) as raised:
        task.execute(context)
    return raised.value


def submitted_memory(aws: LocalAws) -> list[str]:
    """Return the memory that each request gave its job; empty for the revision's own."""
    found = []
    for request in aws.requests("SubmitJob"):
        resources = request.parameters.get("containerOverrides", {}).get("resourceRequirements", [])
        found.append("".join(one["value"] for one in resources if one["type"] == "MEMORY"))
    return found


@pytest.mark.parametrize("make", [operator, decorated])
def test_a_task_passes_with_more_memory_at_its_third_attempt(
    hungry: LocalAws, shown: list[dict[str, Any]], make: Callable[..., BatchJobOperator]
) -> None:
    """On a worker; the policy says why each time, the XCom and the rendered fields what was changed."""
    attempts, policy = Attempts(), BatchRetryPolicy()
    with capture_logs() as entries:
        for number in (1, 2):
            task, context = make(deferrable=False, poll_interval=0.05, retries=3), attempts.context(number, retries=3)
            context["task"] = task
            decision = policy.evaluate(fail(task, context), number, 3, context)
            assert decision.action is RetryAction.RETRY
            assert decision.reason == "out of memory, for which on_retry has MoreMemory; tried again at once"
        task = make(deferrable=False, poll_interval=0.05, retries=3)
        job_id = task.execute(attempts.context(3, retries=3))
    assert submitted_memory(hungry) == ["", "2048", "4096"]
    told = attempts.xcoms["batch_job"]
    assert (told["job_id"], told["status"]) == (job_id, "SUCCEEDED")
    [change] = told["changes"]
    assert (change["before"], change["after"], change["by"]) == ("1024 MiB", "4096 MiB", "MoreMemory")
    assert shown[-1]["on_retry"] == [
        next(entry["event"].removeprefix("on_retry: ") for entry in entries if "4096 MiB" in entry["event"])
    ]
    assert json.loads(json.dumps(shown[-1]))["container_overrides"] == {
        "resourceRequirements": [{"type": "MEMORY", "value": "4096"}]
    }
    assert not [entry for entry in entries if "rendered fields" in entry["event"]]


@pytest.mark.parametrize("make", [operator, decorated])
def test_what_was_changed_comes_back_with_the_triggers_event(
    hungry: LocalAws, shown: list[dict[str, Any]], make: Callable[..., BatchJobOperator]
) -> None:
    """Airflow shows the task's own fields again when it resumes, and a failure's error must tell the policy."""
    attempts = Attempts()
    fail(make(deferrable=False, poll_interval=0.05), attempts.context(1, retries=1))
    plan = deferred(make(), attempts.context(2, retries=1))
    [change] = plan.on_retry
    hungry.wait_for_status(plan.job_id)
    event = Outcome(
        job={"job_id": plan.job_id, "status": "FAILED", "changes": plan.on_retry},
        diagnosis=Diagnosis(Cause.OUT_OF_MEMORY, "It ran out of memory.", "Give it more.").to_dict(),
        rendered=plan.rendered,
    ).to_event()
    shown.clear()
    with pytest.raises(OutOfMemoryError) as raised:
        make().execute_complete(attempts.context(2, retries=1), event)
    assert raised.value.job["changes"] == [change]
    assert attempts.xcoms["batch_job"]["changes"] == [change]
    assert shown[0]["container_overrides"] == {"resourceRequirements": [{"type": "MEMORY", "value": "2048"}]}
    assert len(shown[0]["on_retry"]) == 1


@pytest.mark.parametrize("make", [operator, decorated])
def test_an_attempt_that_adopts_shows_the_request_as_it_was_sent(
    hungry: LocalAws, shown: list[dict[str, Any]], make: Callable[..., BatchJobOperator]
) -> None:
    """Beside what was changed in it; and so does the process that resumes."""
    attempts = Attempts()
    fail(make(deferrable=False, poll_interval=0.05), attempts.context(1, retries=3))
    hungry.script(definition="hungry", running=60)
    second = deferred(make(), attempts.context(2, retries=3))
    sent = shown[-1]["container_overrides"]
    third = deferred(make(), attempts.context(3, retries=3))
    assert third.job_id == second.job_id
    assert shown[-1]["container_overrides"] == sent == {"resourceRequirements": [{"type": "MEMORY", "value": "2048"}]}
    assert third.rendered == second.rendered


def test_a_task_whose_fields_cannot_be_shown_goes_on(hungry: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the UI shows is no reason to end a job."""
    attempts = Attempts()
    fail(operator(deferrable=False, poll_interval=0.05), attempts.context(1, retries=1))

    class Comms:
        def send(self, message: Any) -> None:
            raise ConnectionError(message)

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Comms(), raising=False)
    with capture_logs() as entries:
        deferred(operator(), attempts.context(2, retries=1))
    assert any("is not among the rendered fields" in entry["event"] for entry in entries)
    assert submitted_memory(hungry) == ["", "2048"]


def failure(cause: Cause, outlook: Outlook = Outlook.UNCLEAR, *changes: dict[str, Any]) -> Any:
    """Return the error of a job whose request was changed so."""
    job = {"job_id": "0f5e", "job_name": "d-t-0", "exit_code": None, "changes": list(changes)}
    return job_failed(job, Diagnosis(cause, "It failed.", "See.", outlook))


MOST = {"by": "MoreMemory", "is_most": True}


@pytest.mark.parametrize(
    ("error", "action", "reason"),
    [
        (
            failure(Cause.OUT_OF_MEMORY, Outlook.LASTS),
            RetryAction.RETRY,
            "out of memory, for which on_retry has MoreMemory; tried again at once",
        ),
        (
            failure(Cause.OUT_OF_MEMORY, Outlook.LASTS, {"by": "MoreMemory", "is_most": False}),
            RetryAction.RETRY,
            "out of memory, for which on_retry has MoreMemory; tried again at once",
        ),
        (
            failure(Cause.OUT_OF_MEMORY, Outlook.LASTS, MOST),
            RetryAction.FAIL,
            "out of memory, and MoreMemory of on_retry has no more to give; not tried again",
        ),
        (
            failure(Cause.CAPACITY, Outlook.PASSES),
            RetryAction.RETRY,
            "capacity, for which on_retry has OtherQueue; tried again at once",
        ),
        (
            failure(Cause.HOST_LOST, Outlook.PASSES, {"by": "OtherQueue", "is_most": True}),
            RetryAction.RETRY,
            "host lost, which passes by itself, and OtherQueue of on_retry has no more to give; tried again at once",
        ),
        (
            failure(Cause.TIMEOUT),
            RetryAction.RETRY,
            "timeout, for which on_retry has LongerTimeout; tried again at once",
        ),
    ],
)
def test_a_policy_tries_again_at_once_while_on_retry_has_something_to_give(
    error: Any, action: RetryAction, reason: str
) -> None:
    """When it has not, the cause decides as without it."""
    task = operator(on_retry=[MoreMemory(), OtherQueue("on-demand"), LongerTimeout()], retries=3)
    context: Any = {"task": task}
    decision = BatchRetryPolicy().evaluate(error, 1, 3, context)
    assert (decision.action, decision.reason) == (action, reason)
    own = BatchRetryPolicy(overrides={error.diagnosis.cause: Retry.NEVER})
    assert own.evaluate(error, 1, 3, context).action is RetryAction.FAIL


class Loose:
    """A change of a user's own that always says the same, and does something else each time."""

    after = frozenset({Cause.OUT_OF_MEMORY})

    def apply(self, job: NextJob, failures: Sequence[Failure]) -> Iterator[Change]:
        """Say in a variable how often the job has failed."""
        job.request["containerOverrides"]["environment"] = [{"name": "FAILED", "value": str(len(failures))}]
        yield Change("containerOverrides.environment", "", "FAILED", "a test")


def decisions(task: Callable[[], BatchJobOperator], attempts: Attempts, many: int) -> list[tuple[RetryAction, str]]:
    """Run attempts until one succeeds or the policy gives up; return what it says of each."""
    said: list[tuple[RetryAction, str]] = []
    for number in range(1, many + 1):
        one, context = task(), attempts.context(number, retries=9)
        context["task"] = one
        try:
            one.execute(context)
        except JobFailedError as error:
            decision = BatchRetryPolicy().evaluate(error, number, 9, context)
            said.append((decision.action, decision.reason or ""))
            if decision.action is RetryAction.FAIL:
                break
        else:
            break
    return said


RETRY, FAIL = RetryAction.RETRY, RetryAction.FAIL
NO_MORE = "out of memory, and {} of on_retry has no more to give; not tried again"
HAS = "out of memory, for which on_retry has {}; tried again at once"


@pytest.mark.parametrize(
    ("on_retry", "expected"),
    [
        (
            [OtherQueue("b", after={Cause.OUT_OF_MEMORY}), OtherQueue("c", after={Cause.OUT_OF_MEMORY})],
            [
                (RETRY, HAS.format("OtherQueue")),
                (RETRY, HAS.format("OtherQueue")),
                (FAIL, NO_MORE.format("OtherQueue")),
            ],
        ),
        ([OtherQueue("default", after={Cause.OUT_OF_MEMORY})], [(FAIL, NO_MORE.format("OtherQueue"))]),
        ([MoreMemory(at_most_mib=1024)], [(FAIL, NO_MORE.format("MoreMemory"))]),
        (
            [MoreMemory(at_most_mib=2048), OtherQueue("b", after={Cause.OUT_OF_MEMORY})],
            [(RETRY, HAS.format("MoreMemory and OtherQueue")), (FAIL, NO_MORE.format("MoreMemory and OtherQueue"))],
        ),
        (
            [MoreMemory(at_most_mib=1500, after={Cause.KILLED}), MoreMemory(at_most_mib=2048)],
            [(RETRY, HAS.format("MoreMemory")), (FAIL, NO_MORE.format("MoreMemory"))],
        ),
        ([Loose()], [(RETRY, HAS.format("Loose"))] * 4),
    ],
    ids=["queues", "its own queue", "its own memory", "both at once", "two", "of one's own"],
)
def test_a_policy_tries_again_exactly_as_long_as_the_next_request_is_another_one(
    hungry: LocalAws, shown: list[dict[str, Any]], on_retry: list[Any], expected: list[tuple[RetryAction, str]]
) -> None:
    """Whichever change of the list that is, and also before any of them has been made."""
    del shown
    for queue in ("b", "c"):
        order = [{"order": 1, "computeEnvironment": "local"}]
        hungry.clients()("batch").create_job_queue(jobQueueName=queue, priority=1, computeEnvironmentOrder=order)
    said = decisions(
        lambda: operator(deferrable=False, poll_interval=0.05, retries=9, on_retry=on_retry), Attempts(), len(expected)
    )
    assert said == expected


def test_each_container_of_a_task_has_its_own_most(hungry: LocalAws, shown: list[dict[str, Any]]) -> None:
    """The second to run out of memory is given more, although the first has its most."""
    del shown
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "1024"}]
    containers = [{"name": name, "image": "i", "command": ["true"], "resourceRequirements": needs} for name in "ab"]
    hungry.clients()("batch").register_job_definition(
        jobDefinitionName="pair", type="container", ecsProperties={"taskProperties": [{"containers": containers}]}
    )
    attempts, actions = Attempts(), []
    for number, name in enumerate("abb", 1):
        hungry.script(definition="pair", running=0.05, attempts=[{"needs_mib": {name: 9999}}])
        task = operator(
            deferrable=False, poll_interval=0.05, definition="pair:1", on_retry=[MoreMemory(at_most_mib=2048)]
        )
        context = attempts.context(number, retries=9, task=task)
        decision = BatchRetryPolicy().evaluate(fail(task, context), number, 9, context)
        actions.append(decision.action)
    assert actions == [RETRY, RETRY, FAIL]


@pytest.mark.long
def test_a_deferred_task_knows_what_is_left_when_it_resumes(hungry: LocalAws, shown: list[dict[str, Any]]) -> None:
    """Its own request is the one before the change that the UI shows."""
    del shown
    attempts, change = Attempts(), MoreMemory(at_most_mib=2048)
    fail(operator(deferrable=False, poll_interval=0.05, on_retry=[change]), attempts.context(1, retries=9))
    for make in (operator, decorated):
        plan = deferred(make(on_retry=[change]), attempts.context(2, retries=9))
        hungry.wait_for_status(plan.job_id)
        event = Outcome(
            job={"job_id": plan.job_id, "status": "FAILED"},
            diagnosis=Diagnosis(Cause.OUT_OF_MEMORY, "It ran out.", "Give it more.", Outlook.LASTS).to_dict(),
            rendered=plan.rendered,
        )
        event.job["changes"] = plan.on_retry
        task, context = make(on_retry=[change]), attempts.context(2, retries=9)
        with pytest.raises(OutOfMemoryError) as raised:
            task.execute_complete(context, event.to_event())
        assert task.changes_left(context, raised.value.job_id) == []


@pytest.mark.parametrize("value", [MoreMemory(), [MoreMemory], "MoreMemory", None, [None]])
def test_a_wrong_on_retry_is_an_error_when_the_dag_is_parsed(value: Any) -> None:
    """It names the argument."""
    with pytest.raises(ValueError, match="on_retry must"):
        operator(on_retry=value)


def test_a_dag_with_on_retry_is_serialized_in_the_same_way_each_time() -> None:
    """Otherwise each parse would make a new version of the DAG; of a mapped task, too."""
    with DAG("changes", schedule=None) as dag:
        changes = [MoreMemory(at_most_mib=4096), OtherQueue("on-demand", after={Cause.HOST_LOST, Cause.CAPACITY})]
        common: Any = {"job_queue": "q", "on_retry": changes, "retry_policy": BatchRetryPolicy()}
        BatchJobOperator(task_id="single", definition="align:7", **common)
        BatchJobOperator.partial(task_id="mapped", definition="align:7", **common).expand(parameters=[{}, {}])
    first, second = (json.dumps(DagSerialization.to_dict(dag), sort_keys=True) for _ in range(2))
    assert first == second
    assert " at 0x" not in first
    assert "frozenset" not in first
    DagSerialization.from_dict(json.loads(first))


def test_a_change_of_ones_own_makes_no_new_version_of_the_dag_at_each_parse() -> None:
    """Mapped, decorated, or by default arguments: Python's own text of an object has its address."""

    def nameless() -> Any:
        members = {"after": frozenset(Cause), "apply": lambda *_: ()}
        return type("Nameless", (), members)()

    def decide(sample: str) -> JobDefinition:
        return JobDefinition.named("align:7", {"sample": sample})

    common: Any = {"job_queue": "q"}
    with DAG("given", schedule=None) as given:
        mapped = BatchJobOperator.partial(task_id="mapped", definition="align:7", on_retry=[nameless()], **common)
        mapped.expand(parameters=[{}, {}])
        decorated: Any = batch_job_task(decide, on_retry=[nameless()], **common)
        decorated.expand(sample=["a", "b"])
    with DAG("by_default", schedule=None, default_args={"on_retry": [nameless()]}) as by_default:
        BatchJobOperator.partial(task_id="mapped", definition="align:7", **common).expand(parameters=[{}, {}])
    for dag in (given, by_default):
        text = json.dumps(DagSerialization.to_dict(dag))
        assert " at 0x" not in text
        assert "Nameless()" in text


def test_a_wrong_on_retry_of_a_mapped_task_is_an_error_when_the_dag_is_parsed() -> None:
    """Its tasks are made much later."""
    for wrong in (MoreMemory(), ["MoreMemory"]):
        with DAG("d", schedule=None), pytest.raises(ValueError, match="on_retry must"):
            BatchJobOperator.partial(task_id="t", job_queue="q", definition="align:7", on_retry=wrong)
        with pytest.raises(ValueError, match="on_retry must"):
            batch_job_task(job_queue="q", on_retry=wrong)
