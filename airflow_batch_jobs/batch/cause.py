"""Why a job failed or waits, and whether that goes away."""

from __future__ import annotations

from enum import Enum
from typing import Any, Self
from zlib import crc32


class Outlook(Enum):
    """What becomes of the same job if it is run again as it is."""

    #: It fails again, until something is changed.
    LASTS = "lasts"
    #: Nothing is wrong with the job; another attempt can succeed.
    PASSES = "passes"
    #: The failure was reported after the job had run, so that its work may be done already.
    WORK_MAY_BE_DONE = "work may be done"
    #: What AWS says does not tell.
    UNCLEAR = "unclear"


class Cause(Enum):
    """Why a job failed, or why it does not start."""

    #: The program ended with an exit code of its own.
    EXIT_CODE = "exit code"
    #: The program was ended by a signal, or could not be run at all, as its exit code says.
    SIGNAL = "signal"
    #: The container needed more memory than it has.
    OUT_OF_MEMORY = "out of memory"
    #: The container was ended by SIGKILL, and AWS does not say why.
    KILLED = "killed"
    #: An attempt took longer than its timeout.
    TIMEOUT = "timeout"
    #: Cancelled before it started.
    CANCELLED = "cancelled"
    #: Terminated on request.
    TERMINATED = "terminated"
    #: A job it depends on failed.
    DEPENDENCY_FAILED = "dependency failed"
    #: The image or its tag does not exist.
    IMAGE_NOT_FOUND = "image not found"
    #: The registry did not give the image to this role.
    IMAGE_ACCESS_DENIED = "image access denied"
    #: The registry's rate limit is used up.
    IMAGE_RATE_LIMIT = "image rate limit"
    #: The registry could not be reached.
    IMAGE_NETWORK = "image network"
    #: The image could not be pulled for another reason.
    IMAGE_PULL = "image pull"
    #: The command does not exist in the image.
    COMMAND_NOT_FOUND = "command not found"
    #: The command exists but is not executable.
    NOT_EXECUTABLE = "not executable"
    #: The image or command was built for another processor architecture.
    WRONG_ARCHITECTURE = "wrong architecture"
    #: The container could not be started for another reason.
    CANNOT_START = "cannot start"
    #: The container ran, but how it ended could not be found out.
    END_UNKNOWN = "end unknown"
    #: A secret could not be read.
    SECRETS = "secrets"
    #: The log driver could not be set up.
    LOG_SETUP = "log setup"
    #: The task's network, volumes or registry login could not be set up.
    RESOURCE_SETUP = "resource setup"
    #: ECS, or the cluster, refused to run what was asked for.
    REQUEST_REFUSED = "request refused"
    #: Something went wrong inside AWS.
    AWS_ERROR = "aws error"
    #: The disk was full.
    DISK_FULL = "disk full"
    #: The host went away under the job.
    HOST_LOST = "host lost"
    #: An essential container ended, and no exit code says why.
    ESSENTIAL_EXITED = "essential container exited"
    #: No instance of the types wanted is available.
    CAPACITY = "capacity"
    #: Queue, compute environment and job do not fit together.
    MISCONFIGURATION = "misconfiguration"
    #: The compute environment has to be fixed.
    ACTION_REQUIRED = "action required"
    #: AWS sees that the job is blocked and does not know why.
    UNDETERMINED = "undetermined"
    #: It is waiting, and AWS gives no reason.
    WAITING = "waiting"
    #: It is waiting for jobs it depends on.
    DEPENDENCY_PENDING = "dependency pending"
    #: AWS says nothing that is known here.
    UNKNOWN = "unknown"

    @classmethod
    def named(cls, stored: Any) -> Self | None:
        """Read a stored cause; None for one that this version does not know."""
        return next((cause for cause in cls if cause.value == stored), None)

    def __hash__(self) -> int:
        """Return the same in each process: the text of a set of causes becomes a part of a DAG's version."""
        return crc32(self.value.encode())
