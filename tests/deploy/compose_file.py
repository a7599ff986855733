"""docker-compose.yaml as Compose reads it: anchors merged, variables filled in, a profile's services in start order.

Knows as much of the Compose specification as that file uses: `${VAR}`, `${VAR:-default}`, `${VAR:?message}` and `$$`;
commands and health checks as lists; environments as maps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
PATH = ROOT / "docker-compose.yaml"
EXAMPLE = ROOT / ".env.example"

_VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^{}]*))?\})")
_SETTING = re.compile(r"(?P<is_example># )?(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)")


class MissingVariableError(LookupError):
    """A variable that the file requires is not set, or empty."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service of a profile, its variables filled in.

    Attributes:
        name: Its name, and its host's.
        profiles: Those that it is part of; empty for a service of each.
        command: The program and its arguments, where the file has one: what the image itself puts before is not known.
        environment: What the file sets.
        depends_on: What has to be up before, and the condition.
        healthcheck: A command that succeeds while the service is well; empty where there is none.
        ports: What is published: `127.0.0.1:8080:8080`.
        volumes: What is mounted: `logs:/opt/airflow/logs`.
        networks: The networks that it is in.
        replicas: How many of it there are.
        image: The image.
    """

    name: str
    profiles: frozenset[str]
    command: tuple[str, ...]
    environment: dict[str, str]
    depends_on: dict[str, str]
    healthcheck: tuple[str, ...]
    ports: tuple[str, ...]
    volumes: tuple[str, ...]
    networks: frozenset[str]
    replicas: int
    image: str


def document() -> dict[str, Any]:
    """Return the file with its anchors merged and its variables as they are written."""
    read: dict[str, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    return read


def services(profile: str, variables: Mapping[str, str]) -> list[Service]:
    """Return the services that a profile starts, each after those that it depends on.

    Args:
        profile: The one profile that is chosen; none for services without a profile.
        variables: What the shell and `.env` set.

    Raises:
        MissingVariableError: The file requires another variable.
    """
    found = [_service(name, given, variables) for name, given in resolve(document()["services"], variables).items()]
    chosen = {each.name: each for each in found if not each.profiles or profile in each.profiles}
    order = TopologicalSorter({each.name: each.depends_on for each in chosen.values()})
    return [chosen[name] for name in order.static_order()]


def resolve(value: Any, variables: Mapping[str, str]) -> Any:
    """Return a value with its variables filled in, wherever they stand in it; keys stay as they are.

    Raises:
        MissingVariableError: A required variable is not set, or empty.
    """
    if isinstance(value, dict):
        return {key: resolve(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, variables) for item in value]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        set_to = variables.get(match["name"], "")
        if not set_to and match["kind"] == "?":
            raise MissingVariableError(f"{match['name']}: {match['rest']}")
        return set_to or (match["rest"] or "" if match["kind"] == "-" else "")

    return _VARIABLE.sub(fill, value)


def settings(path: Path = EXAMPLE, *, with_examples: bool = False) -> dict[str, str]:
    """Return the variables of an `.env` file.

    Args:
        path: The file.
        with_examples: Whether to include those that are commented out.
    """
    matches = map(_SETTING.fullmatch, path.read_text(encoding="utf-8").splitlines())
    return {match["name"]: match["value"] for match in matches if match and (with_examples or not match["is_example"])}


def _service(name: str, given: Mapping[str, Any], variables: Mapping[str, str]) -> Service:
    # A variable without a value is the one of the shell or of .env, where that is set.
    passed = {key: variables.get(key) if value is None else str(value) for key, value in _part(given, "environment")}
    return Service(
        name=name,
        profiles=frozenset(given.get("profiles", ())),
        command=(*given.get("entrypoint", ()), *given.get("command", ())),
        environment={key: value for key, value in passed.items() if value is not None},
        depends_on={each: how["condition"] for each, how in _part(given, "depends_on")},
        healthcheck=_check(given.get("healthcheck", {}).get("test", ())),
        ports=tuple(given.get("ports", ())),
        volumes=tuple(given.get("volumes", ())),
        networks=frozenset(given.get("networks", ("default",))),
        replicas=given.get("deploy", {}).get("replicas", 1),
        image=given["image"],
    )


def _part(given: Mapping[str, Any], name: str) -> Any:
    return given.get(name, {}).items()


def _check(test: list[str]) -> tuple[str, ...]:
    """Return a health check as a command to run."""
    if not test:
        return ()
    kind, *words = test
    return ("sh", "-c", *words) if kind == "CMD-SHELL" else tuple(words)
