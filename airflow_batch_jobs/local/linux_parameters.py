"""What RegisterJobDefinition refuses of linuxParameters and ulimits, as the service model documents it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_SWAPPINESS = 100
_ULIMIT = re.compile("core|cpu|data|fsize|locks|memlock|msgqueue|nice|nofile|nproc|rss|rtprio|rttime|sigpending|stack")
#: An option may have a value behind its name.
_MOUNT_OPTION = re.compile(
    "(?:defaults|ro|rw|(?:no)?(?:suid|dev|exec|mand|atime|diratime|relatime|strictatime)|a?sync|dirsync|remount|"
    "r?(?:bind|unbindable|private|shared|slave)|mode|uid|gid|nr_inodes|nr_blocks|mpol)(?:=.*)?",
    re.DOTALL,
)
_NOT_ON_FARGATE = ("devices", "sharedMemorySize", "tmpfs", "maxSwap", "swappiness")


def linux_problems(container: Mapping[str, Any], *, on_fargate: bool) -> Iterator[str]:
    """Yield what is wrong with the linuxParameters and ulimits of a container."""
    linux = container.get("linuxParameters", {})
    if not 0 <= linux.get("swappiness", 0) <= _MOST_SWAPPINESS:
        yield f"swappiness must be between 0 and {_MOST_SWAPPINESS}"
    if linux.get("maxSwap", 0) < 0:
        yield "maxSwap must be 0 or more"
    for mount in linux.get("tmpfs", []):
        for option in mount.get("mountOptions", []):
            if not _MOUNT_OPTION.fullmatch(option):
                yield f"mountOptions {option} is not valid"
    for limit in container.get("ulimits", []):
        if not _ULIMIT.fullmatch(limit["name"]):
            yield f"The name of a ulimit, {limit['name']}, is not valid: one of {_ULIMIT.pattern.replace('|', ', ')}"
    for key in _NOT_ON_FARGATE if on_fargate else ():
        if linux.get(key) not in (None, []):
            yield f"linuxParameters.{key} is not applicable for Fargate."
