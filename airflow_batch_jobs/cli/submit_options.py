"""What `airflow-batch-jobs submit` is told to submit: its options, and the request that they make."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_batch_jobs.batch.detail import MOST_CHILDREN
from airflow_batch_jobs.batch.job_id import bare_id
from airflow_batch_jobs.cli import completion, console
from airflow_batch_jobs.cli.job_ids import whole_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.definition import JobDefinition

_LIKE = "--like"
_OVERRIDE = "--container-override"


def _check_whole(value: str | None) -> str | None:
    job_id = None if value is None else bare_id(value)
    for mark, what in ((":", "a child of an array"), ("#", "a node")):
        if job_id and mark in job_id:
            raise typer.BadParameter(f"{what} is not submitted alone; give {job_id.partition(mark)[0]}")
    return job_id


Definition = Annotated[
    str | None,
    typer.Argument(
        metavar="DEFINITION:REVISION",
        help=f"Or an ARN with a revision. With {_LIKE}, another one.",
        autocompletion=completion.definitions,
    ),
]
Queue = Annotated[
    str | None,
    typer.Option("--queue", "-q", help="The job queue's name or ARN.", autocompletion=completion.queues),
]
Parameters = Annotated[
    list[str] | None, typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="Repeat for more.")
]
Environment = Annotated[
    list[str] | None,
    typer.Option("--env", "-e", metavar="NAME=VALUE", help="A variable for the container; repeat for more."),
]
ContainerOverride = Annotated[
    str | None,
    typer.Option(
        _OVERRIDE, metavar="JSON", help="containerOverrides as AWS has them: command, resourceRequirements, …"
    ),
]
ArraySize = Annotated[
    int | None,
    typer.Option("--array-size", min=2, max=MOST_CHILDREN, help="Submit an array of that many jobs."),
]
JobName = Annotated[str | None, typer.Option("--job-name", help="How the job's name begins; random digits follow.")]
Like = Annotated[
    str | None,
    typer.Option(
        _LIKE,
        metavar="JOB_ID",
        callback=_check_whole,
        help="Submit what this job was submitted with, but for what else is given here.",
    ),
]


@dataclass(frozen=True, slots=True)
class Submit:
    """What is to be submitted.

    Attributes:
        definition: The definition, with its parameters.
        queue: The queue's name or ARN.
        container_overrides: For the job's container, under AWS's names.
        options: Any other fields of SubmitJob.
    """

    definition: JobDefinition
    queue: str
    container_overrides: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(  # noqa: PLR0913 - the options of the command
        cls,
        definition: str | None,
        queue: str | None,
        *,
        clients: ClientFactory,
        parameters: Sequence[str] | None,
        environment: Sequence[str] | None,
        container_override: str | None,
        array_size: int | None,
        job_name: str | None,
        like: str | None,
    ) -> Submit:
        """Read the options; asks AWS about the job that is to be repeated.

        Raises:
            typer.BadParameter: An option is missing or cannot be read.
            DefinitionError: The definition is malformed.
            AwsError: AWS does not tell of the job that is to be repeated.
        """
        from airflow_batch_jobs.batch.definition import JobDefinition
        from airflow_batch_jobs.batch.repetition import Repetition, repetition_of

        given = _values(parameters or [], "--parameter")
        override = _container_override(container_override)
        variables = _values(environment or [], "--env")
        if like is None and definition is None:
            raise typer.BadParameter(f"one is needed, or {_LIKE} a job", param_hint="DEFINITION:REVISION")
        if like is None and queue is None:
            raise typer.BadParameter(f"one is needed, unless it is {_LIKE} a job", param_hint="--queue")
        base = repetition_of(clients, whole_id(like, clients)) if like else Repetition("", "")
        if base.untold:
            console.note(f"AWS does not show the {base.untold} of job {like}; if it had any, they are not repeated.")
        overrides = _merged(_merged(base.container_overrides, override), _environment(variables))
        options = {
            **base.options,
            **({"arrayProperties": {"size": array_size}} if array_size else {}),
            **({"jobName": job_name} if job_name else {}),
        }
        pinned = JobDefinition.named(definition or base.definition, {**base.parameters, **given})
        return cls(pinned, queue or base.queue, overrides, options)


def _values(given: Sequence[str], option: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for each in given:
        name, has_value, value = each.partition("=")
        if not name or not has_value:
            raise typer.BadParameter(f"{each!r} is not NAME=VALUE", param_hint=option)
        if name in values:
            raise typer.BadParameter(f"{name!r} has two values", param_hint=option)
        values[name] = value
    return values


def _environment(values: Mapping[str, str]) -> dict[str, Any]:
    pairs = [{"name": name, "value": value} for name, value in values.items()]
    return {"environment": pairs} if pairs else {}


def _container_override(given: str | None) -> dict[str, Any]:
    if given is None:
        return {}
    try:
        override = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"it is not JSON: {error}", param_hint=_OVERRIDE) from error
    if not isinstance(override, dict):
        raise typer.BadParameter('it is not a JSON object, such as {"command": ["align"]}', param_hint=_OVERRIDE)
    return override


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return overrides in which the later ones win: a whole field, a variable by its name, a resource by its type."""
    merged = {**base, **more}
    for name, key in (("environment", "name"), ("resourceRequirements", "type")):
        lists = [each for each in (base.get(name), more.get(name)) if each]
        wrong = [each for each in lists if not _is_list_of_objects(each)]
        if wrong:
            merged[name] = wrong[0]  # for whoever checks the request to tell
        elif lists:
            merged[name] = list({one.get(key): one for each in lists for one in each}.values())
    return merged


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)
