"""The words AWS uses for what went wrong, and what each means; the first match wins, so the surer sign comes first.

They are looked for in a container's `reason` and in the job's `statusReason`. AWS documents few of them: they were
collected from its user guides and from what people report, and a text that is not listed is shown as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.excerpt import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable


#: In how many characters of a text signs are looked for: more than AWS writes.
_LENGTH = 4_096


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
    #: A secret could not be read.
    SECRETS = "secrets"
    #: The log driver could not be set up.
    LOG_SETUP = "log setup"
    #: The task's network, volumes or registry login could not be set up.
    RESOURCE_SETUP = "resource setup"
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


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a sign tells an engineer on call.

    Both sentences may contain `{container}`, `{image}`, `{memory}` and `{timeout}`.

    Attributes:
        cause: The kind of cause.
        summary: What happened, without a full stop.
        remedy: One sentence on what to do.
    """

    cause: Cause
    summary: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Sign:
    """A text of AWS's and its meaning."""

    pattern: re.Pattern[str]
    meaning: Meaning


def meaning_of(signs: Iterable[Sign], text: str) -> Meaning | None:
    """Return the meaning of the first sign found in the text; None where there is none."""
    looked_at = excerpt(text, _LENGTH)
    return next((sign.meaning for sign in signs if sign.pattern.search(looked_at)), None) if text else None


def _sign(cause: Cause, pattern: str, summary: str, remedy: str) -> Sign:
    return Sign(re.compile(pattern, re.IGNORECASE | re.DOTALL), Meaning(cause, summary, remedy))


#: Signs in the statusReason of what was done to the job: they explain whatever its containers say.
FATES = (
    _sign(
        Cause.TIMEOUT,
        r"duration exceeded timeout|DeadlineExceeded",
        "An attempt took longer than its timeout{timeout}",
        "If the log shows that the work was going on, raise `timeout.attemptDurationSeconds`.",
    ),
    _sign(
        Cause.DEPENDENCY_FAILED,
        r"dependent job failed",
        "A job that it depends on failed",
        "See why that job failed and fix it first; this one never ran.",
    ),
    _sign(
        Cause.HOST_LOST,
        r"^host ec2 .*terminated|^(?:your )?spot task was interrupted",
        "The host went away under the job",
        "Nothing is wrong with the job: run it again, and let AWS do so by itself with a `retryStrategy` whose "
        "`evaluateOnExit` retries on status reason `Host EC2*`, or use on-demand capacity.",
    ),
)


def _then(first: str, later: str) -> str:
    """Return the pattern of a text that is followed, however far behind, by another.

    Looks for the second one behind the first place of the first alone, so that the time grows with the text and no
    faster.
    """
    return rf"\A(?>.*?(?:{first})).*(?:{later})"


_PULL = r"CannotPull(?:Container|Image|ECRContainer)?Error|ErrImagePull|ImagePullBackOff"
_START = r"Cannot(?:Start|Create)ContainerError"

#: Signs in the reason of a container, or in the statusReason if no container was created.
REASONS = (
    _sign(
        Cause.OUT_OF_MEMORY,
        r"OutOfMemory|OOMKilled|killed due to memory usage",
        "{container} ran out of memory",
        "Give it more memory{memory} in `container_overrides` or in the definition.",
    ),
    _sign(
        Cause.DISK_FULL,
        r"no space left on device",
        "The disk was full",
        "Give the job more disk (`ephemeralStorage` on Fargate, a larger volume in the launch template on EC2) or a "
        "smaller image.",
    ),
    _sign(
        Cause.IMAGE_RATE_LIMIT,
        _then(_PULL, r"toomanyrequests|rate limit|\b429\b"),
        "The registry's rate limit is used up, so the image{image} could not be pulled",
        "Try again later, or pull through ECR (a pull through cache, or a copy of the image), which has no such limit.",
    ),
    _sign(
        Cause.WRONG_ARCHITECTURE,
        r"no matching manifest|image manifest does not contain descriptor matching platform|exec format error",
        "The image{image} is built for a processor architecture other than the host's",
        "Build it for the host's architecture, or set `runtimePlatform.cpuArchitecture` and a matching compute "
        "environment.",
    ),
    _sign(
        Cause.IMAGE_ACCESS_DENIED,
        _then(_PULL, r"access denied|not authorized|unauthorized|forbidden|denied|\b401\b|\b403\b|no basic auth"),
        "The registry refused the image{image}: it does not exist there or the role may not pull it",
        "Check the image's name, and allow the execution role (EC2: the instance role) to pull it from ECR, or give "
        "`repositoryCredentials`.",
    ),
    _sign(
        Cause.IMAGE_NOT_FOUND,
        _then(_PULL, r"not found|manifest unknown|does not exist|invalid reference|name unknown|\b404\b"),
        "The image{image} does not exist",
        "Push it, or register a revision of the definition that names an image that exists.",
    ),
    _sign(
        Cause.IMAGE_NETWORK,
        _then(_PULL, r"timeout|timed out|deadline exceeded|no such host|connection|request canceled|dial tcp|i/o"),
        "The registry could not be reached to pull the image{image}",
        "Give the subnet a route to the registry: a NAT gateway, a public IP (Fargate: `assignPublicIp`), or VPC "
        "endpoints for ECR and S3.",
    ),
    _sign(
        Cause.IMAGE_PULL,
        _PULL,
        "The image{image} could not be pulled",
        "Check that it exists, that the execution role may pull it and that the subnet reaches the registry.",
    ),
    _sign(
        Cause.LOG_SETUP,
        r"logging driver|logger args|log group|log stream|CreateLogStream",
        "The log of {container} could not be set up, so it never started",
        "Create the log group that `logConfiguration` names and allow the execution role logs:CreateLogStream and "
        "logs:PutLogEvents.",
    ),
    _sign(
        Cause.SECRETS,
        r"secrets? (?:data )?from|fetch(?:ing)? secret|get secret|secret \"|invalid (?:ssm )?parameters",
        "A secret of {container} could not be read, so it never started",
        "Check that the secret exists, that the execution role may read it (secretsmanager:GetSecretValue, "
        "ssm:GetParameters, kms:Decrypt), and that the subnet reaches the service.",
    ),
    _sign(
        Cause.COMMAND_NOT_FOUND,
        rf"executable file not found|{_then(_START, 'no such file or directory')}",
        "The command of {container} does not exist in its image{image}",
        "Check the first word of `command` against the image, and that it is the image you meant.",
    ),
    _sign(
        Cause.NOT_EXECUTABLE,
        _then(_START, "permission denied"),
        "The command of {container} is not executable",
        "Make it executable in the image (`chmod +x`), or run it through its interpreter.",
    ),
    _sign(
        Cause.CANNOT_START,
        r"Cannot(?:Start|Create|Inspect)ContainerError|DockerTimeoutError|ContainerCannotRun|CreateContainerError|"
        r"OCI runtime",
        "{container} could not be started",
        "Check the definition's command, mounts, user and devices; run the job again if the host was only slow.",
    ),
    _sign(
        Cause.RESOURCE_SETUP,
        r"ResourceInitializationError|network interface|unable to assume the role|\bEFS\b",
        "What the job needs could not be set up, so it never started",
        "Check the execution role and its trust in ecs-tasks.amazonaws.com, the file systems, and the subnet's route "
        "to ECR, Secrets Manager and CloudWatch Logs.",
    ),
)

#: Signs in the statusReason of a job that stays RUNNABLE, or that AWS took out of the queue for that.
BLOCKS = (
    _sign(
        Cause.CAPACITY,
        r"CAPACITY:",
        "No instance of the types that its compute environments allow is available",
        "Allow more instance types and availability zones, or on-demand as well as spot; otherwise wait.",
    ),
    _sign(
        Cause.MISCONFIGURATION,
        r"MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
        "It asks for more vCPUs than its compute environments may ever have",
        "Raise `maxvCpus` of a compute environment of the queue, or ask for fewer vCPUs.",
    ),
    _sign(
        Cause.MISCONFIGURATION,
        r"MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        "No instance type of its compute environments has the vCPUs, memory or GPUs it needs, or no instance joined",
        "Ask for less, leaving some of the instance's memory to its own system, or allow larger instance types; "
        "otherwise check that instances reach the ECS service.",
    ),
    _sign(
        Cause.MISCONFIGURATION,
        r"MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS",
        "The service role of its compute environments lacks permissions",
        "Give the compute environments the AWSServiceRoleForBatch role, or fix the policy of the role they have.",
    ),
    _sign(
        Cause.MISCONFIGURATION,
        r"MISCONFIGURATION:",
        "Queue, compute environments and job do not fit together",
        "Fix what the reason names.",
    ),
    _sign(
        Cause.ACTION_REQUIRED,
        r"ACTION_REQUIRED",
        "Its compute environments need to be fixed",
        "Look at the status reason of the queue's compute environments, INVALID ones first, and fix them.",
    ),
    _sign(
        Cause.UNDETERMINED,
        r"UNDETERMINED",
        "It is blocked, and AWS does not know by what",
        "Check in turn that the compute environments are ENABLED and VALID, that their subnets reach ECS, that "
        "instances have the instance role, and that spot or on-demand quotas are not used up.",
    ),
)

#: Exit codes that mean something by themselves if AWS gives no reason: two of the shell's, and 128 + a signal.
EXIT_CODES = {
    126: Meaning(
        Cause.NOT_EXECUTABLE,
        "The command of {container} could not be executed",
        "Make it executable in the image (`chmod +x`), or run it through its interpreter.",
    ),
    127: Meaning(
        Cause.COMMAND_NOT_FOUND,
        "The shell of {container} did not find a command",
        "Check the command, and the scripts it calls, against what is in the image{image}; the log names the command.",
    ),
    137: Meaning(
        Cause.KILLED,
        "{container} was killed (SIGKILL), and AWS does not say why",
        "Most often it had too little memory{memory}: give it more; otherwise its host went away, or it was being "
        "stopped and ignored SIGTERM.",
    ),
    139: Meaning(
        Cause.SIGNAL,
        "{container} crashed with a memory access violation (SIGSEGV)",
        "Look for a bug in native code, or for libraries built for a processor other than the host's.",
    ),
    143: Meaning(
        Cause.SIGNAL,
        "{container} was asked to stop (SIGTERM), and AWS does not say by whom",
        "Look for a spot interruption, a scale-in of the compute environment, or a program that signals itself; "
        "otherwise run it again.",
    ),
}
