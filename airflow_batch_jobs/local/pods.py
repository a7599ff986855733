"""What RegisterJobDefinition refuses of a pod: of a job on Amazon EKS, or of a range of its nodes."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local.limits import (
    DNS_SUBDOMAIN,
    MOST_CONTAINERS,
    MOST_DNS_NAME,
    environment_problems,
    metadata_problems,
    value_problems,
)
from airflow_batch_jobs.local.resources import LEAST_MEMORY_MIB
from airflow_batch_jobs.local.shapes import pod_container_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_USER_ID = 2_147_483_647
#: What the service model says of the values of a container's resources.
_AMOUNTS = {
    "cpu": (re.compile("[0-9]{1,9}(?:[.](?:0|00|5|50|25|75))?"), "a multiple of 0.25"),
    "memory": (
        re.compile("0{0,8}(?:[4-9]|[1-9][0-9]{1,8})Mi"),
        f'a whole number of MiB, at least {LEAST_MEMORY_MIB}, with the suffix "Mi"',
    ),
    "nvidia.com/gpu": (re.compile("[0-9]{1,9}"), "a whole number"),
}
_VALUES = {
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
    "medium": {"", "Memory"},
    "dnsPolicy": {"Default", "ClusterFirst", "ClusterFirstWithHostNet"},
}


def pod_problems(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the podProperties of a definition, or of a range of its nodes."""
    containers, init_containers = pod.get("containers", []), pod.get("initContainers", [])
    if not containers:
        yield "podProperties must contain at least one container"
    if max(len(containers), len(init_containers)) > MOST_CONTAINERS:
        yield f"A pod must contain at most {MOST_CONTAINERS} containers, and as many initContainers"
    names = [pod_container_name(container) for container in (*containers, *init_containers)]
    if len(set(names)) < len(names):
        yield "Each container of a pod must have a unique name"
    for container in (*containers, *init_containers):
        if not container.get("image"):
            yield "Each container of a pod must contain image"
        yield from environment_problems(container.get("env", []))
        yield from value_problems(container, _VALUES, "imagePullPolicy")
        yield from pod_resource_problems(container.get("resources", {}))
    yield from value_problems(pod, _VALUES, "dnsPolicy")
    yield from metadata_problems(pod)
    for properties in (pod, *containers, *init_containers):
        yield from _security_problems(properties.get("securityContext", {}))
    yield from _volume_problems(pod)
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    for container in (*containers, *init_containers):
        for mount in container.get("volumeMounts", []):
            if mount.get("name") not in volumes:
                yield f"volumeMount {mount.get('name', '')} does not match a volume of the pod"


def _volume_problems(pod: Mapping[str, Any]) -> Iterator[str]:
    for volume in pod.get("volumes", []):
        names = {"name": volume["name"], "secretName": volume.get("secret", {}).get("secretName", "x")}
        for key, name in names.items():
            if len(name) > MOST_DNS_NAME or not DNS_SUBDOMAIN.fullmatch(name):
                yield f"{key} {name} must be allowed as a DNS subdomain name"
        yield from value_problems(volume.get("emptyDir", {}), _VALUES, "medium")


def pod_resource_problems(resources: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the resources of a pod's container, or of an override of them."""
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    for kind, (amount, words) in _AMOUNTS.items():
        given = [amounts[kind] for amounts in (limits, requests) if kind in amounts]
        if wrong := [value for value in given if not amount.fullmatch(value)]:
            yield f"{kind} {wrong[0]} is not valid: it must be {words}"
        elif kind == "cpu" and len(given) > 1 and Decimal(given[0]) < Decimal(given[1]):
            yield "cpu in limits must be at least as large as in requests"
        elif kind != "cpu" and len({int(value.removesuffix("Mi")) for value in given}) > 1:
            yield f"{kind} in limits must be equal to {kind} in requests"


def _security_problems(context: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the securityContext of a pod or of one of its containers."""
    for key in ("runAsUser", "runAsGroup"):
        if not 0 <= context.get(key, 0) <= _MOST_USER_ID:
            yield f"{key} must be between 0 and {_MOST_USER_ID}"
    profile = context.get("seccompProfile")
    if profile and (profile["type"] == "Localhost") != bool(profile.get("localhostProfile")):
        yield "seccompProfile needs localhostProfile if its type is Localhost, and takes it for no other type"
