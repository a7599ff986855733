"""BatchJobOperator, the decorator and the sensor at work, with `dag.test()` against the local AWS."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, task, task_group

from airflow_batch_jobs.batch.definition import Field, JobDefinition
from airflow_batch_jobs.links import job_url, queue_url
from airflow_batch_jobs.operators import BatchJobOperator
from airflow_batch_jobs.sensors import BatchJobSensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.server import LocalAws
    from tests.face.conftest import FinishedRun

    RunDag = Callable[[DAG], FinishedRun]


class Greet(JobDefinition, name="greet", revision=1):
    """A definition with parameters of several types."""

    who: str
    times: int = Field(default=1, ge=1)
    tags: list[str] = Field(default_factory=list)


@pytest.fixture
def greet(airflow_aws: LocalAws) -> LocalAws:
    """The local AWS with the definition registered."""
    airflow_aws.register("greet", ["echo", "hello", "Ref::who"], parameters={"times": "1", "tags": "[]"})
    return airflow_aws


#: For a task whose templates become what they stand for.
NATIVE = {"render_template_as_native_obj": True}


def sent(aws: LocalAws) -> list[dict[str, Any]]:
    """Return the parameters of each SubmitJob that reached the endpoint."""
    return [request.parameters for request in aws.requests("SubmitJob")]


@pytest.mark.long
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_job_runs_and_its_task_returns_its_id(run_dag: RunDag, greet: LocalAws, *, deferrable: bool) -> None:
    """Deferred or on the worker, one job is submitted, waited for and reported."""
    with DAG("runs", schedule=None) as dag:
        BatchJobOperator(
            task_id="job", job_queue="default", definition=Greet(who="you"), deferrable=deferrable, poll_interval=0.2
        )
    run = run_dag(dag)
    assert run.state("job") == "success"
    [job] = greet.jobs()
    assert run.xcom("job") == job["jobId"]
    told = run.xcom("job", "batch_job")
    assert told["status"] == "SUCCEEDED"
    assert told["definition"].endswith("job-definition/greet:1")
    assert (told["try_number"], told["max_tries"]) == (1, 0)
    assert f"Submitted job {job['jobId']}: greet:1 to default, as " in run.output


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_failure_is_one_error_line_and_the_end_of_the_exception_is_the_id(
    run_dag: RunDag, airflow_aws: LocalAws, *, deferrable: bool
) -> None:
    """The line comes before the exception, which a traceback hides; a process tells of its AWS connection once."""
    airflow_aws.register("fails", ["sh", "-c", "exit 3"])
    with DAG("fails", schedule=None) as dag:
        BatchJobOperator(
            task_id="job", job_queue="default", definition="fails:1", deferrable=deferrable, poll_interval=0.2
        )
    run = run_dag(dag)
    assert run.state("job") == "failed"
    [job] = airflow_aws.jobs()
    said = "The container failed by itself (exit code 3). Read the end of its log."
    assert f"ProgramFailedError: {said} Job: {job['jobId']} ({job['jobName']})" in run.output
    assert len([line for line in run.output.splitlines() if f"] {said}" in line and "[error" in line]) == 1
    assert "Essential container" not in run.output
    if not deferrable:
        assert run.output.count("AWS Connection (") == 1


def test_templates_and_upstream_results_fill_the_request(run_dag: RunDag, greet: LocalAws) -> None:
    """What comes at run time is checked, turned into text and shown as the whole request."""
    with DAG("late", schedule=None) as dag:

        @task
        def three() -> int:
            return 3

        BatchJobOperator(
            task_id="job",
            job_queue="default",
            definition=Greet(who="{{ dag.dag_id }}"),
            parameters={"times": three(), "tags": "{{ ['a', 'b'] }}"},
            wait=False,
        )
    run = run_dag(dag)
    assert run.state("job") == "success"
    [request] = sent(greet)
    assert request["parameters"] == {"who": "late", "times": "3", "tags": '["a","b"]'}
    shown = run.rendered("job")
    assert shown["definition"] == "greet:1"
    assert shown["parameters"] == {"who": "late", "times": "3", "tags": '["a","b"]'}


def test_a_late_value_that_does_not_fit_fails_before_the_submit(run_dag: RunDag, greet: LocalAws) -> None:
    """The error names field and value, and no job is started."""
    with DAG("bad_late", schedule=None) as dag:
        BatchJobOperator(
            task_id="job", job_queue="default", definition=Greet, parameters={"who": "x", "times": "{{ 0 }}"}
        )
    run = run_dag(dag)
    assert run.state("job") == "failed"
    assert "Parameter 'times' of greet:1" in run.output
    assert not sent(greet)


@pytest.mark.long
def test_upstream_data_is_never_rendered(run_dag: RunDag, greet: LocalAws) -> None:
    """What looks like a template in an upstream result reaches the job unchanged."""
    evil = "{{ var.value.secret }}"
    with DAG("injection", schedule=None) as dag:

        @task
        def people() -> list[dict[str, Any]]:
            return [{"who": evil}]

        @task
        def person() -> str:
            return evil

        @task.batch_job(job_queue="default", wait=False)
        def decorated(who: str) -> JobDefinition:
            return Greet(who=who)

        BatchJobOperator.partial(task_id="mapped", job_queue="default", definition=Greet, wait=False).expand(
            parameters=people()
        )
        BatchJobOperator(
            task_id="plain", job_queue="default", definition=Greet, parameters={"who": person()}, wait=False
        )
        decorated(person())  # type: ignore[arg-type]  # an XComArg, as in every TaskFlow call
    run = run_dag(dag)
    assert [run.state(name) for name in ("plain", "decorated")] == ["success", "success"]
    assert [request["parameters"]["who"] for request in sent(greet)] == [evil] * 3


@pytest.mark.long
def test_a_mapped_task_is_one_job_each(run_dag: RunDag, greet: LocalAws) -> None:
    """Parameters, plain definitions and decorated functions can be mapped, each to its own job."""
    with DAG("mapped", schedule=None) as dag:

        @task
        def names() -> list[str]:
            return ["a", "b"]

        @task
        def plains() -> list[dict[str, Any]]:
            return [Greet(who=name).plain() for name in ("c", "d")]

        @task.batch_job(job_queue="default", wait=False)
        def decorated(who: str) -> JobDefinition:
            return Greet(who=f"{who}{who}")

        @task_group
        def grouped(who: str) -> None:
            BatchJobOperator(task_id="job", job_queue="default", definition=Greet, parameters={"who": who}, wait=False)

        BatchJobOperator.partial(task_id="over", job_queue="default", definition=Greet(who="x"), wait=False).expand(
            parameters=[{"times": 2}, {"times": 3}]
        )
        BatchJobOperator.partial(task_id="plain", job_queue="default", wait=False).expand_kwargs(plains())
        decorated.expand(who=names())
        grouped.expand(who=names())
    run_dag(dag)
    parameters = [request["parameters"] for request in sent(greet)]
    assert sorted(each["who"] for each in parameters) == ["a", "aa", "b", "bb", "c", "d", "x", "x"]
    assert sorted(each["times"] for each in parameters if each["who"] == "x") == ["2", "3"]
    tags = [request["tags"] for request in sent(greet) if request["tags"]["airflow-task-id"] == "over"]
    assert sorted(each["airflow-map-index"] for each in tags) == ["0", "1"]


def test_a_native_dag_does_not_turn_text_into_numbers(run_dag: RunDag, greet: LocalAws) -> None:
    """`{{ ds_nodash }}` stays text even if a DAG renders native objects."""
    with DAG("native", schedule=None, render_template_as_native_obj=True) as dag:
        BatchJobOperator(task_id="job", job_queue="default", definition=Greet(who="{{ '20260131' }}"), wait=False)
    assert run_dag(dag).state("job") == "success"
    assert sent(greet)[0]["parameters"]["who"] == "20260131"


@pytest.mark.long
def test_a_decorated_function_decides_and_the_ui_shows_what(run_dag: RunDag, greet: LocalAws) -> None:
    """The rendered fields show the request that the function made, also after the wait."""
    with DAG("decorated", schedule=None) as dag:

        @task.batch_job(job_queue="default", poll_interval=0.2)
        def greeting(who: str) -> JobDefinition:
            return Greet(who=who, times=2)

        greeting("{{ dag.dag_id }}")
    run = run_dag(dag)
    assert run.state("greeting") == "success"
    assert sent(greet)[0]["parameters"]["who"] == "decorated"
    shown = run.rendered("greeting")
    assert shown["definition"] == "greet:1"
    assert shown["parameters"]["times"] == "2"


def test_a_decorated_function_that_returns_something_else_is_told(run_dag: RunDag, greet: LocalAws) -> None:
    """The error says what is expected."""
    with DAG("wrong", schedule=None) as dag:

        @task.batch_job(job_queue="default")
        def greeting() -> JobDefinition:
            return {"definition": "greet:1", "TOKEN": "hunter2"}  # type: ignore[return-value]  # the mistake under test

        greeting()
    run = run_dag(dag)
    assert run.state("greeting") == "failed"
    assert "returned a value of type dict; a @task.batch_job function returns a JobDefinition" in run.output
    assert "hunter2" not in run.output  # what it returned may hold secrets, or be of any length
    assert not sent(greet)


def test_every_field_of_submit_job_can_be_set(run_dag: RunDag, greet: LocalAws) -> None:
    """Options reach AWS under its own names, with rendered numbers as numbers and the user's tags beside the task's."""
    with DAG("options", schedule=None) as dag:
        BatchJobOperator(
            task_id="job",
            job_queue="default",
            definition=Greet(who="x"),
            job_name="nightly greeting",
            container_overrides={"environment": [{"name": "MODE", "value": "{{ 'fast' }}"}]},
            submit_options={
                "arrayProperties": {"size": "{{ 2 }}"},
                "retryStrategy": {"attempts": 2},
                "timeout": {"attemptDurationSeconds": 60},
                "tags": {"team": "genomics"},
            },
            wait=False,
        )
    run = run_dag(dag)
    assert run.state("job") == "success"
    [request] = sent(greet)
    assert request["jobName"].startswith("nightly-greeting-")
    assert request["arrayProperties"] == {"size": 2}
    assert request["containerOverrides"]["environment"][0] == {"name": "MODE", "value": "fast"}
    assert request["propagateTags"] is True
    assert request["tags"]["team"] == "genomics"
    assert request["tags"]["airflow-task-id"] == "job"
    job = run.xcom("job", "batch_job")
    assert (job["kind"], job["array_size"]) == ("array parent", 2)
    assert job_url(job).endswith(f"#jobs/array-job/{job['job_id']}")
    assert queue_url(job).endswith("#queues/detail/arn:aws:batch:us-east-1:123456789012:job-queue/default")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"job_queue": "nowhere"}, "No job queue 'nowhere'"),
        ({"definition": "greet:9", "parameters": {"who": "x"}}, "has no revision 9. The newest ACTIVE one is 1"),
        ({"definition": "unknown:1"}, "No job definition 'unknown' is active"),
        ({"definition": "greet:1"}, "placeholder Ref::who"),
        ({"submit_options": {"arrayProperties": {"size": 1}}}, "arrayProperties.size"),
        ({"submit_options": {"timeouts": {}}}, "timeout"),
        ({"submit_options": {"jobName": "x"}}, "job_name"),
        ({"container_overrides": {"environment": [{"name": "AWS_BATCH_X", "value": "x"}]}}, "AWS_BATCH"),
        ({"parameters": "{{ {'who': 'x'} }}"}, "parameters: must be a mapping, and has become text"),
        ({"container_overrides": "{{ [[1, 2]] }}", **NATIVE}, "container_overrides: must be a mapping, not a value of"),
        ({"parameters": "{{ {5: 'x'} }}", **NATIVE}, "parameters: must have names as keys, not 5"),
        ({"job_queue": "{{ 5 }}", **NATIVE}, "job_queue: must be text, not 5"),
    ],
)
def test_a_request_that_aws_would_refuse_is_refused_first(
    run_dag: RunDag, greet: LocalAws, arguments: dict[str, Any], message: str
) -> None:
    """The task fails with one line that names what is wrong, and nothing was submitted."""
    with DAG("refused", schedule=None) as dag:
        BatchJobOperator(**{"task_id": "job", "job_queue": "default", "definition": Greet(who="x"), **arguments})
    run = run_dag(dag)
    assert run.state("job") == "failed"
    assert message in run.output
    assert not sent(greet)


def test_an_inactive_revision_names_the_one_to_pin(run_dag: RunDag, greet: LocalAws) -> None:
    """Infrastructure tools deregister old revisions under running DAGs."""
    greet.register("greet", ["true"])
    greet.clients()("batch").deregister_job_definition(jobDefinition="greet:1")
    with DAG("inactive", schedule=None) as dag:
        BatchJobOperator(task_id="job", job_queue="default", definition=Greet(who="x"))
    run = run_dag(dag)
    assert run.state("job") == "failed"
    assert 'pin "greet:2"' in run.output


def test_a_missing_permission_is_named(run_dag: RunDag, greet: LocalAws) -> None:
    """The error says which action the role lacks."""
    greet.fault("SubmitJob", "denied")
    with DAG("denied", schedule=None) as dag:
        BatchJobOperator(task_id="job", job_queue="default", definition=Greet(who="x"))
    run = run_dag(dag)
    assert run.state("job") == "failed"
    assert "Allow the role of the AWS connection 'aws_default' batch:SubmitJob" in run.output


def test_missing_credentials_are_named(run_dag: RunDag, airflow_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials the error says so, and that the connection needs them."""
    connection = {"conn_type": "aws", "extra": {"region_name": "us-east-1", "endpoint_url": airflow_aws.endpoint_url}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with DAG("nobody", schedule=None) as dag:
        BatchJobOperator(task_id="job", job_queue="default", definition=Greet(who="x"))
    run = run_dag(dag)
    assert run.state("job") == "failed"
    assert "CredentialsError" in run.output
    assert not airflow_aws.jobs()


def test_an_endpoint_that_is_down_is_named(
    run_dag: RunDag, airflow_aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the address that does not answer."""
    closed = "http://127.0.0.1:9"
    connection = airflow_aws.airflow_connection().replace(airflow_aws.endpoint_url, closed)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection)
    with DAG("down", schedule=None) as dag:
        BatchJobOperator(task_id="job", job_queue="default", definition=Greet(who="x"))
    run = run_dag(dag)
    assert run.state("job") == "failed"
    assert "EndpointError" in run.output
    assert closed in run.output


def test_a_role_that_may_only_submit_can_submit(run_dag: RunDag, greet: LocalAws) -> None:
    """Checks that need more permissions are left out, and the log says so."""
    greet.fault("DescribeJobDefinitions", "denied")
    greet.fault("DescribeJobQueues", "denied")
    with DAG("only_submit", schedule=None) as dag:
        BatchJobOperator(task_id="job", job_queue="default", definition=Greet(who="x"), wait=False)
    assert run_dag(dag).state("job") == "success"
    assert len(sent(greet)) == 1


@pytest.mark.long
def test_a_failed_job_fails_its_task_with_the_reason(run_dag: RunDag, airflow_aws: LocalAws) -> None:
    """Exit code and reason are in the error, and the XCom has them too."""
    airflow_aws.register("broken", ["sh", "-c", "exit 7"])
    with DAG("broken", schedule=None) as dag:
        BatchJobOperator(task_id="job", job_queue="default", definition="broken:1", poll_interval=0.2)
    run = run_dag(dag)
    assert run.state("job") == "failed"
    assert "exit code 7" in run.output
    assert run.xcom("job", "batch_job")["exit_code"] == 7


def test_a_job_without_a_cloudwatch_stream_says_where_its_log_is(run_dag: RunDag, airflow_aws: LocalAws) -> None:
    """Another log driver is not a failure."""
    airflow_aws.register("elsewhere", ["true"], container={"logConfiguration": {"logDriver": "splunk"}})
    with DAG("elsewhere", schedule=None) as dag:
        BatchJobOperator(task_id="job", job_queue="default", definition="elsewhere:1", poll_interval=0.2)
    run = run_dag(dag)
    assert run.state("job") == "success"
    assert "splunk log driver" in run.output


def test_a_job_that_may_not_be_described_fails_its_sensor(run_dag: RunDag, airflow_aws: LocalAws) -> None:
    """What makes waiting impossible ends the wait, and names the permission."""
    airflow_aws.fault("DescribeJobs", "denied")
    with DAG("undescribed", schedule=None) as dag:
        BatchJobSensor(task_id="wait", job_id="00000000-0000-0000-0000-000000000000", poll_interval=0.2)
    run = run_dag(dag)
    assert run.state("wait") == "failed"
    assert "batch:DescribeJobs" in run.output
    assert "AccessDeniedError" in run.output


def test_an_id_that_renders_to_nothing_is_named(run_dag: RunDag, airflow_aws: LocalAws) -> None:
    """At once: AWS is not asked for a minute whether there is such a job yet."""
    with DAG("no_id", schedule=None) as dag:
        BatchJobSensor(task_id="wait", job_id="{{ '' }}")
    run = run_dag(dag)
    assert run.state("wait") == "failed"
    assert "job_id must not be empty" in run.output
    assert not airflow_aws.requests()


@pytest.mark.parametrize(("soft_fail", "state"), [(True, "skipped"), (False, "failed")])
def test_a_sensor_fails_or_skips_with_a_failed_job(
    run_dag: RunDag, airflow_aws: LocalAws, *, soft_fail: bool, state: str
) -> None:
    """`soft_fail` turns a failure into a skip, as in every sensor."""
    airflow_aws.register("broken", ["sh", "-c", "exit 7"])
    [job_id] = airflow_aws.submit("broken:1")
    with DAG("sensor", schedule=None) as dag:
        BatchJobSensor(task_id="wait", job_id=job_id, soft_fail=soft_fail, poll_interval=0.2)
    assert run_dag(dag).state("wait") == state


def test_a_sensor_takes_an_arn_and_the_end_of_a_line(run_dag: RunDag, airflow_aws: LocalAws) -> None:
    """As an event of AWS has the one, and another program's output the other."""
    airflow_aws.register("brief", ["true"])
    [job_id] = airflow_aws.submit("brief:1")
    [job] = airflow_aws.clients()("batch").describe_jobs(jobs=[job_id])["jobs"]
    with DAG("sensor", schedule=None) as dag:
        BatchJobSensor(task_id="wait", job_id=f"{job['jobArn']}\n", poll_interval=0.2)
    run = run_dag(dag)
    assert run.state("wait") == "success"
    assert run.xcom("wait") == job_id


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_sensors_timeout_leaves_the_job_alone(run_dag: RunDag, airflow_aws: LocalAws, *, deferrable: bool) -> None:
    """A sensor only watches."""
    airflow_aws.register("long", ["sleep", "60"])
    [job_id] = airflow_aws.submit("long:1")
    with DAG("timeout", schedule=None) as dag:
        BatchJobSensor(task_id="wait", job_id=job_id, timeout=1, deferrable=deferrable, poll_interval=0.2)
    run = run_dag(dag)
    assert run.state("wait") == "failed"
    assert "AirflowSensorTimeout" in run.output
    assert airflow_aws.job(job_id)["status"] == "RUNNING"


@pytest.mark.long
@pytest.mark.parametrize("deferrable", [True, False])
def test_execution_timeout_terminates_the_job(run_dag: RunDag, airflow_aws: LocalAws, *, deferrable: bool) -> None:
    """An operator's job does not outlive its task's time."""
    airflow_aws.register("long", ["sleep", "60"])
    with DAG("operator_timeout", schedule=None) as dag:
        BatchJobOperator(
            task_id="job",
            job_queue="default",
            definition="long:1",
            execution_timeout=timedelta(seconds=10),  # the submit comes first, even on a busy machine
            deferrable=deferrable,
            poll_interval=0.2,
        )
    run = run_dag(dag)
    assert run.state("job") == "failed"
    assert "AirflowTaskTimeout" in run.output
    [job] = airflow_aws.jobs()
    assert job["isTerminated"]
    assert job["status"] == "FAILED"
