"""SubmitRequest: what AWS is told to run, checked before AWS is asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from airflow_batch_jobs.batch.aws.calls import submit_job_shape
from airflow_batch_jobs.batch.detail import JobKind
from airflow_batch_jobs.batch.identity import TAG_PREFIX
from airflow_batch_jobs.batch.request.conform import conform
from airflow_batch_jobs.batch.request.limits import check_limits
from airflow_batch_jobs.errors import RequestError

#: The argument for each of SubmitJob's fields that has an argument of its own; the fields in lower case.
_ELSEWHERE = {
    "jobname": "job_name",
    "jobqueue": "job_queue",
    "jobdefinition": "definition",
    "parameters": "parameters",
    "containeroverrides": "container_overrides",
}


@dataclass(frozen=True, kw_only=True)
class SubmitRequest:
    """A SubmitJob request, conformed to AWS's types and checked once.

    Attributes:
        job_name: The job's full name; empty until it has one.
        job_queue: The queue's name or ARN.
        job_definition: `name:revision`, or an ARN with the revision.
        parameters: AWS's map of text to text.
        container_overrides: For the container of a single-container job, under AWS's names.
        options: Any other fields of SubmitJob, under AWS's names; the user's tags among them.
        tags: The tags that tell whose job it is.

    What AWS does not take for the revision can be left out of what is sent, and other overrides can be sent; the digest
    stays the same.
    """

    job_name: str = ""
    job_queue: str
    job_definition: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    container_overrides: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    _left_out: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    _instead: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def leave_out(self, name: str) -> None:
        """Do not send a field of SubmitJob.

        Args:
            name: The field, as AWS names it.
        """
        self._left_out.add(name)

    def send_instead(self, fields: Mapping[str, Any]) -> None:
        """Send these fields of SubmitJob in place of its own.

        Args:
            fields: The fields with their values, as AWS names them.
        """
        self._instead.update(fields)

    def to_api(self) -> dict[str, Any]:
        """Return the arguments of boto3's `submit_job`.

        Raises:
            RequestError: A field is unknown, None or of the wrong type, or `options` has what belongs elsewhere.
        """
        fields = {**self._conformed, **self._instead}
        return deepcopy({name: value for name, value in fields.items() if name not in self._left_out})

    def validate(self) -> None:
        """Check every limit that AWS sets and botocore does not check.

        Raises:
            RequestError: AWS would refuse the request; the message names the field, the limit and the value.
            NotPinnedError: The job definition has no revision.
            DefinitionError: The job definition is malformed.
        """
        _ = self._is_within_limits

    def changed(self, fields: Mapping[str, Any]) -> SubmitRequest:
        """Return a request of other fields for the same job; its name and the tags that tell whose it is stay.

        Args:
            fields: The arguments of boto3's `submit_job`.

        Raises:
            RequestError: A tag is not a user's.
        """
        rest = {name: value for name, value in fields.items() if name.lower() not in _ELSEWHERE}
        if "propagateTags" not in self.options and rest.get("propagateTags") is True:
            del rest["propagateTags"]  # the default, which not every revision takes
        tags = {key: value for key, value in rest.pop("tags", {}).items() if self.tags.get(key) != value}
        return replace(
            self,
            job_queue=fields["jobQueue"],
            parameters=fields.get("parameters", {}),
            container_overrides=fields.get("containerOverrides", {}),
            options={**rest, "tags": tags} if tags else rest,
        )

    @property
    def kind(self) -> JobKind:
        """The shape of its job, as far as the request shows it and not the definition alone."""
        if self.array_size:
            return JobKind.ARRAY_PARENT
        if self._conformed.get("nodeOverrides"):
            return JobKind.MULTI_NODE
        return JobKind.EKS if self._conformed.get("eksPropertiesOverride") else JobKind.SINGLE

    @property
    def array_size(self) -> int | None:
        """The number of children of its job; None if that is no array."""
        size: int | None = self._conformed.get("arrayProperties", {}).get("size")
        return size

    def digest(self) -> str:
        """Return a short hash of what is to run: the same for all attempts, whatever the job's name and tags."""
        request = {name: value for name, value in self._conformed.items() if name != "jobName"}
        request["tags"] = {key: value for key, value in request.get("tags", {}).items() if key not in self.tags}
        return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def _conformed(self) -> Mapping[str, Any]:
        self._check_options()
        named = {
            "jobName": self.job_name,
            "jobQueue": self.job_queue,
            "jobDefinition": self.job_definition,
            "parameters": self.parameters,
            "containerOverrides": self.container_overrides,
            "propagateTags": True,
        }
        own = self.options.get("tags", {})
        tags = {**own, **self.tags} if isinstance(own, Mapping) else own
        request = conform({**named, **self.options, "tags": tags}, submit_job_shape())
        return {name: value for name, value in request.items() if value != {}}

    @cached_property
    def _is_within_limits(self) -> bool:
        check_limits(self._conformed)
        return True

    def _check_options(self) -> None:
        for name in self.options:
            if argument := _ELSEWHERE.get(str(name).replace("_", "").lower()):
                raise RequestError(str(name), f"does not belong in submit_options; pass it as {argument}=")
        for key in self.options.get("tags") or {}:
            if str(key).startswith(TAG_PREFIX):
                raise RequestError("tags", f"the key {key!r} is Airflow's: {TAG_PREFIX}… tells whose job it is")
