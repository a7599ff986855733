"""The services of each profile of docker-compose.yaml, with a value for every variable that has to be set."""

from __future__ import annotations

from tests.deploy import compose_file

PROFILES = ["local", "aws"]
#: A value for every variable that the file requires, and none of those that it only passes on.
VARIABLES = {name: value or f"a-{name.lower()}" for name, value in compose_file.settings().items()}


def services(profile: str, **variables: str) -> dict[str, compose_file.Service]:
    """Return the services of a profile by their names."""
    return {each.name: each for each in compose_file.services(profile, VARIABLES | variables)}


def airflow_words(command: tuple[str, ...]) -> list[str]:
    """Return the arguments of `airflow`; none for another program."""
    return list(command[1:]) if command[:1] == ("airflow",) else []
