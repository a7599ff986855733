"""Place: where in AWS something is, according to its ARN, and whether that is where the connection leads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):[a-z0-9-]+:(?P<region>[a-z0-9-]*):(?P<account>[0-9]{12}|):.+", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Place:
    """A partition, a region and an account; each is empty if it is not known."""

    partition: str = ""
    region: str = ""
    account: str = ""

    @classmethod
    def of(cls, text: object) -> Self:
        """Return where an ARN is; nothing is known of any other text."""
        match = _ARN.fullmatch(str(text))
        return cls(**match.groupdict()) if match else cls()

    def foreign_to(self, home: Place) -> str:
        """Say in a sentence that this is elsewhere; empty if it is not, or is not known to be.

        Args:
            home: Where the connection leads.
        """
        for what in ("region", "account", "partition"):
            own, other = getattr(home, what), getattr(self, what)
            if own and other and own != other:
                return f"Its ARN is of {what} {other}, and the AWS connection leads to {what} {own}."
        return ""


def note_foreign_resources(request: Mapping[str, Any], home: Place, note: Callable[[str], object]) -> None:
    """Tell of consumable resources that are elsewhere; AWS does not say whether a job can have these.

    Args:
        request: The arguments of SubmitJob.
        home: Where the connection leads.
        note: Told in one line.
    """
    nodes = (request.get("nodeOverrides") or {}).get("nodePropertyOverrides") or ()
    for part in (request, *nodes):
        own = (part.get("consumableResourcePropertiesOverride") or {}).get("consumableResourceList") or ()
        for one in own:
            if elsewhere := Place.of(one.get("consumableResource")).foreign_to(home):
                note(f"The job may not get the consumable resource {one['consumableResource']}. {elsewhere}")
