"""Why a container could not be created or started, its image being there."""

from __future__ import annotations

from airflow_batch_jobs.batch.aws_messages.sign import sign, then
from airflow_batch_jobs.batch.cause import Cause, Outlook

#: ECS' codes, Kubernetes' reasons, and what runs containers on a host. Details of this stage say little without it:
#: a file that does not exist may be the command, but as well a mount, a device, a library or a directory.
_START = (
    r"Cannot(?:Start|Create)Container\w*|ContainerCannotRun|CreateContainer(?:Config)?Error|RunContainerError"
    r"|(?<!\w)StartError|DockerStateError|OCI runtime|runc create failed"
)
#: The command in an error of its start: `exec: "…": stat …: `. What a user named is hidden in the text.
_COMMAND = r"\bexec:? \W*+(?:stat \W*+)?"

START = (
    sign(
        Cause.COMMAND_NOT_FOUND,
        Outlook.LASTS,
        rf"{_COMMAND}(?:executable file not found|no such file or directory|not a directory)"
        rf"|exec user process caused\W*+no such file|{then('CreateProcess', 'system cannot find the file')}",
        "The command of {container} does not exist in its image",
        "Check the first word of `command` against the image, and that it is the image you meant; of a script, also "
        "the interpreter that its first line names.",
    ),
    sign(
        Cause.COMMAND_NOT_FOUND,
        Outlook.LASTS,
        then(_START, r"no command specified|there is no command"),
        "There is no command for {container}, in its image or elsewhere",
        "Give a `command` in the definition or in `container_overrides`; an empty one counts as none.",
    ),
    sign(
        Cause.NOT_EXECUTABLE,
        Outlook.LASTS,
        rf"{_COMMAND}(?:permission denied|is a directory)|exec user process caused\W*+permission denied",
        "The command of {container} is not executable",
        "Make it executable in the image (`chmod +x`), or run it through its interpreter.",
    ),
    sign(
        Cause.CANNOT_START,
        Outlook.PASSES,
        then(r"nvidia-container-cli", r"timed out"),
        "The GPU driver of the host was not ready for {container}",
        "Run it again; if that happens often, turn on the driver's persistence mode in the launch template.",
    ),
    sign(
        Cause.CANNOT_START,
        Outlook.PASSES,
        r"(?:DockerTimeout|ContainerRuntimeTimeout|Cgroup|ContainerNetworking|TaskStoppedBeforePullBegin)Error"
        r"|CannotGetDocker\w*|transition to (?:created|started|running)\b|"
        + then(
            _START,
            r"context canceled|deadline ?exceeded|timed out|temporarily unavailable|cannot allocate memory"
            r"|ttrpc|transport is closing|connection (?:refused|reset)|docker daemon running|deviceResume|resource busy"
            r"|already in use|already allocated|signal: killed|\bEOF\b|no such (?:container|image)|text file busy"
            r"|failed to create endpoint|container networking",
        ),
        "The host could not start {container} at that time",
        "Run it again, so that it gets another host; if that happens often, use a faster disk or fewer jobs a host.",
    ),
    sign(
        Cause.CANNOT_START,
        Outlook.LASTS,
        then(
            _START,
            r"nvidia-container-cli|libnvidia|libcuda|device driver|custom device|device information|unknown device"
            r"|unknown (?:or invalid )?runtime",
        ),
        "The host lacks a device, or its driver, that {container} needs",
        "Use instances and an AMI that have it (for GPUs an ECS GPU-optimized one), or take the device out of the "
        "definition.",
    ),
    sign(
        Cause.CANNOT_START,
        Outlook.LASTS,
        then(_START, r"chdir to cwd|working directory"),
        "{container} cannot enter its working directory",
        "Make the directory that the image's WORKDIR names, and let the container's user enter it; mounts may hide it.",
    ),
    sign(
        Cause.CANNOT_START,
        Outlook.LASTS,
        then(_START, r"\bmounting\b|failed to mount|bind source path|invalid mount|invalid volume|duplicate mount"),
        "A mount of {container} failed",
        "Check `mountPoints` and `volumes`: the source has to be on the host, and a directory if the target is one.",
    ),
    sign(
        Cause.CANNOT_START,
        Outlook.LASTS,
        then(_START, r"unable to find (?:user|group)|linux spec user|entries in passwd|no users found|runAsNonRoot"),
        "The image does not have the user that {container} is to run as",
        "Name another `user` in the definition, or add it to the image.",
    ),
    sign(
        Cause.CANNOT_START,
        Outlook.LASTS,
        then(_START, r"argument list too long"),
        "Command and environment of {container} are too long for its host",
        "Hand over long values in a file, such as on S3.",
    ),
    sign(
        Cause.CANNOT_START,
        Outlook.LASTS,
        then(
            _START,
            r"minimum memory (?:limit|reservation) allowed|setting rlimit|range of CPUs is from|invalid capabilit",
        ),
        "The host does not take a limit, or a capability, of {container}",
        "Change in the definition what the reason names: its memory, vCPUs, `ulimits` or `linuxParameters`.",
    ),
    sign(
        Cause.CANNOT_START,
        Outlook.UNCLEAR,
        _START,
        "{container} could not be started",
        "Check the definition's command, mounts, user and devices; if they are right, run it again.",
    ),
)
