"""How many characters of overrides ECS gets with a task from Batch: a job with more than 8,192 fails.

Batch takes more than that in a request. What is counted here, the JSON of command and environment, is the least that
ECS counts: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_batch_jobs.batch.placeholders import REF
from airflow_batch_jobs.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MOST_CHARACTERS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerOverride:
    """What a request changes of one container.

    Attributes:
        path: Where the override stands in the request: `containerOverrides`.
        command: The command, as the container gets it; None if that is the definition's own.
        given: The items of the command that the override itself brings.
        parameters: The parameters that stand in the command, name and value, once for each place.
        environment: The variables, as AWS writes them.
    """

    path: str
    command: Sequence[str] | None = None
    given: Sequence[str] = ()
    parameters: Sequence[tuple[str, str]] = ()
    environment: Sequence[Mapping[str, str]] = ()

    def length(self) -> int:
        """Return how many characters of JSON it has; 0 if it changes nothing."""
        sent: dict[str, Any] = {} if self.command is None else {"command": list(self.command)}
        if self.environment:
            sent["environment"] = list(self.environment)
        return _length(sent) if sent else 0

    def parts(self) -> Iterator[_Part]:
        """Yield what it comes from, with the field of the request; a parameter once for each place that it fills."""
        if self.given:
            longest = max(map(len, self.given))
            yield _Part(_length(list(self.given)), f"{self.path}.command", f" Its longest item has {longest:,}.")
        for name, value in self.parameters:
            yield _Part(_length(value), f"parameters.{name}", "")
        if self.environment:
            name, longest = max(
                ((one.get("name", ""), len(one.get("value", ""))) for one in self.environment), key=lambda one: one[1]
            )
            hint = f" The longest value is that of {name}, with {longest:,}."
            yield _Part(_length(list(self.environment)), f"{self.path}.environment", hint)


class _Part(NamedTuple):
    length: int
    field: str
    hint: str


def overridden(
    path: str, override: Mapping[str, Any], command: Sequence[str], values: Mapping[str, str]
) -> ContainerOverride:
    """Return what a request changes of an ECS container.

    Args:
        path: Where the override stands in the request.
        override: The override, under AWS's names; empty if there is none.
        command: The definition's command.
        values: The parameters' values.
    """
    given = override.get("command")
    used, own, items = [], [], []
    for item in command if given is None else given:
        name = item.removeprefix(REF)
        if item.startswith(REF) and name in values:
            used.append((name, values[name]))
            items.append(values[name])
        else:
            own.append(item)
            items.append(item)
    return ContainerOverride(
        path=path,
        command=None if given is None and items == list(command) else items,
        given=() if given is None else own,
        parameters=used,
        environment=override.get("environment") or (),
    )


def check_overrides(request: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
    """Check a request by itself: whatever revision it is for, it has at least what is counted here.

    Args:
        request: The arguments of SubmitJob, or some of them.
        parameters: Those of the parameters that are known.

    Raises:
        RequestError: As `check_length`.
    """
    for task in _overridden_tasks(request, parameters, ""):
        check_length(task)


def check_length(task: Iterable[ContainerOverride]) -> None:
    """Check what a request changes of the containers of one ECS task.

    Raises:
        RequestError: It has too many characters; the message names the field of the request that has most of them.
    """
    every = list(task)
    total = sum(one.length() for one in every)
    if total > MOST_CHARACTERS:
        fields: dict[str, list[_Part]] = {}
        for part in (part for one in every for part in one.parts()):
            fields.setdefault(part.field, []).append(part)
        lengths = {name: sum(part.length for part in parts) for name, parts in fields.items()}
        largest = max(lengths, key=lengths.__getitem__)
        [first, *more] = fields[largest]
        hint = f" It fills {len(more) + 1} placeholders, each with {first.length:,}." if more else first.hint
        raise RequestError(
            largest,
            f"makes the overrides too long: {lengths[largest]:,} of {total:,} characters, and ECS takes "
            f"{MOST_CHARACTERS:,} for a task.{hint} Put the data in S3 and pass its location",
        )


def _overridden_tasks(
    overrides: Mapping[str, Any], parameters: Mapping[str, str], path: str
) -> Iterator[Iterator[ContainerOverride]]:
    """Yield what is overridden of each ECS task: of the only one, or of one for each range of nodes."""

    def of(place: str, override: Mapping[str, Any]) -> ContainerOverride:
        if command := override.get("command"):  # what is not known of a parameter may be empty
            known = {REF + name for name in parameters}
            items = ["" if item.startswith(REF) and item not in known else item for item in command]
            override = {**override, "command": items}
        return overridden(path + place, override, (), parameters)

    yield iter([of("containerOverrides", overrides.get("containerOverrides") or {})])
    for number, task in enumerate((overrides.get("ecsPropertiesOverride") or {}).get("taskProperties") or ()):
        place = f"ecsPropertiesOverride.taskProperties[{number}].containers"
        yield (of(f"{place}[{index}]", one) for index, one in enumerate(task.get("containers") or ()))
    for number, nodes in enumerate((overrides.get("nodeOverrides") or {}).get("nodePropertyOverrides") or ()):
        yield from _overridden_tasks(nodes, parameters, f"nodeOverrides.nodePropertyOverrides[{number}].")


def _length(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
