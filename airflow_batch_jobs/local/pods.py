"""What RegisterJobDefinition refuses of a pod: of a job on Amazon EKS, or of a range of its nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local.limits import MOST_CONTAINERS, environment_problems, namespace_problems, value_problems
from airflow_batch_jobs.local.shapes import pod_container_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_USER_ID = 2_147_483_647
_VALUES = {
    "imagePullPolicy": {"Always", "IfNotPresent", "Never"},
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
    yield from value_problems(pod, _VALUES, "dnsPolicy")
    yield from namespace_problems(pod)
    for properties in (pod, *containers, *init_containers):
        yield from _security_problems(properties.get("securityContext", {}))
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    for container in (*containers, *init_containers):
        for mount in container.get("volumeMounts", []):
            if mount.get("name") not in volumes:
                yield f"volumeMount {mount.get('name', '')} does not match a volume of the pod"


def _security_problems(context: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the securityContext of a pod or of one of its containers."""
    for key in ("runAsUser", "runAsGroup"):
        if not 0 <= context.get(key, 0) <= _MOST_USER_ID:
            yield f"{key} must be between 0 and {_MOST_USER_ID}"
    profile = context.get("seccompProfile")
    if profile and (profile["type"] == "Localhost") != bool(profile.get("localhostProfile")):
        yield "seccompProfile needs localhostProfile if its type is Localhost, and takes it for no other type"
