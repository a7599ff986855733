"""Job definitions: immutable revisions, one after the other, ACTIVE until they are deregistered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local.limits import MOST_DEFINITION_BYTES, check_common, check_name, check_size, whole_number
from airflow_batch_jobs.local.properties import property_problems
from airflow_batch_jobs.local.shapes import is_on_eks, told_definition
from airflow_batch_jobs.local.wire import client_exception

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_batch_jobs.local.account import Account
    from airflow_batch_jobs.local.pages import Place


@dataclass(slots=True, eq=False)
class Definition:
    """One revision of a job definition.

    Attributes:
        name: Its name.
        revision: Its number.
        arn: Its ARN, with the revision.
        request: What RegisterJobDefinition was given, with what AWS adds to it.
        tags: Its tags, which TagResource changes.
        is_active: False after DeregisterJobDefinition.
    """

    name: str
    revision: int
    arn: str
    request: Mapping[str, Any]
    tags: dict[str, str]
    is_active: bool = True

    @property
    def is_on_eks(self) -> bool:
        """Whether its jobs run in pods."""
        return is_on_eks(self.request)

    @property
    def reference(self) -> str:
        """`name:revision`."""
        return f"{self.name}:{self.revision}"

    @property
    def place(self) -> Place:
        """Its place among all revisions, as `newest_first` has them."""
        return (self.name, -self.revision)

    def describe(self) -> dict[str, Any]:
        """Return it as DescribeJobDefinitions does."""
        return {
            **self.request,
            "jobDefinitionArn": self.arn,
            "revision": self.revision,
            "status": "ACTIVE" if self.is_active else "INACTIVE",
            "containerOrchestrationType": "EKS" if self.is_on_eks else "ECS",
            "tags": self.tags,
        }


class Definitions:
    """All revisions of all job definitions."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._revisions: dict[str, list[Definition]] = {}

    def register(self, request: Mapping[str, Any], size_bytes: int = 0, first: int = 1) -> Definition:
        """Add the next revision of a definition.

        Args:
            request: The parameters of RegisterJobDefinition.
            size_bytes: The size of the request's body.
            first: The revision that it begins with if it has none yet.

        Raises:
            ServiceError: The definition is not valid.
        """
        name = request["jobDefinitionName"]
        check_name(name, "Job definition name")
        check_size(size_bytes, MOST_DEFINITION_BYTES, "Job definition")
        check_common(request)
        for problem in property_problems(request):
            raise client_exception(problem)
        revisions = self._revisions.setdefault(name, [])
        revision = revisions[-1].revision + 1 if revisions else first
        arn = self._account.arn(f"job-definition/{name}:{revision}")
        revisions.append(Definition(name, revision, arn, told_definition(request), dict(request.get("tags", {}))))
        return revisions[-1]

    def find(self, reference: str) -> Definition | None:
        """Return the revision named by an ARN or `name:revision`; without a revision, the newest ACTIVE one."""
        name, colon, revision = reference.removeprefix(self._account.arn("job-definition/")).partition(":")
        revisions = self._revisions.get(name, [])
        if not colon:
            return next((one for one in reversed(revisions) if one.is_active), None)
        place = (whole_number(revision) or 0) - (revisions[0].revision if revisions else 0)
        return revisions[place] if 0 <= place < len(revisions) else None

    def active(self, reference: str) -> Definition:
        """Return the revision that a job is to run.

        Raises:
            ServiceError: There is none, or it is INACTIVE.
        """
        definition = self.find(reference)
        if definition is None or not definition.is_active:
            raise client_exception(f"JobDefinition {reference} does not exist or is not in ACTIVE status")
        return definition

    def newest_first(self, name: str = "", status: str = "") -> Iterator[Definition]:
        """Yield revisions, name by name; only those with a name or in a status, if these are given."""
        for one_name in [name] if name else sorted(self._revisions):
            for definition in reversed(self._revisions.get(one_name, [])):
                if not status or definition.is_active == (status == "ACTIVE"):
                    yield definition
