"""What AWS says about a container, or about the task if no container was created."""

from __future__ import annotations

from airflow_batch_jobs.batch.aws_messages.pod import DISK_FULL as POD_DISK_FULL
from airflow_batch_jobs.batch.aws_messages.pod import NOT_TAKEN, POD
from airflow_batch_jobs.batch.aws_messages.preparation import LOG_AND_SECRETS, PREPARATION, VOLUMES
from airflow_batch_jobs.batch.aws_messages.pull import PULL
from airflow_batch_jobs.batch.aws_messages.sign import sign
from airflow_batch_jobs.batch.aws_messages.start import START
from airflow_batch_jobs.batch.cause import Cause, Outlook

_RESOURCES = (
    sign(
        Cause.OUT_OF_MEMORY,
        Outlook.LASTS,
        # Not Kubernetes' `OutOfmemory`, by which a node refuses a pod that has not run.
        r"(?-i:OutOfMemory)|OOMKilled|OOM-killed|killed due to memory usage",
        "{container} ran out of memory",
        "Give it more memory{memory} in `container_overrides` or in the definition.",
    ),
    sign(
        Cause.CANNOT_START,
        Outlook.PASSES,
        r"/sys/fs/cgroup\S{0,200} no space left on device",  # a leak of the kernel's: the disk is not full
        "Its host had no control group left to start {container}",
        "Run it again, so that it gets another host, and let new instances have a newer AMI.",
    ),
    sign(
        Cause.RESOURCE_SETUP,
        Outlook.PASSES,
        # Kubernetes', whatever goes wrong in it: the image of a sandbox is the cluster's, not the job's.
        r"pod ?sandbox|failed to sync \w{1,40} cache|\bobject \S{1,600} not registered|cni plugin not initialized",
        "Its node could not set up its pod, so it never started",
        "Run it again, so that it gets another node; if it goes on, look at the cluster's add-ons and its nodes' role.",
    ),
    sign(
        Cause.DISK_FULL,
        Outlook.UNCLEAR,
        rf"no space left on device|disk quota exceeded|thin pool has \d+ free data blocks|{POD_DISK_FULL}",
        "The disk was full",
        "Give the job more disk (`ephemeralStorage` on Fargate, a larger volume in the launch template on EC2) or a "
        "smaller image.",
    ),
)

_END = (
    sign(
        Cause.END_UNKNOWN,
        Outlook.WORK_MAY_BE_DONE,
        r"Cannot(?:Inspect|Stop|Describe)Container\w*|Container(?:StatusUnknown|VanishedError)"
        r"|transition to (?:inspecting|stopped)\b",
        "{container} ran, but its host could not say how it ended",
        "Read the end of its log and look at what it wrote: the work may be done; if not, run it again, on a host with "
        "a faster disk or fewer jobs at a time.",
    ),
)

_PLACE = (
    sign(
        Cause.CAPACITY,
        Outlook.PASSES,
        r"Capacity is unavailable at this time|\ARESOURCE:|\d nodes are available|No Container Instances were found"
        r"|reached the limit on the number of|Node didn.t have enough resource"
        r"|(?-i:OutOf(?:cpu|memory|pods|ephemeral-storage))\b",
        "There was no room for it at that time",
        "Run it again later; if that happens often, allow more instance types and zones, or ask for a higher quota.",
    ),
    sign(
        Cause.MISCONFIGURATION,
        Outlook.LASTS,
        r"\AATTRIBUTE\b",
        "No host of the queue has an attribute that its definition needs",
        "Use an AMI and an ECS agent that have what the reason names (a log driver, file systems, roles, an "
        "architecture), or take it out of the definition.",
    ),
    sign(
        Cause.MISCONFIGURATION,
        Outlook.LASTS,
        r"not compatible with the selected compute strategy",
        "Its definition does not fit the queue's compute environments",
        "Submit it to a queue of the platform (EC2 or Fargate) that its definition is for.",
    ),
    sign(
        Cause.REQUEST_REFUSED,
        Outlook.LASTS,
        r"Container Overrides length must be at most",
        "Its overrides are longer than the 8,192 characters that ECS takes",
        "Shorten the command and the environment: hand over long values in a file, such as on S3.",
    ),
    sign(
        Cause.AWS_ERROR,
        Outlook.PASSES,
        r"Too many concurrent attempts to create a new revision|\bRate exceeded|\AThrottlingException\b",
        "AWS Batch asked ECS too often at that time",
        "Run it again later; if that happens often, submit fewer jobs at a time.",
    ),
    sign(
        Cause.MISCONFIGURATION,
        Outlook.LASTS,
        r"Unable to assume the service linked role",
        "The account lacks the service-linked role of ECS",
        "Create it: `aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com`.",
    ),
    sign(
        Cause.REQUEST_REFUSED,
        Outlook.LASTS,
        r"\A(?:InvalidParameterException|ClientException)\b|No Fargate configuration exists for given values",
        "ECS refused to run it",
        "Change in the definition or the overrides what the reason names.",
    ),
)

_UNEXPLAINED = (
    sign(
        Cause.AWS_ERROR,
        Outlook.PASSES,
        r"\b(?:InternalError|ContainerRuntimeError|ServerException|Service ?Unavailable)\b",
        "Something went wrong inside AWS",
        "Run it again; if it goes on, ask AWS Support, with the job's id.",
    ),
    sign(
        Cause.REQUEST_REFUSED,
        Outlook.LASTS,
        r"\AError executing request, Exception\b",  # AWS Batch's, around what ECS says
        "ECS refused to run it",
        "Change what the reason names, in the definition, its roles or the overrides.",
    ),
    sign(
        Cause.CANNOT_START,
        Outlook.PASSES,
        r"\AAGENT(?:\Z|: )",
        "The ECS agent of its host did not answer, so it never started",
        "Run it again, and let AWS do so by itself with a `retryStrategy` whose `evaluateOnExit` retries on reason "
        "`AGENT`.",
    ),
    sign(
        Cause.CANNOT_START,
        Outlook.UNCLEAR,
        r"\ATask ?failed ?to ?start\b",
        "The job could not be started, and AWS does not say why",
        "Run it again; if it fails again, ECS shows its task for an hour, with the reason of each container.",
    ),
)

#: Signs in the reason of a container, or in the statusReason if no container was created.
REASONS = (
    *_RESOURCES,
    *PULL,
    *_END,
    *LOG_AND_SECRETS,
    *POD,
    *VOLUMES,
    *START,
    *PREPARATION,
    *_PLACE,
    *NOT_TAKEN,
    *_UNEXPLAINED,
)
