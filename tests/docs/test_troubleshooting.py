"""docs/troubleshooting.md: every error and warning is there, in its own words."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ProfileNotFound
from pydantic import BaseModel, field_serializer, field_validator

from airflow_batch_jobs import errors
from airflow_batch_jobs.batch import diagnosis, waiting
from airflow_batch_jobs.batch.aws import Caller, explain
from airflow_batch_jobs.batch.aws_messages import BLOCKS, EXIT_CODES, FATES, REASONS, Meaning
from airflow_batch_jobs.batch.changes.failure import Failure
from airflow_batch_jobs.batch.changes.more_memory import MoreMemory
from airflow_batch_jobs.batch.changes.on_retry import OnRetry
from airflow_batch_jobs.batch.definition import Field, JobDefinition
from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.diagnosis import Cause, Diagnosis
from airflow_batch_jobs.batch.log_stream import LogStream, incomplete_logs
from airflow_batch_jobs.batch.logs import LogEvent
from airflow_batch_jobs.batch.orphans import Decision, Finding, SweepReport
from airflow_batch_jobs.batch.preflight import check_queue, check_revision
from airflow_batch_jobs.batch.preflight.check import check_plan
from airflow_batch_jobs.batch.preflight.plan import Plan
from airflow_batch_jobs.batch.request import SubmitRequest
from airflow_batch_jobs.batch.result.model import dump_result, read_result
from airflow_batch_jobs.batch.result.search import ResultSearch
from airflow_batch_jobs.config import OPTIONS, SECTION
from airflow_batch_jobs.errors import BatchJobsError
from airflow_batch_jobs.task import stop
from tests.batch.conftest import Entries
from tests.docs.source import GAP, ROOT, nodes, template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = ROOT / "docs" / "troubleshooting.md"
PRODUCTION = ROOT / "docs" / "production.md"
ALL_CLASSES = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, BatchJobsError)
}
#: Their message is JobFailedError's, and they stand in its entry.
FAMILIES = {name for name, kind in ALL_CLASSES.items() if errors.JobFailedError in kind.__bases__}
CLASSES = ALL_CLASSES.keys() - FAMILIES
PROD = Caller("the AWS connection 'prod'", "arn:aws:iam::123456789012:role/prod")
DENIED_BY_POLICY = "User: x is not authorized to perform: y:Z with an explicit deny in a service control policy"
#: These make their message from their arguments; all others are given it.
MADE = {name for name in CLASSES if "__init__" in vars(getattr(errors, name))} - {"BatchJobsError", "AwsError"}
#: Where the page quotes the command line.
COMMAND_LINE = ("## What the command line says", "## What `migrate` says")
#: What a result can be besides, as the source has it.
RESULT_PROBLEMS = (
    ("The result is longer than 262,144 bytes", "Write it to S3, and hand its location over."),
    ("The results of the children are longer than 4,194,304 bytes", "Write it to S3, and hand its location over."),
)
#: Lines whose text is made elsewhere, by where they are written. The text itself is looked for below.
MADE_ELSEWHERE = {
    "task/in_triggerer:TriggererWait.has_finished: outcome.summary",
    "task/log_rest:_tell: line",
    "task/orphan_watch:OrphanWatch._run: line",
    "task/triggerer:Triggerer._sweep_beside: str(NoDeploymentError())",
    "task/wait:JobWait._end: line",
    "task/wait:JobWait._next: text",
    "task/wait:JobWait._on_status: elsewhere",
    "job_task:JobTask._conclude: outcome.summary",
    "job_task:JobTask._or_given_up: self._give_up(context, job_id, stop.TASK_FAILED, error)",
    "sweep:BatchOrphanSweepOperator.execute: report.summary()",
}
#: What the command line remarks on the usual course of things; what `migrate` sums up is explained by its own words.
USUAL_REMARKS = {
    "Submitted …",
    "Job … has ended already: it is ….",
    "Job … was … and is being terminated: …",
    "The job keeps running; `airflow-batch-jobs terminate …` stops it.",
    "and … more",
    "… …: … …, … left.",
    "No use ….",
    "… failed, as said above.",
    "Left at …",
    "Other files that name these classes, as said above: ….",
    "For you to do, as the comments say: … in …",
    "To pin what has no revision, complete: … --write",
    "… …=… changes nothing: no definition without a revision has this name",
    "Passed over: …",
}
#: Options of which one alone is read, by a function of `config.py`.
READ_ALONE = {"tab": "shows_tab"}
#: Lines about the usual course of things.
USUAL = {
    "Submitted job …: … to …, as …",
    "Terminated the job: …",
    "Waiting for job …",
    "Its status reason before the termination: …",
}


def section(title: str) -> str:
    """Return the text under a heading of the page, including the headings below it."""
    page = PAGE.read_text(encoding="utf-8")
    level = title.partition(" ")[0]
    found = re.search(rf"^{re.escape(title)}\n(.*?)(?=^{level} |\Z)", page, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


@cache
def entries() -> dict[str, tuple[str, ...]]:
    """Return the messages that the page quotes, by the class of the error."""
    page = PAGE.read_text(encoding="utf-8")
    found = {}
    for name, text in re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE):
        assert name not in found, name
        blocks = re.findall(r"^```text\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        found[name] = tuple(line for block in blocks for line in block.splitlines())
    return found


def rows(title: str) -> Iterator[list[str]]:
    """Yield the cells of a section's table."""
    _, _, *lines = [line for line in section(title).splitlines() if line.startswith("|")]
    for line in lines:
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def quotes(cell: str) -> list[str]:
    """Return what a cell quotes."""
    return re.findall(r"`([^`]+)`", cell)


def covers(quote: str, message: str) -> bool:
    """Tell whether a message is the quoted one, whatever is in place of `…`."""
    return re.fullmatch(".*".join(map(re.escape, quote.split(GAP))), message, re.DOTALL) is not None


class Align(JobDefinition, name="align", revision=7):
    """A definition to make mistakes with."""

    sample: str
    threads: int = Field(default=4, ge=1)


def client_of(service: str, **_: Any) -> Any:
    """Return a client of an account with a disabled queue and a definition whose revision 1 is deregistered."""
    inactive = {"jobDefinitionName": "align", "revision": 1, "status": "INACTIVE"}
    active = {"jobDefinitionName": "align", "revision": 2, "status": "ACTIVE"}
    queue = {"jobQueueName": "closed", "state": "DISABLED"}

    def describe_job_queues(jobQueues: list[str] | None = None) -> dict[str, Any]:  # noqa: N803 - AWS's name
        return {"jobQueues": [queue] if jobQueues is None or "closed" in jobQueues else []}

    def describe_job_definitions(jobDefinitions: tuple[str, ...] = (), **named: str) -> dict[str, Any]:  # noqa: N803
        found = (
            [inactive] if "align:1" in jobDefinitions else [active] if named.get("jobDefinitionName") == "align" else []
        )
        return {"jobDefinitions": found}

    assert service == "batch"
    return SimpleNamespace(
        meta=SimpleNamespace(region_name="eu-central-1"),
        describe_job_queues=describe_job_queues,
        describe_job_definitions=describe_job_definitions,
    )


def refused(code: str, status: int = 400, operation: str = "SubmitJob", message: str = "No.") -> ClientError:
    """Return what botocore raises for an error of AWS."""
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


def raised(work: Callable[[], object]) -> BatchJobsError:
    """Return the error that something ends with."""
    with pytest.raises(BatchJobsError) as caught:
        work()
    return caught.value


def requests_refused() -> Iterator[BatchJobsError]:
    """Yield the errors of requests that do not fit their revision, or AWS's limits."""
    fargate = {"platformCapabilities": ["FARGATE"], "containerProperties": {"command": ["align"]}}
    group = {"targetNodes": "0:1", "container": {"image": "i"}}
    nodes = {"nodeProperties": {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": [group]}}
    task = {"ecsProperties": {"taskProperties": [{"containers": [{"name": "main", "image": "i"}]}]}}
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "9000"}]
    long = [{"name": "PAYLOAD", "value": "x" * 9000}]
    other = {"taskProperties": [{"containers": [{"name": "mian"}]}]}
    yield errors.RequestError("timeout.attemptDurationSeconds", "is 30; AWS accepts at least 60")
    for definition, request in (
        ({"containerProperties": {"command": ["align", "Ref::sample"]}}, {}),
        ({"containerProperties": {"image": "i"}}, {"containerOverrides": {"environment": long}}),
        ({"containerProperties": {"image": "i"}}, {"nodeOverrides": {"numNodes": 2}}),
        (fargate, {"containerOverrides": {"resourceRequirements": needs}}),
        (fargate, {"containerOverrides": {"resourceRequirements": [{**needs[0], "value": "64"}, needs[1]]}}),
        (fargate, {"containerOverrides": {"resourceRequirements": [{"type": "GPU", "value": "1"}]}}),
        (fargate, {"containerOverrides": {"instanceType": "m5.large"}}),
        (fargate, {"containerOverrides": {"memory": 2048}}),
        (task, {"ecsPropertiesOverride": other}),
        (task, {"ecsPropertiesOverride": {"taskProperties": [{"containers": [{}]}]}}),
        (task, {"ecsPropertiesOverride": {"taskProperties": [{}, {}]}}),
        (nodes, {"nodeOverrides": {"numNodes": 3}}),
        (nodes, {"arrayProperties": {"size": 2}}),
        (nodes, {"nodeOverrides": {"nodePropertyOverrides": [{"targetNodes": "0"}]}}),
        ({"tags": {str(number): "" for number in range(51)}, "propagateTags": True}, {}),
    ):
        plan = Plan.of(definition, {"jobDefinition": "align:7", **request})
        yield raised(partial(check_plan, plan))
    least = OnRetry(client_of, [MoreMemory(at_most_mib=4)], print)
    yield raised(lambda: least.check({"containerProperties": {"memory": 512}}, {}))
    yield errors.RequestError("jobName", "was changed by Mine of on_retry, which has to leave it as it is")
    yield errors.RequestError(
        "jobQueue", "was changed by Mine of on_retry, which has to name that queue as its attribute `queue`"
    )
    debug = [{"name": "DEBUG", "value": "1"}]
    for does in (
        lambda _: None,
        lambda _: ["hello"],
        lambda request: request.update(tags=7) or [],
        lambda request: request.update(containerOverrides={"environment": debug}) or [],
    ):
        own: Any = SimpleNamespace(apply=lambda job, _, does=does: does(job.request))
        failure = Failure(job_id="0f5e", cause=Cause.OUT_OF_MEMORY)
        asked = SubmitRequest(job_name="d-t-0", job_queue="q", job_definition="align:7")
        yield raised(partial(OnRetry(client_of, [own], print).made, asked, {}, [failure]))


def results_refused() -> Iterator[BatchJobsError]:
    """Yield the errors of results: those that are made of their parts, and one of each that is written as a whole."""

    class Broken(BaseModel):
        """Neither reads nor writes what it should."""

        bam: str

        @field_validator("bam")
        @classmethod
        def look_up(cls, value: str) -> str:
            return {"x": "y"}[value]

        @field_serializer("bam")
        def write(self, value: str) -> str:
            raise KeyError(value)

    class Odd(BaseModel):
        """What Airflow does not keep."""

        bam: int

    yield raised(lambda: dump_result(Odd(bam=2**70), "0f5e"))
    for text in ("{}", '{"bam": 1}', "[]", '{"bam": "z"}'):
        yield raised(partial(read_result, Broken, text, "0f5e"))
    yield raised(lambda: dump_result(Broken.model_construct(bam="x"), "0f5e"))
    stream = LogStream("container a", "g", "eu-central-1", "a")
    other = replace(stream, label="container b", stream="b")
    part = JobDetail.from_response(Entries().single(), "eu-central-1")
    search = ResultSearch(client_of, part)
    half = LogEvent(0, 'batch-job-result: {"bam": ')
    for found in ({}, {stream: half}, {stream: half, other: half}):
        yield raised(partial(search._text, part, found))
    elsewhere = {**Entries().container(), "logConfiguration": {"logDriver": "syslog"}}
    syslog = JobDetail.from_response(Entries().single(container=elsewhere, attempts=[]), "eu-central-1")
    yield raised(lambda: ResultSearch(client_of, syslog).read(None))
    for problem, remedy in RESULT_PROBLEMS:
        yield errors.ResultError("0f5e", problem, remedy)


@cache
def produced() -> tuple[BatchJobsError, ...]:
    """Return errors as they occur."""
    return (
        errors.NotPinnedError("align"),
        raised(lambda: Align(threads=4)),  # type: ignore[call-arg]
        raised(lambda: Align(sample="s", speed=1)),  # type: ignore[call-arg]
        raised(lambda: Align(sample="s", threads=0)),
        raised(lambda: Align(sample="s", threads="{{ params.threads }}")),  # type: ignore[arg-type]
        *requests_refused(),
        explain(refused("AccessDeniedException", 403), "batch:SubmitJob"),
        explain(refused("AccessDeniedException", 403, message=DENIED_BY_POLICY), "batch:SubmitJob"),
        explain(refused("ExpiredTokenException", 403), "batch:SubmitJob"),
        explain(refused("InvalidClientTokenId", 403), "batch:SubmitJob"),
        explain(refused("RequestTimeTooSkewed", 403), "batch:SubmitJob"),
        explain(refused("TooManyRequestsException", 429), "batch:SubmitJob"),
        explain(refused("ClientException"), "batch:SubmitJob"),
        explain(EndpointConnectionError(endpoint_url="https://batch"), "batch:SubmitJob"),
        explain(refused("AccessDenied", 403, "AssumeRole"), "batch:SubmitJob", PROD),
        explain(refused("InvalidClientTokenId", 403), "batch:SubmitJob", PROD),
        explain(EndpointConnectionError(endpoint_url="https://batch"), "batch:SubmitJob", PROD),
        explain(ProfileNotFound(profile="etl"), "batch:SubmitJob"),
        explain(ProfileNotFound(profile="etl"), "batch:SubmitJob", PROD),
        explain(MemoryError(), "batch:SubmitJob"),
        raised(lambda: check_queue(client_of, "open")),
        raised(lambda: check_queue(client_of, "closed")),
        raised(lambda: check_queue(client_of, "arn:aws:batch:us-east-1:123456789012:job-queue/open")),
        raised(lambda: check_revision(client_of, "arn:aws:batch:us-east-1:123456789012:job-definition/align:3")),
        raised(lambda: check_revision(client_of, "unknown:1")),
        raised(lambda: check_revision(client_of, "align:3")),
        raised(lambda: check_revision(client_of, "align:1")),
        errors.SubmitUnansweredError("d-t-0", "timed out"),
        errors.TaskEvictedError("0f5e", runs_on=True),
        errors.TaskEvictedError("0f5e", runs_on=False),
        errors.TaskEvictedError("0f5e", has_ended=True),
        *results_refused(),
        *map(errors.AwsError, incomplete_logs({LogStream("child 3", "g", "eu-central-1", "a"): "It is away."})),
        errors.NoDeploymentError(),
        errors.JobNotFoundError("0f5e"),
        errors.WaitCrashedError("0f5e", AttributeError("x")),
        errors.JobFailedError({"job_id": "0f5e", "job_name": "d-t-0"}, Diagnosis(Cause.UNKNOWN, "It failed.", "See.")),
        errors.JobTimeoutError("0f5e", 60),
    )


def named_calls() -> Iterator[tuple[str, str, list[ast.expr]]]:
    """Yield where something is called by name, its name, and its arguments."""
    for place, node in nodes():
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
            yield str(place), node.func.id if isinstance(node.func, ast.Name) else node.func.attr, node.args


@cache
def written(*names: str) -> tuple[str, ...]:
    """Return the messages, with `…` for values, that are given to calls of these names."""
    return tuple(
        text for _, name, args in named_calls() if name in names and args and (text := template(args[0])) is not None
    )


@cache
def texts() -> frozenset[str]:
    """Return all texts of the package."""
    return frozenset(text for _, node in nodes() if (text := template(node)) is not None)


def meanings() -> set[Meaning]:
    """Return all that a diagnosis can say."""
    signs = {sign.meaning for sign in (*FATES, *REASONS, *BLOCKS)}
    own = {each for room in (diagnosis, waiting) for each in vars(room).values() if isinstance(each, Meaning)}
    return signs | own | set(EXIT_CODES.values())


def lines() -> list[str]:
    """Return the quoted lines of the task log."""
    return [quote for line, *_ in rows("## Lines in the log") for quote in quotes(line)]


def test_every_error_has_an_entry_and_no_other_has() -> None:
    """By the name of its class."""
    assert set(entries()) == CLASSES


def test_the_families_of_failures_are_named_where_their_message_is_quoted() -> None:
    """Whoever searches for the class finds it there."""
    assert set(re.findall(r"`(\w+)`", section("### `JobFailedError`"))) >= FAMILIES


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_quoted_messages_come_about(name: str) -> None:
    """Each is the message of an error that was made here, or is in the source as it is quoted."""
    messages = [str(error) for error in produced() if type(error).__name__ == name]
    for quote in entries()[name]:
        assert quote in written(name) or any(covers(quote, message) for message in messages), quote


def test_messages_are_quoted() -> None:
    """Those that were made here."""
    for error in produced():
        assert any(covers(quote, str(error)) for quote in entries()[type(error).__name__]), error


@pytest.mark.parametrize("name", sorted(CLASSES - MADE))
def test_all_messages_of_the_source_are_quoted(name: str) -> None:
    """Of errors that are given their message."""
    messages = [str(error) for error in produced() if type(error).__name__ == name]
    for text in written(name):
        if re.search(r"[a-z]{2}", text):  # the others are made of parts
            known = [message for message in messages if covers(text, message)]
            told = text in entries()[name] or any(covers(quote, one) for quote in entries()[name] for one in known)
            assert told, text


def test_every_class_that_makes_its_message_was_made_here() -> None:
    """So that its quotes are checked against it."""
    kinds = {type(error).__name__ for error in produced()}
    bases = {"BatchJobsError", "DefinitionError", "AwsError"}
    given = {name for name in CLASSES if written(name)}
    assert kinds | bases | given == CLASSES
    assert kinds >= MADE


def test_the_problems_of_results_are_in_the_source() -> None:
    """As they are made here."""
    for each in (text for pair in RESULT_PROBLEMS for text in pair):
        assert any(covers(text, each) for text in texts() if re.search(r"[a-z]{2}", text)), each


def test_quoted_lines_are_written() -> None:
    """Each is in the source, or is a line of the sweep."""
    swept = list(sweep_lines())
    for line in lines():
        assert line in texts() or any(covers(line, one) for one in swept), line


def sweep_lines() -> Iterator[str]:
    """Yield lines of the sweep, one of each kind that asks to be looked at."""
    job = JobDetail.from_response(Entries().running(), "eu-central-1")
    orphan = Finding(job, None, Decision.ORPHAN, "d.t of run r is failed")
    denied = Finding(job, None, Decision.ORPHAN, "d.t of run r is failed", errors.AccessDeniedError("no"))
    unclear = Finding(job, None, Decision.CANNOT_TELL, "its tags do not name a task instance exactly")
    for report in (SweepReport((orphan, denied, unclear), dry_run=False), SweepReport((orphan,), dry_run=True)):
        yield from (line for _, line in report.lines())


def test_every_warning_is_quoted() -> None:
    """And every line of information that is not about the usual course of things."""
    told = {
        text
        for place, name, args in named_calls()
        if name in {"problem", "note"} and len(args) == 1 and not place.startswith("cli/")
        if (text := template(args[0])) is not None
    }
    assert told - USUAL <= set(lines())
    assert told >= USUAL


def test_lines_of_the_sweep_are_quoted() -> None:
    """Those that ask to be looked at."""
    for line in sweep_lines():
        assert any(covers(quote, line) for quote in lines()), line


def test_lines_that_are_made_elsewhere_are_known() -> None:
    """A new one has to be entered here, and its text in the page."""
    found = {
        f"{place}: {ast.unparse(args[0])}"
        for place, name, args in named_calls()
        if name in {"problem", "note"} and len(args) == 1 and not place.startswith("cli/")
        if template(args[0]) is None
    }
    assert found - {"sweep:BatchOrphanSweepOperator.execute: line"} == MADE_ELSEWHERE


def remarks() -> Iterator[str]:
    """Yield the messages, as far as they are texts, of which the command line makes errors and remarks."""
    for place, name, args in named_calls():
        if place.startswith("cli/") and name in {"complain", "note", "BadParameter"} and args:
            branches = [args[0].body, args[0].orelse] if isinstance(args[0], ast.IfExp) else [args[0]]
            yield from (text for each in branches if (text := template(each)) and re.search(r"[a-z]{2}", text))


def test_what_the_command_line_says_is_quoted() -> None:
    """All but what it remarks on the usual course of things."""
    quoted = {quote for title in COMMAND_LINE for message, *_ in rows(title) for quote in quotes(message)}
    assert len(quoted) > 50
    for remark in set(remarks()) - USUAL_REMARKS:
        assert any(covers(quote, remark) for quote in quoted), remark
    assert set(remarks()) >= USUAL_REMARKS


@pytest.mark.parametrize("title", COMMAND_LINE)
def test_the_command_line_says_what_is_quoted(title: str) -> None:
    """In a text of its modules or of those that rewrite DAGs."""
    said = {
        text for place, node in nodes() if place.module.startswith(("cli/", "migration/")) if (text := template(node))
    }
    for quote in (quote for message, *_ in rows(title) for quote in quotes(message)):
        assert any(covers(quote, text) for text in said if re.search(r"[a-z]{2}", text)), quote


def test_every_error_of_airflows_is_quoted() -> None:
    """What this package says in them."""
    table = rows("## Airflow's errors with this package's messages")
    quoted = [quote for message, *_ in table for quote in quotes(message)]
    assert set(quoted) <= texts()
    raised_here = written("AirflowTaskTimeout", "AirflowSensorTimeout", "AirflowTaskTerminated", "AirflowFailException")
    assert raised_here
    assert set(raised_here) <= set(quoted)


def test_reasons_of_terminations_are_those_that_are_given() -> None:
    """Each is in the source, and all that a task's own stop gives are there."""
    reasons = [quote for reason, *_ in rows("## Who terminated my job?") for quote in quotes(reason)]
    assert len(reasons) == len(set(reasons)) >= 7
    assert set(reasons) <= texts()
    given = {text for name, text in vars(stop).items() if name.isupper() and isinstance(text, str) and " " in text}
    assert len(given) >= 4
    assert given <= set(reasons)


def test_every_cause_has_a_row() -> None:
    """Once, by the words of its value."""
    causes = [cause for cause, *_ in rows("## Why a job failed, or does not start")]
    assert sorted(causes) == sorted(cause.value for cause in Cause)


def test_a_cause_is_quoted_in_all_words_that_a_diagnosis_has_for_it() -> None:
    """With `…` for what differs from job to job."""
    said: dict[str, set[str]] = {cause.value: set() for cause in Cause}
    for meaning in meanings():
        said[meaning.cause.value].add(re.sub(r"\{\w+\}", GAP, meaning.summary))
    said[Cause.SIGNAL.value].add("… ended as if by signal …")  # the one that is made of the exit code
    quoted = {cause: set(quotes(words)) for cause, words, *_ in rows("## Why a job failed, or does not start")}
    assert quoted == said


def test_a_cause_has_the_outlooks_of_its_words() -> None:
    """Whether the same job can succeed if it is run again."""
    outlooks: dict[str, set[str]] = {cause.value: set() for cause in Cause}
    for meaning in meanings():
        outlooks[meaning.cause.value].add(meaning.outlook.value)
    told = {cause: set(again.split(", ")) for cause, _, again, _ in rows("## Why a job failed, or does not start")}
    assert told == outlooks


def test_options_are_those_that_there_are() -> None:
    """Each option that the pages name is Airflow's or ours, and all of ours have their reader."""
    spec = find_spec("airflow")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(next(iter(spec.submodule_search_locations)))
    config = (folder / "config_templates" / "config.yml").read_text(encoding="utf-8")
    pages = PAGE.read_text(encoding="utf-8") + PRODUCTION.read_text(encoding="utf-8")
    named = set(re.findall(r"`\[(\w+)\] (\w+)`", pages))
    assert len(named) > 10
    for section_name, option in named - {(SECTION, ours) for ours in OPTIONS}:
        block = re.search(rf"^{section_name}:\n(.*?)(?=^\w|\Z)", config, re.DOTALL | re.MULTILINE)
        assert block, section_name
        assert f"\n    {option}:\n" in block[1], option
    readers = PRODUCTION.read_text(encoding="utf-8").partition("| option | read by |")[2].partition("\n\n")[0]
    listed = [option for row in readers.splitlines() for option in quotes(row.partition(" | ")[0])]
    assert sorted(listed) == sorted(OPTIONS)


def test_every_option_is_read() -> None:
    """Outside of `config.py`, from the settings or from what the watcher is given of them."""
    read = {
        node.attr
        for place, node in nodes()
        if place.module != "config" and isinstance(node, ast.Attribute)
        if re.search(r"\b(?:settings|options|Settings\.read\(\))$", ast.unparse(node.value))
    }
    called = {name for place, name, _ in named_calls() if not place.startswith("config")}
    assert set(READ_ALONE.values()) <= called
    assert {option for option in OPTIONS if option not in read} == set(READ_ALONE)
