"""Why an image could not be pulled."""

from __future__ import annotations

from airflow_batch_jobs.batch.aws_messages.sign import sign, then
from airflow_batch_jobs.batch.cause import Cause, Outlook

#: ECS' codes, new and old, its sentences without one, and Kubernetes' reasons.
_PULL = (
    r"CannotPull[a-z]*|task can(?:.t|not) pull (?!secrets|registry)|transition to pull|ErrImage\w+|ImagePullBackOff"
    r"|ImageInspectError|RegistryUnavailable|InvalidImageName|failed to pull image|back-off pulling image"
)
#: What a connection that fails says.
NETWORK = (
    r"time(?:d |-)?out|deadline ?exceeded|no route to host|network is unreachable|connection (?:refused|reset|issue)"
    r"|requestcanceled|request canceled|context canceled|dial tcp|broken pipe|send request failed|RequestError"
    r"|check your (?:task )?network configuration|server misbehaving|name resolution|GOAWAY|signal: killed"
)
#: What a service says that has too much to do.
THROTTLED = r"toomanyrequests|too many requests|rate limit|rate exceeded|ThrottlingException|RequestLimitExceeded"
#: What a registry that fails says; `API error (500)` is the Docker daemon's, for any error.
_FAILING = (
    r"(?<!API error \()\b50[0234]\b|slow ?down|internal server error|bad gateway|service unavailable|\bEOF\b"
    r"|deviceResume|verification failed|failed size validation"
)

PULL = (
    sign(
        Cause.IMAGE_RATE_LIMIT,
        Outlook.PASSES,
        then(_PULL, rf"{THROTTLED}|\b429\b"),
        "The registry's rate limit is used up, so the image could not be pulled",
        "Try again later, or pull through ECR (a pull through cache, or a copy of the image), which has no such limit.",
    ),
    sign(
        Cause.WRONG_ARCHITECTURE,
        Outlook.LASTS,
        r"no matching manifest|no match for platform|does not contain descriptor matching platform|exec format error"
        r"|cannot be used on this platform",
        "The image is built for a processor architecture other than the host's",
        "Build it for the host's architecture, or set `runtimePlatform.cpuArchitecture` and a matching compute "
        "environment; a command that is a script needs a first line such as `#!/bin/sh`.",
    ),
    sign(
        Cause.IMAGE_ACCESS_DENIED,
        Outlook.PASSES,
        then(_PULL, r"authorization token has expired"),
        "The host's login at the registry had expired",
        "Run it again: the ECS agent gets a new one.",
    ),
    sign(
        Cause.IMAGE_ACCESS_DENIED,
        Outlook.LASTS,
        then(
            _PULL,
            r"access ?denied|is denied|denied: |: denied\b|not authorized|unauthorized|forbidden|\b40[13]\b"
            r"|no basic auth|authentication required|error getting credentials|role has the permissions",
        ),
        "The image does not exist in its registry, or the role may not pull it",
        "Check the image's name, and allow the execution role (EC2: the instance role) to pull it from ECR, or give "
        "`repositoryCredentials`.",
    ),
    sign(
        Cause.IMAGE_PULL,
        Outlook.PASSES,
        then(_PULL, _FAILING),
        "The registry, or the host, failed while the image was pulled",
        "Run it again, and let AWS do so by itself with a `retryStrategy` whose `evaluateOnExit` retries on reason "
        "`CannotPull*`.",
    ),
    sign(
        Cause.IMAGE_PULL,
        Outlook.UNCLEAR,
        then(
            _PULL,
            r"failed to (?:register|extract) layer|image on snapshotter|content digest|no processor for media-type",
        ),
        "The image could not be unpacked on the host",
        "Run it again, so that it gets another host; if that fails as well, build the image anew, without attestations "
        "(`--provenance=false`).",
    ),
    sign(
        Cause.IMAGE_NOT_FOUND,
        Outlook.LASTS,
        # The first is also ECS's, as an "InternalError" of the agent of Fargate.
        r"failed to normalize image reference|parse image (?:reference|name)|InvalidImageName|"
        + then(_PULL, r"invalid reference|must be lowercase"),
        "The image's name is not one that can be",
        "Register a revision of the definition that names an image as `registry/name:tag`.",
    ),
    sign(
        Cause.IMAGE_NOT_FOUND,
        Outlook.LASTS,
        then(_PULL, r"not found|manifest unknown|does not exist|name unknown|whether the image exists|\b404\b"),
        "The image does not exist",
        "Push it, or register a revision of the definition that names an image that exists.",
    ),
    sign(
        Cause.IMAGE_NETWORK,
        Outlook.UNCLEAR,
        then(_PULL, r"no such host"),
        "The name of the registry of the image could not be resolved",
        "Check the image's name; if it is right, run it again, with the VPC's DNS resolution turned on and a route "
        "from the subnet to the registry.",
    ),
    sign(
        Cause.IMAGE_NETWORK,
        Outlook.PASSES,
        then(_PULL, rf"{NETWORK}|transition to pull"),
        "The registry could not be reached to pull the image",
        "Run it again; if it goes on, give the subnet a route to the registry: a NAT gateway, a public IP (Fargate: "
        "`assignPublicIp`), or VPC endpoints for ECR and S3.",
    ),
    sign(
        Cause.IMAGE_PULL,
        Outlook.UNCLEAR,
        _PULL,
        "The image could not be pulled",
        "Check that it exists, that the execution role may pull it and that the subnet reaches the registry.",
    ),
)
