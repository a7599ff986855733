"""A job's result as the return value of its task: operator, decorator and mapped, deferred and on a worker."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, RetryAction, task
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTerminated
from airflow.sdk.execution_time import task_runner
from pydantic import BaseModel, ConfigDict, Field, computed_field, create_model

from airflow_batch_jobs.batch.definition import JobDefinition
from airflow_batch_jobs.batch.identity import TaskKey
from airflow_batch_jobs.batch.xcoms import CURSOR_XCOM, JOB_XCOM
from airflow_batch_jobs.config import Settings
from airflow_batch_jobs.decorators import batch_job_task
from airflow_batch_jobs.errors import AccessDeniedError, DefinitionError, EndpointError, ResultError, TaskEvictedError
from airflow_batch_jobs.operators import BatchJobOperator
from airflow_batch_jobs.retries import BatchRetryPolicy
from airflow_batch_jobs.task import result as task_result
from airflow_batch_jobs.task.result import TaskResult
from tests.face.attempts import Attempts
from tests.task.api_server import ApiServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.server import LocalAws
    from tests.face.conftest import FinishedRun

    RunDag = Callable[[DAG], FinishedRun]


class Align(JobDefinition, name="align", revision=1):
    """Prints its result."""

    sample: str = "s1"

    class Result(BaseModel):
        """What it hands back."""

        bam: str
        parts: list[str] = []


class Counted(BaseModel):
    """Another result."""

    reads: int


@task
def use(value: Any) -> Any:
    """Return what it gets."""
    return value


@task
def parts(found: dict[str, Any]) -> list[str]:
    """Return a field of a result that is a list, which Airflow maps over only as a return value."""
    return list(found["parts"])


@task
def each(part: str, bam: str) -> str:
    """Return what it gets."""
    return f"{bam}: {part}"


SCRIPT = 'echo "batch-job-result: {\\"bam\\": \\"s3://$0.bam\\", \\"parts\\": [\\"$0-1\\", \\"$0-2\\"]}"'


@pytest.fixture
def align(airflow_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """The local AWS with the definition registered, whose lines settle at once."""
    airflow_aws.register("align", ["sh", "-c", SCRIPT, "Ref::sample"], parameters={"sample": "s1"})
    monkeypatch.setattr(Settings, "read", lambda: Settings(log_settle_seconds=0.1))
    monkeypatch.setattr(task_result, "LATE_SECONDS", 0.0)
    return airflow_aws


def operator(**arguments: Any) -> BatchJobOperator:
    """Return an operator that runs the job on a worker."""
    given = {"task_id": "t", "job_queue": "default", "definition": Align, "deferrable": False, "poll_interval": 0.05}
    with DAG("d", schedule=None):
        return BatchJobOperator(**{**given, **arguments})


@pytest.mark.long
@pytest.mark.parametrize("options", [{"deferrable": False}, {"finish_in_triggerer": True}, {"copy_logs": False}])
def test_a_task_returns_its_jobs_result(run_dag: RunDag, align: LocalAws, options: dict[str, Any]) -> None:
    """And the id stays in `batch_job`; a task downstream gets a part of it, or is mapped over it."""
    with DAG("returns", schedule=None) as dag:
        job = BatchJobOperator(
            task_id="align", job_queue="default", definition=Align(sample="a"), poll_interval=0.2, **options
        )
        output: Any = job.output
        use(output["bam"])
        each.partial(bam=output["bam"]).expand(part=parts(output))
    run = run_dag(dag)
    assert run.xcom("align") == {"bam": "s3://a.bam", "parts": ["a-1", "a-2"]}
    assert run.xcom("align", "batch_job")["job_id"] == align.jobs()[0]["jobId"]
    assert run.xcom("use") == "s3://a.bam"
    assert [run.xcom("each", map_index=index) for index in (0, 1)] == ["s3://a.bam: a-1", "s3://a.bam: a-2"]


@pytest.mark.long
def test_mapped_jobs_and_decorated_ones_return_their_results(run_dag: RunDag, align: LocalAws) -> None:
    """A decorator takes the result of the definition that its function is annotated to return."""

    def choose(sample: str) -> Align:
        return Align(sample=sample)

    options: dict[str, Any] = {"job_queue": "default", "poll_interval": 0.2}
    with DAG("mapped", schedule=None) as dag:
        mapped = BatchJobOperator.partial(task_id="mapped", definition=Align, **options).expand(
            parameters=[{"sample": "a"}, {"sample": "b"}]
        )
        use.expand(value=mapped.output.map(lambda found: found["bam"]))
        decorated: Any = batch_job_task(choose, **options)
        decorated("c")
    run = run_dag(dag)
    assert [run.xcom("use", map_index=index) for index in (0, 1)] == ["s3://a.bam", "s3://b.bam"]
    assert run.xcom("choose")["bam"] == run.xcom("choose", "bam") == "s3://c.bam"
    assert len(align.jobs()) == 3


def test_an_array_returns_a_list(align: LocalAws) -> None:
    """By index."""
    align.register("many", ["sh", "-c", 'echo "batch-job-result: {\\"reads\\": $AWS_BATCH_JOB_ARRAY_INDEX}"'])
    job = operator(definition="many:1", result=Counted, submit_options={"arrayProperties": {"size": 3}})
    assert job.execute(Attempts().context()) == [{"reads": 0}, {"reads": 1}, {"reads": 2}]


def test_a_result_that_does_not_fit_fails_the_task_for_good(align: LocalAws) -> None:
    """With or without a policy; nothing is terminated or run again, and a retry that comes all the same reads again."""
    attempts = Attempts()
    for number in (1, 2):
        context = attempts.context(number, retries=3)
        job = operator(result=Counted, retries=3)
        with pytest.raises(ResultError, match="field 'reads' is missing") as raised:
            job.execute(context)
        error = raised.value
        assert isinstance(error, AirflowFailException)
        assert (error.job_id, error.field, error.value) == (align.jobs()[0]["jobId"], "reads", None)
        context["task"] = job
        decision = BatchRetryPolicy().evaluate(error, number, 3, context)
        assert decision.action is RetryAction.FAIL
    assert attempts.xcoms["batch_job"]["status"] == "SUCCEEDED"
    assert align.counts()["SubmitJob"] == 1
    assert "TerminateJob" not in align.counts()


def test_a_class_that_changed_between_attempts_reads_the_same_job(align: LocalAws) -> None:
    """What is taken up by a retry is the job; what its result is read as is the class of now."""
    attempts = Attempts()
    with pytest.raises(ResultError):
        operator(result=Counted, retries=1).execute(attempts.context(1, retries=1))
    assert operator(retries=1).execute(attempts.context(2, retries=1))["bam"] == "s3://s1.bam"
    assert align.counts()["SubmitJob"] == 1


def test_a_cloudwatch_that_is_away_is_left_to_a_retry(align: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes up the job that succeeded, and reads again."""
    monkeypatch.setattr("airflow_batch_jobs.batch.result.search.OUTAGE_SECONDS", 0.5)
    align.fault("FilterLogEvents", "server_error")
    attempts = Attempts()
    with pytest.raises(EndpointError):
        operator(copy_logs=False, retries=1).execute(attempts.context(1, retries=1))
    align.clear_faults()
    assert operator(copy_logs=False, retries=1).execute(attempts.context(2, retries=1))["bam"] == "s3://s1.bam"
    assert align.counts()["SubmitJob"] == 1


def test_a_role_that_may_not_read_the_log_is_left_to_a_retry_by_the_policy(align: LocalAws) -> None:
    """As without one, also after the first attempt: the job has succeeded, and a retry reads its result."""
    align.fault("FilterLogEvents", "denied", times=1)
    attempts = Attempts()
    job = operator(copy_logs=False, retries=1)
    context = attempts.context(1, retries=1, task=job)
    with pytest.raises(AccessDeniedError) as raised:
        job.execute(context)
    decision = BatchRetryPolicy().evaluate(raised.value, 1, 1, context)
    assert decision.action is RetryAction.DEFAULT
    assert operator(copy_logs=False, retries=1).execute(attempts.context(2, retries=1))["bam"] == "s3://s1.bam"
    assert align.counts()["SubmitJob"] == 1


class Aliased(BaseModel):
    """Has fields whose names in the data are others, and one that is computed."""

    model_config = ConfigDict(serialize_by_alias=True)

    reads: int = Field(alias="the-reads")

    @computed_field  # type: ignore[prop-decorator]  # as pydantic has it
    @property
    def double(self) -> int:
        """Twice as many."""
        return self.reads * 2


def test_each_field_of_a_result_is_an_xcom(align: LocalAws) -> None:
    """By its name in the class and in the data; a computed one, too."""
    align.register("aliased", ["echo", 'batch-job-result: {"the-reads": 3}'])
    attempts = Attempts()
    result = operator(definition="aliased:1", result=Aliased).execute(attempts.context())
    assert result == {"the-reads": 3, "double": 6}
    assert attempts.xcoms.items() >= {"reads": 3, "the-reads": 3, "double": 6}.items()


def test_a_number_that_json_does_not_have_fails_the_task(align: LocalAws) -> None:
    """A task downstream would get null."""

    class Measured(BaseModel):
        """A float takes text as well."""

        x: float

    align.register("measured", ["echo", 'batch-job-result: {"x": "NaN"}'])
    with pytest.raises(ResultError, match=r"field 'x' cannot be nan \(JSON has no such number\)"):
        operator(definition="measured:1", result=Measured).execute(Attempts().context())


def test_a_batch_that_is_away_after_the_end_is_asked_again(align: LocalAws) -> None:
    """The job has succeeded, and so does its task."""
    [job_id] = align.submit("align:1")
    align.wait_for_status(job_id)
    align.fault("DescribeJobs", "not_json", times=1)
    key = TaskKey.of(Attempts().context()["ti"], None)
    assert TaskResult(job_id, Align.Result, align.clients(), key).read()["bam"] == "s3://s1.bam"
    assert align.counts()["DescribeJobs"] > 1


@pytest.mark.parametrize(
    ("text", "why"), [("\\u0000", "no text with a NUL in it"), (2**70, "no whole number of more than 64 bits")]
)
def test_what_airflow_cannot_keep_is_refused(align: LocalAws, text: Any, why: str) -> None:
    """Airflow hands a value on as msgpack and keeps it as jsonb; the error names what it is, and where."""
    value = text if isinstance(text, int) else f'"{text}"'
    align.register("odd", ["printf", "%s", f'batch-job-result: {{"it": {value}}}'])

    class Odd(BaseModel):
        """Takes both."""

        it: str | int

    with pytest.raises(ResultError, match=rf"field 'it' cannot be .* \(Airflow keeps {why}\)\. Hand it over as text"):
        operator(definition="odd:1", result=Odd).execute(Attempts().context())


def test_what_cannot_have_a_result_is_refused_when_the_dag_is_parsed() -> None:
    """A task that does not wait, and what is no model."""
    with pytest.raises(DefinitionError, match=r"wait=False returns before .* Align.Result"):
        operator(wait=False)
    with pytest.raises(DefinitionError, match=r"wait=False returns before .* Counted"):
        operator(wait=False, definition="align:1", result=Counted)
    for name in (JOB_XCOM, CURSOR_XCOM, "return_value"):
        taken: Any = {name: (str, "")}
        with pytest.raises(DefinitionError, match=f"has a field '{name}'.*Call the field {name}_"):
            operator(result=create_model("Taken", **taken))
    with pytest.raises(DefinitionError, match="not a pydantic model"):
        operator(result={"bam": str})


def test_what_cannot_have_a_result_is_refused_of_a_mapped_task_as_well() -> None:
    """When the DAG is parsed, although its tasks are made much later."""
    common: Any = {"task_id": "t", "job_queue": "default"}
    with DAG("d", schedule=None):
        with pytest.raises(DefinitionError, match=r"wait=False returns before .* Align.Result"):
            BatchJobOperator.partial(definition=Align, wait=False, **common)
        with pytest.raises(DefinitionError, match="not a pydantic model"):
            BatchJobOperator.partial(definition="align:1", result={"bam": str}, **common)


def test_a_decorated_function_without_an_annotation_is_told_what_to_write(align: LocalAws) -> None:
    """Before anything is submitted: after the wait, nobody would know the class."""

    def choose() -> JobDefinition:
        return Align()

    def build(**arguments: Any) -> Any:
        with DAG("d", schedule=None) as dag:
            batch_job_task(choose, job_queue="default", deferrable=False, poll_interval=0.05, **arguments)()
        return dag.get_task("choose")

    class Comms:
        def send(self, message: Any) -> None:
            del message

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_runner, "SUPERVISOR_COMMS", Comms(), raising=False)
        with pytest.raises(DefinitionError, match=r"`-> Align`, or give result=Align.Result"):
            build().execute(Attempts().context())
        assert not align.jobs()
        assert build(result=Align.Result).execute(Attempts().context())["bam"] == "s3://s1.bam"


@pytest.mark.parametrize(("state", "error"), [("failed", AirflowTaskTerminated), ("running", TaskEvictedError)])
def test_sigterm_ends_the_wait_for_a_result(
    align: LocalAws, monkeypatch: pytest.MonkeyPatch, state: str, error: type[BaseException]
) -> None:
    """A user's stop is one; a worker that has to go leaves the result to the next attempt."""
    align.register("none", ["true"])
    [job_id] = align.submit("none:1")
    align.wait_for_status(job_id)
    server = ApiServer()
    server.states = {"t": state}
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", server, raising=False)
    key = TaskKey.of(Attempts().context()["ti"], None)
    monkeypatch.setattr(task_result, "LATE_SECONDS", 60.0)
    wait = TaskResult(job_id, Counted, align.clients(), key)
    before = signal.signal(signal.SIGTERM, lambda *_: wait.kill())
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    try:
        with pytest.raises(error):
            wait.read()
    finally:
        timer.join()
        signal.signal(signal.SIGTERM, before)
    wait.kill()
    with pytest.raises(error):
        wait.read()
