"""What type checkers must accept of users' definitions. Checked by `poe types`, never run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, assert_type

from airflow_batch_jobs.batch.definition import Field, JobDefinition

if TYPE_CHECKING:
    from collections.abc import Mapping


class Align(JobDefinition, name="align-reads", revision=7):
    """A definition with every kind of field."""

    sample: str
    reference: str = "s3://refs/hg38.fa"
    threads: int = Field(default=4, ge=1)
    inputs: tuple[str, ...] = ()
    in_file: str | None = Field(default=None, serialization_alias="in-file")
    name_: str = Field(default="x", alias="name")

    def validate(self) -> None:
        """Override without a complaint about pydantic's own `validate`."""
        if self.threads > 64:
            raise ValueError("more threads than any host has")


class AlignLong(Align, revision="8"):
    """A definition with one parameter more; the revision as text."""

    minimum_length: int = 0


class Report(JobDefinition):
    """A definition with a property as its name."""

    day: datetime
    target: PurePosixPath

    @property
    def name(self) -> str:
        """Override without a complaint."""
        return f"report-{self.day:%Y}"


align = Align(sample="NA12878", threads=8, inputs=("a", "b"), in_file="{{ ds }}", name="y")
assert_type(align.threads, int)
assert_type(align.name, str)
assert_type(align.revision, int | None)
assert_type(align.at_revision("9"), Align)
assert_type(align.with_parameters({"sample": "x"}), Align)
assert_type(AlignLong.from_parameters({"sample": "x"}, revision=3), AlignLong)
assert_type(align.to_dict(), dict[str, str])
assert_type(JobDefinition.named("align-reads:7", parameters={"sample": 1}), JobDefinition)

AlignLong(sample="x", minimum_length=50).make_job_name(datetime.now(UTC))
Report(day=datetime.now(UTC), target=PurePosixPath("/x")).at_revision(1)


def reference(definition: JobDefinition, parameters: Mapping[str, object]) -> str:
    """Take any definition."""
    return definition.with_parameters(parameters).pinned_reference


reference(align, {})
