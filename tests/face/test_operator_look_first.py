"""What a new job would be refused for today keeps no retry from its job, and no clear from ending it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jinja2
import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.execution_time import task_runner
from structlog.testing import capture_logs

from airflow_batch_jobs.batch.definition import Field, JobDefinition
from airflow_batch_jobs.decorators import batch_job_task
from airflow_batch_jobs.errors import DefinitionError, NotPinnedError, ParameterError, RequestError
from airflow_batch_jobs.operators import BatchJobOperator
from airflow_batch_jobs.task.record import RECORD_KEY
from tests.face.attempts import Attempts, deferred

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.server import LocalAws


class Align(JobDefinition, name="align", revision=1):
    """A definition as it was when the job was submitted."""

    sample: str


class Short(JobDefinition, name="align", revision=1):
    """The same after a change: what comes from upstream does not fit it any more."""

    sample: str = Field(max_length=1)


class Other(JobDefinition, name="align", revision=1):
    """After another change: it has another parameter."""

    reference: str


class Unpinned(JobDefinition, name="align"):
    """After one more: nobody knows which revision is meant."""

    sample: str


@pytest.fixture
def align(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """A local AWS with the definition, as Airflow's connection `aws_default`."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.airflow_connection())
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", type("Comms", (), {"send": print}), raising=False)
    aws.register("align", parameters={"reference": "hg38"})
    aws.script(definition="align", running=60)
    return aws


def operator(**arguments: Any) -> BatchJobOperator:
    """Return an operator that runs the job; its sample comes from upstream."""
    how = {"definition": Align, "parameters": {"sample": "{{ sample }}"}, **arguments}
    with DAG("d", schedule=None):
        return BatchJobOperator(**{"task_id": "t", "job_queue": "default", **how})


def mapped(definition: type[JobDefinition] = Align, **arguments: Any) -> Any:
    """Return one of the tasks that such an operator is mapped to, made as Airflow makes it before it runs.

    Its arguments come from upstream: what stands in the DAG file is checked when that is parsed.
    """
    with DAG("d", schedule=None):
        upstream: Any = BaseOperator(task_id="upstream").output
        every = BatchJobOperator.partial(task_id="t", job_queue="default", definition=definition)
        return every.expand_kwargs(upstream).unmap({"parameters": {"sample": "s1"}, **arguments})


def decorated(function: Callable[[], Any]) -> Any:
    """Return a decorated task that runs the definition that a function returns."""
    with DAG("d", schedule=None):
        task: Any = batch_job_task(function, job_queue="default", task_id="t")()
        return task.operator


def rendered(task: Any, attempts: Attempts, *number: int, **how: Any) -> Any:
    """Render a task as Airflow does before it executes or resumes; return the context."""
    context = attempts.context(*number, retries=1, sample="s1", **how)
    task.render_template_fields(context)
    return context


def started(attempts: Attempts, task: Any | None = None) -> str:
    """Run the first attempt up to its deferral, and lose it; return its job."""
    task = task or operator()
    job_id = deferred(task, rendered(task, attempts)).job_id
    attempts.xcoms.clear()
    return job_id


def fail() -> JobDefinition:
    """Decide nothing."""
    raise LookupError("no such sample")


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception]]] = {
    "a class that takes less": (lambda: operator(definition=Short), ParameterError),
    "a class with another parameter": (lambda: mapped(Other), ParameterError),
    "a class without a revision": (lambda: decorated(lambda: Unpinned(sample="s1")), NotPinnedError),
    "a definition without a revision": (lambda: operator(definition="{{ 'align' }}"), NotPinnedError),
    "a template of something unknown": (
        lambda: operator(parameters={"sample": "{{ gone.away }}"}),
        jinja2.UndefinedError,
    ),
    "a template that is none": (lambda: operator(container_overrides={"command": ["{{"]}), jinja2.TemplateSyntaxError),
    "parameters that are no mapping": (lambda: operator(definition="align:1", parameters="{{ 'x' }}"), ValueError),
    "overrides that are no mapping": (lambda: operator(container_overrides="{{ 'x' }}"), ValueError),
    "overrides that are too long": (lambda: mapped(container_overrides={"command": ["x" * 9000]}), RequestError),
    "a field that AWS does not know": (lambda: operator(submit_options={"timeouts": {}}), RequestError),
    "a function that fails": (lambda: decorated(fail), LookupError),
    "a function that makes what does not fit": (lambda: decorated(lambda: Short(sample="s1")), ParameterError),
    "a function that returns something else": (lambda: decorated(lambda: "align:1"), DefinitionError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_retry_goes_on_with_its_job(align: LocalAws, name: str) -> None:
    """Whatever its request would be refused for."""
    attempts = Attempts()
    job_id = started(attempts)
    task = REFUSED[name][0]()
    assert deferred(task, rendered(task, attempts, 2)).job_id == job_id
    assert len(align.requests("SubmitJob")) == 1
    assert not align.requests("TerminateJob")


@pytest.mark.long
@pytest.mark.parametrize("name", REFUSED)
def test_a_retry_whose_jobs_id_was_lost_finds_it(align: LocalAws, name: str) -> None:
    """By the queue and by its name, which do not depend on what is refused."""
    attempts = Attempts()
    job_id = started(attempts)
    attempts.store[RECORD_KEY] |= {"job_id": None}
    task = REFUSED[name][0]()
    assert deferred(task, rendered(task, attempts, 2)).job_id == job_id
    assert len(align.requests("SubmitJob")) == 1


def test_the_log_says_why_there_could_be_no_new_job(align: LocalAws) -> None:
    """A user has to know before the next run."""
    del align
    attempts = Attempts()
    started(attempts)
    task = operator(definition=Short)
    with capture_logs() as entries:
        deferred(task, rendered(task, attempts, 2))
    [line] = [entry["event"] for entry in entries if str(entry["event"]).startswith("A new job")]
    assert line.startswith("A new job could not be submitted any more: Parameter 'sample' of align:1")


@pytest.mark.long
@pytest.mark.parametrize("name", REFUSED)
def test_a_clear_ends_the_job_before_it_fails(align: LocalAws, name: str) -> None:
    """Nobody wants it any more."""
    make, kind = REFUSED[name]
    attempts = Attempts()
    job_id = started(attempts)
    task = make()
    context = rendered(task, attempts, 2, cleared=1)
    with pytest.raises(kind):
        task.execute(context)
    assert [request.parameters["jobId"] for request in align.requests("TerminateJob")] == [job_id]
    assert len(align.requests("SubmitJob")) == 1


@pytest.mark.parametrize("name", REFUSED)
def test_a_first_attempt_fails_before_it_asks_aws(align: LocalAws, name: str) -> None:
    """There is nothing to look for."""
    make, kind = REFUSED[name]
    task = make()
    context = rendered(task, Attempts())
    with pytest.raises(kind):
        task.execute(context)
    assert not align.counts()


def test_a_task_that_resumes_needs_no_request(align: LocalAws) -> None:
    """Its job has succeeded, whatever has become of the definition's class."""
    attempts = Attempts()
    job_id = started(attempts)
    task = operator(definition=Short)
    event = {"job": {"job_id": job_id, "status": "SUCCEEDED"}, "summary": "It is done."}
    context = rendered(task, attempts)
    assert task.resume_execution("execute_complete", {"event": event}, context) == job_id
    assert len(align.requests("SubmitJob")) == 1


def test_without_its_connection_nothing_is_asked(align: LocalAws) -> None:
    """A connection whose name cannot be rendered is no reason to ask with another one's credentials."""
    attempts = Attempts()
    started(attempts)
    before = align.counts()
    with pytest.raises(jinja2.UndefinedError):
        rendered(operator(aws_conn_id="{{ gone.away }}"), attempts, 2)
    assert align.counts() == before


def test_what_was_rendered_of_a_refused_request_is_masked(align: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow shows the rendered fields all the same."""
    del align
    masked: list[Any] = []
    monkeypatch.setattr("airflow_batch_jobs.task.masking.mask_secret", masked.append)
    with DAG("d", schedule=None):
        upstream = BatchJobOperator(task_id="u", job_queue="default", definition="align:1").output
        task = BatchJobOperator(
            task_id="t",
            job_queue="default",
            definition="align:1",
            parameters={"sample": "{{ gone.away }}", "reference": upstream},  # an object of Airflow's, still
            container_overrides={"environment": [{"name": "DB_PASSWORD", "value": "hunter2"}]},
        )
    rendered(task, Attempts())
    assert masked == ["hunter2"]
