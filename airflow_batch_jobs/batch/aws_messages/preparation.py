"""Why what a container needs could not be set up before it was started."""

from __future__ import annotations

from airflow_batch_jobs.batch.aws_messages.pull import NETWORK, THROTTLED
from airflow_batch_jobs.batch.aws_messages.sign import sign, then
from airflow_batch_jobs.batch.cause import Cause, Outlook

_LOG = r"logging driver|logger args|log group|log stream|CreateLogStream"
#: "unable to pull secrets or registry auth" is only the heading of what ECS says next.
_SECRETS = (
    r"retrieve (?:the )?secrets?|pull secrets from|secrets? (?:data )?from|fetch(?:ing)? secret|asm fetching|get secret"
    r"|invalid (?:ssm )?parameters|Secrets Manager|Systems Manager|SSM Parameter|did not contain json key"
)
_INTERFACE = r"network interface|\bENI\b"
_REGISTRY_LOGIN = r"registry auth|ecr auth"
_PASSING = rf"{NETWORK}|{THROTTLED}"
_REFUSED = (
    r"access ?denied|not authorized|unauthorized|ResourceNotFound|ParameterNotFound|not found|does not exist"
    r"|json key|invalid|unknown|missing|must specify|marked for deletion|status code: 40[03]"
)
_ROLE = r"(?:unable to|could not|cannot) assume the role|AssumeRole"
_ENVIRONMENT_FILES = r"\benv(?:ironment)? ?files?\b|environment variable files?"
_VOLUME = r"\bEFS\b|efs-utils|mount\.nfs|VolumeDriver|Cannot(?:Create|Inspect)Volume\w*|creating volume|S3 Files volume"
_POD_VOLUME = r"(?:Mount|Attach)Volume\.|Unable to attach or mount volumes|FailedMount|FailedAttachVolume"

LOG_AND_SECRETS = (
    sign(
        Cause.LOG_SETUP,
        Outlook.LASTS,
        r"unknown log opt|no log driver named",
        "The host does not take the log driver of {container}, or its options",
        "Correct `logConfiguration` in the definition; EC2: Docker on the instance has to have the driver.",
    ),
    sign(
        Cause.LOG_SETUP,
        Outlook.PASSES,
        then(_LOG, _PASSING),
        "CloudWatch Logs could not be reached for the log of {container}",
        "Run it again; if it goes on, give the subnet a route to CloudWatch Logs: a NAT gateway, a public IP, or a VPC "
        "endpoint.",
    ),
    sign(
        Cause.LOG_SETUP,
        Outlook.LASTS,
        then(_LOG, _REFUSED),
        "The log of {container} could not be set up, so it never started",
        "Create the log group that `logConfiguration` names and allow the execution role logs:CreateLogStream and "
        "logs:PutLogEvents.",
    ),
    sign(
        Cause.LOG_SETUP,
        Outlook.UNCLEAR,
        _LOG,
        "The log of {container} could not be set up, and AWS does not say why",
        "Check that the log group that `logConfiguration` names exists, that the execution role may write to it, and "
        "that the subnet reaches CloudWatch Logs; if all is right, run it again.",
    ),
    sign(
        Cause.SECRETS,
        Outlook.PASSES,
        then(_SECRETS, _PASSING),
        "The service that has a secret of {container} could not be reached",
        "Run it again; if it goes on, give the subnet a route to Secrets Manager, Systems Manager and KMS: a NAT "
        "gateway, a public IP, or VPC endpoints.",
    ),
    sign(
        Cause.SECRETS,
        Outlook.LASTS,
        rf"\AResourceNotFoundException|{then(_SECRETS, _REFUSED)}",
        "A secret of {container} could not be read, so it never started",
        "Check that the secret exists in the job's region, and that the execution role may read it "
        "(secretsmanager:GetSecretValue, ssm:GetParameters, kms:Decrypt).",
    ),
    sign(
        Cause.SECRETS,
        Outlook.UNCLEAR,
        _SECRETS,
        "A secret of {container} could not be read, and AWS does not say why",
        "Check that the secret exists, that the execution role may read it, and that the subnet reaches Secrets "
        "Manager, Systems Manager and KMS; if all is right, run it again.",
    ),
)

VOLUMES = (
    sign(
        Cause.RESOURCE_SETUP,
        Outlook.PASSES,
        # The region comes from the metadata of the instance, which may not answer while it boots.
        then(_VOLUME, rf"connection reset|deadline ?exceeded|context canceled|error retrieving region|{THROTTLED}"),
        "A file system was not ready to be mounted, so it never started",
        "Run it again.",
    ),
    sign(
        Cause.RESOURCE_SETUP,
        Outlook.UNCLEAR,
        rf"{_VOLUME}|{_POD_VOLUME}",
        "A volume or file system of the job could not be set up",
        "Check that it and the directory in it exist, that its security group lets the job in (port 2049), and that "
        "the subnet has a mount target; if they are new, run it again.",
    ),
)

PREPARATION = (
    sign(
        Cause.RESOURCE_SETUP,
        Outlook.LASTS,
        then(
            _INTERFACE,
            r"TagPolicy|UnauthorizedOperation|not authorized|access ?denied|Invalid(?:Subnet|Group|SecurityGroup)",
        ),
        "EC2 refused it a network interface, so it never started",
        "Change what the reason names: a policy, the tags of the job, or the network of the compute environment.",
    ),
    sign(
        Cause.RESOURCE_SETUP,
        Outlook.PASSES,
        r"InsufficientFreeAddressesInSubnet|insufficient free addresses|with public IP assignment enabled in subnet",
        "The subnet had no free address for it, so it never started",
        "Run it again when other jobs have ended, or give the compute environment larger subnets.",
    ),
    sign(
        Cause.RESOURCE_SETUP,
        Outlook.PASSES,
        rf"Timeout waiting for [\w ]{{1,40}} provisioning|netplugin failed|unexpected EC2 error|{_INTERFACE}",
        "Its network interface, or its disk, was not ready in time",
        "Nothing is wrong with the job: run it again, and let AWS do so by itself with a `retryStrategy`.",
    ),
    sign(
        Cause.RESOURCE_SETUP,
        Outlook.PASSES,
        then(_ROLE, _PASSING),
        "STS could not be reached for a role of the job, so it never started",
        "Run it again; if it goes on, give the subnet a route to STS.",
    ),
    sign(
        Cause.RESOURCE_SETUP,
        Outlook.LASTS,
        _ROLE,
        "ECS cannot use a role of the job, so it never started",
        "Check that the execution role and the job role exist and trust ecs-tasks.amazonaws.com.",
    ),
    sign(
        Cause.RESOURCE_SETUP,
        Outlook.PASSES,
        then(_REGISTRY_LOGIN, _PASSING),
        "ECR could not be reached to log in, so it never started",
        "Run it again; if it goes on, give the subnet a route to ECR: a NAT gateway, a public IP (Fargate: "
        "`assignPublicIp`), or VPC endpoints for ECR and S3.",
    ),
    sign(
        Cause.RESOURCE_SETUP,
        Outlook.LASTS,
        then(_REGISTRY_LOGIN, r"access ?denied|not authorized|status code: 400"),
        "The execution role may not log in to ECR, so it never started",
        "Allow it ecr:GetAuthorizationToken and the other actions of AmazonECSTaskExecutionRolePolicy.",
    ),
    sign(
        Cause.RESOURCE_SETUP,
        Outlook.PASSES,
        then(_ENVIRONMENT_FILES, _PASSING),
        "S3 could not be reached for an environment file, so it never started",
        "Run it again; if it goes on, give the subnet a route to S3: a NAT gateway, a public IP, or a VPC endpoint.",
    ),
    sign(
        Cause.RESOURCE_SETUP,
        Outlook.LASTS,
        _ENVIRONMENT_FILES,
        "An environment file could not be read, so it never started",
        "Check that it exists, that the execution role may read it (s3:GetObject), and that the subnet reaches S3.",
    ),
    sign(
        Cause.RESOURCE_SETUP,
        Outlook.UNCLEAR,
        r"ResourceInitializationError",
        "What the job needs could not be set up, so it never started",
        "Check the execution role and its trust in ecs-tasks.amazonaws.com, the file systems, and the subnet's route "
        "to ECR, Secrets Manager and CloudWatch Logs; if they are right, run it again.",
    ),
)
