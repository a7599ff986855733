"""Every error this package raises.

::

    BatchJobsError
    ├── DefinitionError (ValueError)      a definition that cannot be what was meant
    │   ├── NotPinnedError                no revision where one is needed
    │   └── ParameterError                a parameter missing, unknown or of the wrong type
    ├── RequestError (ValueError)         a SubmitJob request that AWS would refuse
    ├── CallOrderError (RuntimeError)     calls in the wrong order, such as wait() before submit()
    ├── AwsError                          AWS, or the way to it, refused
    │   ├── AccessDeniedError             the role lacks a permission
    │   ├── CredentialsError              no credentials, or none that are valid
    │   ├── ClockError                    this machine's clock is too far from AWS's
    │   ├── ConfigurationError            a connection, profile, region or file that cannot work
    │   ├── ConnectionUnansweredError     Airflow did not return the AWS connection
    │   ├── EndpointError                 nothing answers, or it answers nonsense
    │   ├── CallAbortedError              something on the way to AWS tried to end this process
    │   ├── ExhaustedError                this machine is out of threads, files or memory
    │   ├── ThrottledError                the account's request rate is used up
    │   ├── QueueNotFoundError            no such job queue
    │   ├── DefinitionNotFoundError       no such job definition or revision
    │   ├── RevisionInactiveError         the pinned revision is deregistered
    │   └── RequestRefusedError           AWS understood the request and refused it
    ├── SubmitUnansweredError             it is unknown whether a job was started
    ├── StaleAttemptError                 another attempt of the task has taken over
    ├── RecordUnavailableError            the store of submit records does not answer
    ├── TaskEvictedError                  the worker was told to stop, not the task
    ├── NoDeploymentError                 this Airflow's jobs cannot be told from another's
    ├── AirflowUnansweredError            Airflow did not return the states of its task instances
    ├── JobNotFoundError (LookupError)    AWS has no job with this id
    ├── WaitCrashedError                  the wait for a job met something that nobody foresaw
    ├── JobFailedError                    the job ended as FAILED
    │   ├── ProgramFailedError            its program failed, or was ended by a signal
    │   ├── OutOfMemoryError              it needed more memory than it has
    │   ├── DiskFullError                 the disk was full
    │   ├── AttemptTimeoutError           an attempt took longer than its timeout
    │   ├── JobStoppedError               somebody cancelled or terminated it
    │   ├── DependencyFailedError         a job it depends on failed
    │   ├── ImageError                    the image does not exist, or is not for this role
    │   ├── ImagePullError                the registry did not hand the image over this time
    │   ├── CommandError                  the command cannot be run in the image
    │   ├── ContainerSetupError           the container, or what it needs, could not be set up
    │   ├── EndUnknownError               it ran, and nobody knows how it ended
    │   ├── HostLostError                 its host went away
    │   ├── CapacityError                 there was no room for it
    │   ├── JobRefusedError               queue, compute environment and job do not fit together
    │   └── AwsFailureError               something went wrong inside AWS
    ├── ResultError (ValueError)          the job succeeded, and its result is missing or does not fit
    └── JobTimeoutError (TimeoutError)    the wait ended before the job did

A message says what happened and why, what to do next, and last to which job; the same data is in attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_batch_jobs.batch.diagnosis import Diagnosis

#: What becomes of a job whose task ends before it, if the next attempt is to adopt it.
RUNS_ON = "The job keeps running for the next attempt."
#: What becomes of it if there is no next attempt.
NO_RETRY = "No retry follows, so the job was terminated."


class BatchJobsError(Exception):
    """Base of all errors of this package.

    A message may quote AWS or a user: what is not a character in it, which no log or database takes, becomes `?`.

    Args:
        message: What happened, why, what to do, and last to which job.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message.encode(errors="replace").decode().replace("\0", "?"))


class DefinitionError(BatchJobsError, ValueError):
    """A job definition that cannot be what its author meant."""


class NotPinnedError(DefinitionError):
    """A definition without a revision where one is needed.

    Attributes:
        name: The definition's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"Job definition {name!r} has no revision. Pin one: `class X(JobDefinition, name={name!r}, revision=7)`, "
            f'`definition.at_revision(7)`, or write "{name}:7".'
        )


class ParameterError(DefinitionError):
    """A parameter of a definition that is missing, unknown or of the wrong type.

    Args:
        problem: What is wrong, as it follows the names of field and definition: `is missing`.

    Attributes:
        definition: The definition's name, with the revision where it is known.
        field: The parameter's name.
        value: The value given; None where there was none.
    """

    def __init__(self, definition: str, field: str, problem: str, value: Any = None) -> None:
        self.definition = definition
        self.field = field
        self.value = value
        super().__init__(f"Parameter {field!r} of {definition} {problem}")


class RequestError(BatchJobsError, ValueError):
    """A SubmitJob request that AWS would refuse, or would take and let fail; found before it was sent.

    Args:
        problem: What is wrong with the field, and what to do.

    Attributes:
        field: Where in the request, as AWS names it: `timeout.attemptDurationSeconds`.
    """

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        super().__init__(f"SubmitJob {field}: {problem}")


class CallOrderError(BatchJobsError, RuntimeError):
    """A `BatchJob` was asked for something that it does not have yet, or has already."""


class AwsError(BatchJobsError):
    """AWS, or the way to it, refused.

    Args:
        message: What AWS said, and what to do.

    Attributes:
        action: The permission the call needs, as IAM writes it: `batch:SubmitJob`.
        code: AWS's error code; empty where there was no answer.
    """

    def __init__(self, message: str, *, action: str = "", code: str = "") -> None:
        self.action = action
        self.code = code
        super().__init__(message)


class AccessDeniedError(AwsError):
    """The role lacks a permission; `action` names it."""


class CredentialsError(AwsError):
    """There are no credentials, or AWS no longer accepts them."""


class ClockError(AwsError):
    """AWS does not take a request because this machine's clock, with which it was signed, is too far from AWS's."""


class ConfigurationError(AwsError):
    """A setting of the AWS connection, of the task or of this machine cannot work: a profile, a region, a file."""


class ConnectionUnansweredError(AwsError):
    """Airflow did not return the AWS connection: its API server, its database or a secrets backend is away."""


class EndpointError(AwsError):
    """Nothing answers at the endpoint, or it answers 5xx or something that is not AWS."""


class CallAbortedError(AwsError):
    """A library or plugin that AWS is called with has raised what ends a process, a thread or an asyncio task."""


class ExhaustedError(AwsError):
    """This machine is out of threads, file descriptors or memory."""


class ThrottledError(AwsError):
    """The account's request rate is used up."""


class QueueNotFoundError(AwsError):
    """There is no such job queue, or it takes no jobs."""


class DefinitionNotFoundError(AwsError):
    """There is no such job definition, or no such revision of it."""


class RevisionInactiveError(AwsError):
    """The pinned revision is deregistered."""


class RequestRefusedError(AwsError):
    """AWS understood the request and refused it."""


class SubmitUnansweredError(BatchJobsError):
    """SubmitJob was sent and no answer came: whether a job was started is unknown.

    Args:
        problem: What came instead of an answer: `timed out`.

    Attributes:
        job_name: The name that was sent. It is unique, so the job can be found by it.
    """

    def __init__(self, job_name: str, problem: str) -> None:
        self.job_name = job_name
        super().__init__(f"SubmitJob got no clear answer ({problem}), and no job of its name shows up: {job_name}")


class StaleAttemptError(BatchJobsError):
    """Another attempt of this task instance has taken over; this one must no longer act."""


class RecordUnavailableError(BatchJobsError):
    """The store of submit records does not answer."""


class TaskEvictedError(BatchJobsError):
    """The worker was told to stop, but no user stopped the task: a deployment, an eviction, a lost API server.

    Args:
        runs_on: Whether the job was left running, for the next attempt.
        has_ended: Whether the job has succeeded already, so that its result is left to read.

    Attributes:
        job_id: The job that was waited for.
    """

    def __init__(self, job_id: str, *, runs_on: bool = False, has_ended: bool = False) -> None:
        self.job_id = job_id
        if has_ended:
            end = "The job has succeeded; another attempt reads its result, without running it again."
        elif runs_on:
            end = RUNS_ON
        else:
            end = NO_RETRY
        super().__init__(f"The worker was told to stop. {end} Job: {job_id}")


class NoDeploymentError(BatchJobsError):
    """`[batch_jobs] deployment` is empty, so the jobs of this Airflow cannot be told from those of another."""

    def __init__(self) -> None:
        super().__init__(
            "[batch_jobs] deployment is empty, so this Airflow's jobs cannot be told from those of another one in the "
            "same AWS account. Set it (AIRFLOW__BATCH_JOBS__DEPLOYMENT) to a name that no other Airflow has, the same "
            "for all of its components; jobs that were submitted before are not swept."
        )


class AirflowUnansweredError(BatchJobsError):
    """Airflow's REST API does not give the states of its task instances."""


class JobNotFoundError(BatchJobsError, LookupError):
    """AWS has no job with this id.

    Attributes:
        job_id: The id asked for.
    """

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(
            "AWS Batch has no such job in this account and region. It forgets finished jobs after a few days; "
            f"otherwise, check the connection's account and region. Job: {job_id}"
        )


class WaitCrashedError(BatchJobsError):
    """The wait for a job met something that nobody foresaw; the job itself goes on.

    Args:
        cause: What was met; it becomes the error's `__cause__`.

    Attributes:
        job_id: The job waited for.
    """

    def __init__(self, job_id: str, cause: BaseException) -> None:
        self.job_id = job_id
        self.__cause__ = cause
        super().__init__(f"{cause!r} ended the wait. Report it with its traceback; the job goes on. Job: {job_id}")


class JobFailedError(BatchJobsError):
    """The job ended as FAILED.

    Attributes:
        job: The job in its last state, as the XCom `batch_job` has it.
        diagnosis: Why it failed and what to do.
    """

    def __init__(self, job: Mapping[str, Any], diagnosis: Diagnosis) -> None:
        self.job = job
        self.diagnosis = diagnosis
        super().__init__(f"{diagnosis} Job: {self.job_id} ({job.get('job_name')})")

    @property
    def job_id(self) -> str:
        """The job's id."""
        return str(self.job["job_id"])

    @property
    def exit_code(self) -> int | None:
        """The exit code of the container that failed, whichever part of the job it is in; None where none started."""
        return self.job.get("exit_code") if self.diagnosis.exit_code is None else self.diagnosis.exit_code

    @property
    def status_reason(self) -> str:
        """Why the job ended, according to AWS."""
        return str(self.job.get("status_reason") or "")


class ProgramFailedError(JobFailedError):
    """Its program ended with an exit code of its own or by a signal."""


class OutOfMemoryError(JobFailedError):
    """A container needed more memory than it has."""


class DiskFullError(JobFailedError):
    """The disk was full."""


class AttemptTimeoutError(JobFailedError):
    """An attempt took longer than the timeout that AWS Batch was given."""


class JobStoppedError(JobFailedError):
    """Somebody cancelled or terminated the job."""


class DependencyFailedError(JobFailedError):
    """A job that it depends on failed."""


class ImageError(JobFailedError):
    """The image does not exist, or its registry does not give it to this role."""


class ImagePullError(JobFailedError):
    """The registry did not hand the image over: its rate limit, the network, or for another reason."""


class CommandError(JobFailedError):
    """The command is not in the image, is not executable, or is for another processor architecture."""


class ContainerSetupError(JobFailedError):
    """The container could not be started, or its secrets, log, network or volumes could not be set up."""


class EndUnknownError(JobFailedError):
    """The container ran, but how it ended could not be found out: its work may be done."""


class HostLostError(JobFailedError):
    """The host went away under the job."""


class CapacityError(JobFailedError):
    """There was no room for the job."""


class JobRefusedError(JobFailedError):
    """Queue, compute environment and job do not fit together, or ECS refused to run it."""


class AwsFailureError(JobFailedError):
    """Something went wrong inside AWS."""


class ResultError(BatchJobsError, ValueError):
    """The job succeeded, and its result is missing or does not fit. A retry would find the same.

    Args:
        problem: What is wrong with the result, without a full stop.
        remedy: What to do, as a sentence.

    Attributes:
        job_id: The job; in an array, the child.
        field: Where in the result, `counts.0`; empty if it is the whole that is wrong.
        value: The value there; None if it is missing.
        is_missing: Whether the job's log has no result at all.
    """

    def __init__(
        self, job_id: str, problem: str, remedy: str, *, field: str = "", value: Any = None, is_missing: bool = False
    ) -> None:
        self.job_id = job_id
        self.field = field
        self.value = value
        self.is_missing = is_missing
        super().__init__(f"{problem}. {remedy} The job has succeeded, and is not run again for this: {job_id}")


class JobTimeoutError(BatchJobsError, TimeoutError):
    """The wait ended before the job did.

    Attributes:
        job_id: The job waited for.
        seconds: How long the wait was allowed to last.
    """

    def __init__(self, job_id: str, seconds: float) -> None:
        self.job_id = job_id
        self.seconds = seconds
        super().__init__(f"The job had not ended after {seconds:g} s. Job: {job_id}")
