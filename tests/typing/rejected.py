"""What type checkers must refuse of users' definitions. Checked by `poe types`, never run.

Each ignore names the error that must be there: mypy is strict, and reports an ignore that nothing needs or that names
another error.
"""

from __future__ import annotations

from airflow_batch_jobs.batch.definition import Field, JobDefinition


class Align(JobDefinition, name="align-reads", revision=7):
    """A definition to call wrongly."""

    sample: str
    threads: int = Field(default=4, ge=1)


Align(sample=1)  # type: ignore[arg-type]  # of the wrong type
Align(sample="x", threads="{{ ds }}")  # type: ignore[arg-type]  # a template where none can stand
Align(sample="x", thread=2)  # type: ignore[call-arg]  # unknown
Align()  # type: ignore[call-arg]  # missing
Align("x")  # type: ignore[call-arg]  # by position
Align(sample="x", _revision=3)  # type: ignore[call-arg]  # what is no parameter
Align(sample="x").sample = "y"  # type: ignore[misc]  # frozen
Align(sample="x").at_revision(7.0)  # type: ignore[arg-type]  # no revision
JobDefinition.named("align-reads", {1: "x"})  # type: ignore[dict-item]  # a parameter's name that is no text


class Misspelt(JobDefinition, name="x", revison=7):  # type: ignore[call-arg]
    """A class keyword that there is not."""


class WrongResult(JobDefinition, name="x", revision=7):
    """A `validate()` that returns something."""

    def validate(self) -> bool:  # type: ignore[override]
        """Return what nobody reads."""
        return True
