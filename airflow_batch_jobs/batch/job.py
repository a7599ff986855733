"""BatchJob: one job from submit to last log line, for scripts, notebooks and the command line, without Airflow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import UNKNOWN_GRACE_SECONDS, KeptClients, service, session_clients
from airflow_batch_jobs.batch.aws.clock import SystemClock, look_until
from airflow_batch_jobs.batch.aws.outage import OUTAGE_SECONDS
from airflow_batch_jobs.batch.aws.pacing import Backoff
from airflow_batch_jobs.batch.aws.trouble import may_pass, trouble
from airflow_batch_jobs.batch.definition import JobDefinition
from airflow_batch_jobs.batch.definition.reference import unique_name
from airflow_batch_jobs.batch.diagnosis import diagnose
from airflow_batch_jobs.batch.job_failed import job_failed
from airflow_batch_jobs.batch.job_id import bare_id
from airflow_batch_jobs.batch.job_log import JobLog
from airflow_batch_jobs.batch.job_xcom import job_xcom
from airflow_batch_jobs.batch.logs.window import LogWindow
from airflow_batch_jobs.batch.operations import describe_jobs, send, terminate
from airflow_batch_jobs.batch.preflight import check_request
from airflow_batch_jobs.batch.request import SubmitRequest
from airflow_batch_jobs.batch.result.model import result_model
from airflow_batch_jobs.batch.result.search import LATE_SECONDS, ResultSearch
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.errors import (
    AwsError,
    CallOrderError,
    JobNotFoundError,
    JobTimeoutError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    import boto3
    from pydantic import BaseModel

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.aws.clock import Clock
    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs import LogEvent


class BatchJob:
    """One AWS Batch job.

    ::

        job = BatchJob(Align(sample="NA12878"))
        job.submit("science")
        for stream, event in job.logs(follow=True):
            print(stream.label, event.text())
        print(summarize(job.wait()))

    Does not terminate the job when the program ends.
    """

    def __init__(
        self,
        definition: JobDefinition,
        *,
        session: boto3.Session | None = None,
        region_name: str | None = None,
        clients: ClientFactory | None = None,
        clock: Clock | None = None,
        note: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Prepare a job; AWS is not asked yet.

        Args:
            definition: What to run.
            session: The credentials; boto3's default ones if None.
            region_name: The region; the session's own if None.
            clients: Makes the clients, in place of `session` and `region_name`.
            clock: Time and sleep.
            note: Told in one line each, before the submit, what of the request may not be what was meant.
        """
        self._begin(definition, None, clients or session_clients(session, region_name), clock)
        self._note = note

    @classmethod
    def from_id(
        cls,
        job_id: str,
        *,
        session: boto3.Session | None = None,
        region_name: str | None = None,
        clients: ClientFactory | None = None,
        clock: Clock | None = None,
    ) -> BatchJob:
        """Return the job with an id; AWS is not asked yet.

        Definition and queue are read from AWS when they are first asked for. AWS does not tell overrides from the rest.

        Args:
            job_id: The job's id, or its ARN; also that of an array's child, `id:3`, or of a node, `id#1`.
            session: The credentials; boto3's default ones if None.
            region_name: The region; the session's own if None.
            clients: Makes the clients, in place of `session` and `region_name`.
            clock: Time and sleep.
        """
        job = cls.__new__(cls)  # the constructor wants a definition, and a subclass's may want something else
        job._begin(None, bare_id(job_id), clients or session_clients(session, region_name), clock)  # noqa: SLF001 - its own class
        return job

    def _begin(
        self, definition: JobDefinition | None, job_id: str | None, clients: ClientFactory, clock: Clock | None
    ) -> None:
        self._definition = definition
        self._job_id = job_id
        self._queue: str | None = None
        self._container_overrides: Mapping[str, Any] = {}
        self._submitted_at: float | None = None
        self._clients = KeptClients.of(clients)
        self._clock = clock or SystemClock()

    @property
    def definition(self) -> JobDefinition:
        """What the job runs, with its parameters.

        Raises:
            JobNotFoundError: The job was made from an id that AWS does not know.
        """
        if self._definition is None:
            detail = self.detail()
            self._definition = JobDefinition.named(detail.job_definition, detail.parameters)
        return self._definition

    @property
    def job_id(self) -> str | None:
        """The job's id; None before the submit."""
        return self._job_id

    @property
    def queue(self) -> str | None:
        """The queue the job was submitted to; None before the submit.

        Raises:
            JobNotFoundError: The job was made from an id that AWS does not know.
        """
        if self._queue is None and self._job_id is not None:
            self._queue = self.detail().queue_name
        return self._queue

    @property
    def container_overrides(self) -> Mapping[str, Any]:
        """What was submitted to override the definition's container settings; empty for a job made from an id."""
        return self._container_overrides

    @staticmethod
    def describe_job(
        job_id: str,
        *,
        session: boto3.Session | None = None,
        region_name: str | None = None,
        clients: ClientFactory | None = None,
    ) -> JobDetail:
        """Describe one job.

        Args:
            job_id: The job's id; also that of an array's child, `id:3`, or of a node, `id#1`.
            session: The credentials; boto3's default ones if None.
            region_name: The region; the session's own if None.
            clients: Makes the clients, in place of `session` and `region_name`.

        Raises:
            JobNotFoundError: AWS knows no job of this id.
            AwsError: AWS refused, or could not be reached.
        """
        for detail in describe_jobs(clients or session_clients(session, region_name), [bare_id(job_id)]):
            return detail
        raise JobNotFoundError(job_id)

    @staticmethod
    def describe_jobs(
        job_ids: Iterable[str],
        *,
        session: boto3.Session | None = None,
        region_name: str | None = None,
        clients: ClientFactory | None = None,
    ) -> list[JobDetail]:
        """Describe any number of jobs, a hundred per call.

        Args:
            job_ids: Their ids; likewise.
            session: As for one job.
            region_name: Likewise.
            clients: Likewise.

        Returns:
            The jobs in the order of their ids, without those that AWS does not know.

        Raises:
            AwsError: AWS refused, or could not be reached.
        """
        return describe_jobs(clients or session_clients(session, region_name), map(bare_id, job_ids))

    def submit(self, queue: str, container_overrides: Mapping[str, Any] | None = None, **submit_options: Any) -> str:
        """Submit the job, once, and return its id.

        What AWS would refuse is found before it is asked to run anything.

        Args:
            queue: The queue's name or ARN.
            container_overrides: Overrides of the definition's container settings, under AWS's names.
            submit_options: Any other fields of SubmitJob, under AWS's names: `arrayProperties`, `dependsOn`,
                `retryStrategy`, `timeout`, `tags`, … A `jobName` is the beginning of the job's name: six random digits
                follow, so that the job can be found by its name if the answer is lost.

        Raises:
            CallOrderError: It has already been submitted.
            NotPinnedError: The definition has no revision.
            RequestError: The request is outside AWS's limits, or does not fit the revision.
            ParameterError: A placeholder of the job's command is not filled.
            SubmitUnansweredError: It is unknown whether a job was started.
            AwsError: AWS refused (`QueueNotFoundError`, `RevisionInactiveError`, …), or could not be reached.
        """
        if self._job_id is not None:
            raise CallOrderError(
                "This job was submitted already. Make another BatchJob to run the definition again. "
                f"Job: {self._job_id}"
            )
        definition = self.definition
        name = submit_options.pop("jobName", None) or definition.make_job_name(self._clock.now())
        request = SubmitRequest(
            job_name=unique_name(name),
            job_queue=queue,
            job_definition=definition.pinned_reference,
            parameters=definition.to_dict(),
            container_overrides=container_overrides or {},
            options=submit_options,
        )
        check_request(self._clients, request, note=self._note)
        self._job_id = send(self._clients, request, clock=self._clock)
        self._queue, self._container_overrides = queue, request.container_overrides
        self._submitted_at = self._clock.monotonic()
        return self._job_id

    def detail(self) -> JobDetail:
        """Describe the job as it is now. Waits if a job just submitted is unknown to AWS at first.

        Raises:
            CallOrderError: It has not been submitted.
            JobNotFoundError: AWS knows no job of this id, even 60 s after the submit.
            AwsError: AWS refused, or could not be reached.
        """
        job_id, is_known_after = self._submitted_id(), float("-inf")
        if self._submitted_at is not None:
            is_known_after = self._submitted_at + UNKNOWN_GRACE_SECONDS
        for detail in look_until(
            lambda: describe_jobs(self._clients, [job_id]),
            bool,
            self._clock,
            is_known_after - self._clock.monotonic(),
            Backoff().next_delay,
        ):
            return detail
        raise JobNotFoundError(job_id)

    def status(self) -> JobStatus:
        """Return the job's status now. Raises as `detail` does."""
        return self.detail().status

    def is_submitted(self) -> bool:
        """Whether its status is SUBMITTED now. Raises as `detail` does."""
        return self.status() is JobStatus.SUBMITTED

    def is_runnable(self) -> bool:
        """Whether its status is RUNNABLE now: it waits for its turn or for a host. Raises as `detail` does."""
        return self.status() is JobStatus.RUNNABLE

    def is_running(self) -> bool:
        """Whether its status is RUNNING now. Raises as `detail` does."""
        return self.status() is JobStatus.RUNNING

    def cancel(self, reason: str) -> None:
        """Cancel the job if it has not started; AWS ignores this for a STARTING or RUNNING job: `terminate` that.

        Args:
            reason: Stays with the job as its status reason.

        Raises:
            CallOrderError: It has not been submitted.
            AwsError: AWS refused, or could not be reached.
        """
        service(self._clients, "batch").call("cancel_job", dict, jobId=self._submitted_id(), reason=reason)

    def terminate(self, reason: str) -> None:
        """Stop the job in whatever state it is; one that has ended stays as it is.

        It ends some time later: `wait` for it. Its processes get SIGTERM, and SIGKILL about 30 s after that.

        Args:
            reason: Stays with the job as its status reason.

        Raises:
            CallOrderError: It has not been submitted.
            AwsError: AWS refused, or could not be reached.
        """
        terminate(self._clients, self._submitted_id(), reason, self._clock)

    def wait(
        self,
        timeout: float | None = None,
        poll_interval: float = 5.0,
        on_look: Callable[[JobDetail], None] = lambda _: None,
        on_problem: Callable[[str], None] = lambda _: None,
    ) -> JobDetail:
        """Wait until the job has ended, and return it in its last state: SUCCEEDED or FAILED.

        Throttling and short outages are waited out.

        Args:
            timeout: Seconds; None to wait forever.
            poll_interval: Seconds between two looks.
            on_look: Called with the job at each look.
            on_problem: Called with one sentence when AWS does not answer, and with an empty one when it does again.

        Raises:
            CallOrderError: It has not been submitted.
            JobTimeoutError: It had not ended in time; it keeps running.
            JobNotFoundError: AWS knows no job of this id.
            AwsError: AWS refused, or did not answer for five minutes for a reason that may pass.
        """
        job_id = self._submitted_id()
        begun, failing_since, has_answered = self._clock.monotonic(), None, False
        while True:
            now = self._clock.monotonic()
            try:
                detail = self.detail()
            except AwsError as error:
                if not (may_pass(error) if has_answered else trouble(error).retry):
                    raise
                if failing_since is None:
                    failing_since = now
                    on_problem(f"{error} Asking again.")
                if now - failing_since >= OUTAGE_SECONDS:
                    raise
            else:
                has_answered = True
                if failing_since is not None:
                    failing_since = None
                    on_problem("")
                on_look(detail)
                if detail.is_final:
                    return detail
            left = math.inf if timeout is None else timeout - (self._clock.monotonic() - begun)
            if timeout is not None and left <= 0:
                raise JobTimeoutError(job_id, timeout)
            self._clock.sleep(min(poll_interval, left))

    def log_stream_name(self) -> str | None:
        """Return the CloudWatch stream of the newest attempt; that of its first container if there are several.

        Returns:
            None before the job runs, for a job whose log is not in CloudWatch, and for the parent of an array or of
            several nodes, which writes nothing itself.

        Raises:
            CallOrderError: It has not been submitted.
            JobNotFoundError: AWS knows no job of this id.
            AwsError: AWS refused, or could not be reached.
        """
        stream = self._log().newest
        return stream.stream if stream else None

    def log_stream_events(self) -> list[LogEvent]:
        """Return all events that the stream `log_stream_name` has now, oldest first; none without a stream.

        Raises as `log_stream_name` does. `logs` reads the other attempts, containers and parts as well.
        """
        return self._log().events_of_newest()

    def logs(
        self,
        *,
        follow: bool = False,
        since: datetime | None = None,
        tail: int | None = None,
        on_change: Callable[[JobDetail], None] = lambda _: None,
        on_problem: Callable[[str], None] = lambda _: None,
    ) -> Iterator[tuple[LogStream, LogEvent]]:
        """Read the lines of all attempts and containers, including those of an array's children or of nodes.

        Args:
            follow: Yield lines as they come until the job has ended and all are read. Without it, yield what is there
                now, stream by stream.
            since: Leave out older lines.
            tail: Of the lines that are there now, yield at most so many of each stream, the last ones.
            on_change: With `follow`, called with the job at first and whenever its state changes.
            on_problem: With `follow`, called with one sentence when AWS has not answered for a while, and with an empty
                one when it does again.

        Raises:
            CallOrderError: It has not been submitted.
            JobNotFoundError: AWS knows no job of this id.
            AwsError: AWS refused, or could not be reached.
        """
        log, window = self._log(), LogWindow(since, tail)
        return log.follow(window, on_change, on_problem) if follow else log.read(window)

    def result(
        self,
        model: type[BaseModel] | None = None,
        *,
        settle_seconds: float = 5.0,
        late_seconds: float = LATE_SECONDS,
        on_wait: Callable[[], object] = lambda: None,
    ) -> Any:
        """Return what the job has handed back by the line `batch-job-result: {json}` of its log.

        Args:
            model: The pydantic model to read it as; None for the `Result` of the definition's class. If that has none,
                the result is what its JSON has.
            settle_seconds: How long after the job's end one result line may follow another.
            late_seconds: How long after its end to look for a line that has not come.
            on_wait: Called once, before the first wait for lines.

        Returns:
            The model's instance; of an array the list of its children's, by index.

        Raises:
            CallOrderError: It has not been submitted, or has not ended.
            JobFailedError: It has failed.
            ResultError: There is no result, or one that does not fit.
            DefinitionError: `model` or the definition's `Result` is no pydantic model.
            JobNotFoundError: AWS knows no job of this id.
            AwsError: AWS refused, or did not answer for five minutes.
        """
        own = result_model(model, self._definition)
        detail = self.detail()
        if not detail.is_final:
            raise CallOrderError(
                f"The job is {detail.status.value} and has no result yet: wait() first. Job: {detail.job_id}"
            )
        if detail.status is JobStatus.FAILED:
            raise job_failed(job_xcom(detail, self._clock.now()), diagnose(detail))
        return ResultSearch(
            self._clients,
            detail,
            settle_seconds=settle_seconds,
            late_seconds=late_seconds,
            on_wait=on_wait,
            clock=self._clock,
        ).read(own)

    def _log(self) -> JobLog:
        return JobLog(self._clients, self.detail(), self._clock)

    def _submitted_id(self) -> str:
        if self._job_id is None:
            raise CallOrderError(
                "There is no job yet: call submit() first, or find an existing one with BatchJob.from_id()."
            )
        return self._job_id
