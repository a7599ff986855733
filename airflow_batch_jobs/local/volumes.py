"""What RegisterJobDefinition refuses of the volumes of a task on ECS, as the service model documents it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_NAME_LENGTH = 255
_MOST_DIRECTORY_LENGTH = 4_096
_MOST_PORT = 65_535


def volume_problems(properties: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the volumes of containerProperties, or of a taskProperties."""
    for volume in properties.get("volumes", []):
        if len(volume.get("name", "")) > _MOST_NAME_LENGTH:
            yield f"The name of a volume must have at most {_MOST_NAME_LENGTH} characters"
        if "efsVolumeConfiguration" in volume:
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
