"""Why AWS does not start a job, or took it out of the queue."""

from __future__ import annotations

from airflow_batch_jobs.batch.aws_messages.sign import sign
from airflow_batch_jobs.batch.cause import Cause, Outlook

#: A block is the first word of a statusReason, or of what the queue's own rule cites for taking the job out:
#: "Canceled by JobStateTimeLimit action due to reason: CAPACITY:…".
_HERE = r"(?:\A|due to reason: )"

#: Signs in the statusReason of a job that stays RUNNABLE, or that AWS took out of the queue for that.
BLOCKS = (
    sign(
        Cause.CAPACITY,
        Outlook.PASSES,
        rf"{_HERE}CAPACITY:",
        "No instance of the types that it may run on is available",
        "Allow more instance types and availability zones, or on-demand as well as spot; otherwise wait, or run it "
        "again later.",
    ),
    sign(
        Cause.MISCONFIGURATION,
        Outlook.LASTS,
        rf"{_HERE}MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
        "The job asks for more vCPUs than its compute environments can have",
        "Raise `maxvCpus` of a compute environment of the queue, or ask for fewer vCPUs.",
    ),
    sign(
        Cause.MISCONFIGURATION,
        Outlook.LASTS,
        rf"{_HERE}MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        "The job is too large for all allowed instance types, or none joined",
        "Ask for less, leaving some of the instance's memory to its own system, or allow larger instance types; "
        "otherwise check that instances reach the ECS service.",
    ),
    sign(
        Cause.MISCONFIGURATION,
        Outlook.LASTS,
        rf"{_HERE}MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS",
        "The service role of its compute environments lacks permissions",
        "Give the compute environments the AWSServiceRoleForBatch role, or fix the policy of the role they have.",
    ),
    sign(
        Cause.MISCONFIGURATION,
        Outlook.LASTS,
        rf"{_HERE}MISCONFIGURATION:",
        "Queue, compute environments and job do not fit together",
        "Fix what the reason names.",
    ),
    sign(
        Cause.ACTION_REQUIRED,
        Outlook.LASTS,
        rf"{_HERE}ACTION_REQUIRED",
        "Its compute environments need to be fixed",
        "Look at the status reason of the queue's compute environments, INVALID ones first, and fix them.",
    ),
    sign(
        Cause.UNDETERMINED,
        Outlook.UNCLEAR,
        rf"{_HERE}UNDETERMINED",
        "The job is blocked, and AWS does not know by what",
        "Check in turn that the compute environments are ENABLED and VALID, that their subnets reach ECS, that "
        "instances have the instance role, and that spot or on-demand quotas are not used up.",
    ),
)
