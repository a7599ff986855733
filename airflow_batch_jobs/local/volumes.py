"""What RegisterJobDefinition refuses of the volumes of a task on ECS, as the service model documents it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAME = re.compile("[-A-Za-z0-9_]{0,255}")
_MOST_DIRECTORY_LENGTH = 4_096
_MOST_PORT = 65_535
#: The versions of Fargate before 1.4.0.
_WITHOUT_EFS = frozenset({"1.0.0", "1.1.0", "1.2.0", "1.3.0"})


def volume_problems(properties: Mapping[str, Any], *, on_fargate: bool) -> Iterator[str]:
    """Yield what is wrong with the volumes of containerProperties, or of a taskProperties."""
    fargate = properties.get("fargatePlatformConfiguration", properties)  # a task has the version itself
    version = fargate.get("platformVersion", "LATEST") if on_fargate else "LATEST"
    for volume in properties.get("volumes", []):
        if not _NAME.fullmatch(volume.get("name", "")):
            yield "The name of a volume must have at most 255 letters, numbers, hyphens, and underscores"
        if "efsVolumeConfiguration" in volume:
            if version in _WITHOUT_EFS:
                yield "efsVolumeConfiguration needs a platformVersion of at least 1.4.0 on Fargate"
            yield from _efs_problems(volume["efsVolumeConfiguration"])


def _efs_problems(efs: Mapping[str, Any]) -> Iterator[str]:
    authorization, directory = efs.get("authorizationConfig", {}), efs.get("rootDirectory", "/")
    if len(directory) > _MOST_DIRECTORY_LENGTH:
        yield f"rootDirectory must have at most {_MOST_DIRECTORY_LENGTH} characters"
    if not 0 <= efs.get("transitEncryptionPort", 0) <= _MOST_PORT:
        yield f"transitEncryptionPort must be between 0 and {_MOST_PORT}"
    if "accessPointId" in authorization and directory != "/":
        yield "rootDirectory must be omitted or set to / if an EFS access point is specified"
    needs_encryption = "accessPointId" in authorization or authorization.get("iam") == "ENABLED"
    if needs_encryption and efs.get("transitEncryption") != "ENABLED":
        yield "transitEncryption must be enabled if an EFS access point or EFS IAM authorization is used"
