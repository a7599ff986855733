"""What the operator and the sensor share: the AWS settings, the wait, and how it ends."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from airflow_batch_jobs.task import execution_timeout
from airflow_batch_jobs.task.arguments import check_mapped, refuse_foreign

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import timedelta

    from airflow.sdk import Context, RetryPolicy
    from pydantic import BaseModel

    from airflow_batch_jobs.batch.aws import KeptClients
    from airflow_batch_jobs.task.connection import AwsConnection
    from airflow_batch_jobs.task.handover import Outcome, WaitPlan
    from airflow_batch_jobs.task.log_rest import RestCopy
    from airflow_batch_jobs.task.on_worker import WorkerWait
    from airflow_batch_jobs.task.result import TaskResult


class JobTask:
    """A task that waits for a job; comes before BaseOperator among the bases.

    Does not know whether it submitted the job itself.
    """

    deferrable: bool
    poll_interval: float | None
    copy_logs: bool
    terminate_on_kill: bool
    execution_timeout: timedelta | None
    aws_conn_id: str | None
    region_name: str | None
    verify: bool | str | None
    botocore_config: Mapping[str, Any] | None
    finish_in_triggerer: bool | None = None
    retry_policy: RetryPolicy | None
    #: Whether the job has succeeded, so that an error is about its result, which another attempt can read.
    job_has_succeeded = False
    #: Whether this attempt has written a record, which it can read as long as it is not replaced.
    _is_recorded = False
    #: Whether the job that is waited for was submitted here: then there is one, even if AWS does not show it.
    _has_submitted = False
    #: The clients of this process; None until AWS is called.
    _kept_clients: KeptClients | None = None
    #: Whether SIGTERM has come.
    _killed = False
    #: What SIGTERM is passed on to.
    _waiting: WorkerWait | RestCopy | TaskResult | None = None
    #: What the job's result is read as; None if the task returns the job's id.
    _result_model: type[BaseModel] | None = None

    def __new__(cls, *_: Any, **given: Any) -> Self:
        """Find at parse time arguments by the names that they have in the Amazon provider.

        Raises:
            TypeError: There are some; the error names their counterparts.
        """
        refuse_foreign(cls, given)
        return super().__new__(cls)

    @classmethod
    def partial(cls, **given: Any) -> Any:
        """Likewise of a task that is mapped, and of what it is mapped over; of the values as well.

        Raises:
            TypeError: As above.
            DefinitionError: As for a single task.
            RequestError: As for a single task.
            ValueError: As for a single task.
        """
        from airflow_batch_jobs.task.mapping import CheckedPartial

        refuse_foreign(cls, given, is_whole=False)
        check_mapped(cls, given)
        made = super().partial(**given)  # type: ignore[misc]  # BaseOperator's
        return CheckedPartial.of(made, cls, given)

    @property
    def _connection(self) -> AwsConnection:
        from airflow_batch_jobs.task.connection import AwsConnection

        return AwsConnection.of(self)

    @property
    def _clients(self) -> KeptClients:
        """What AWS is called with in this process: of one session, of which the log tells once."""
        if self._kept_clients is None:
            self._kept_clients = self._connection.clients()
        return self._kept_clients

    @property
    def _limit(self) -> timedelta | None:
        """How long the task may wait; None for no end."""
        return self.execution_timeout

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Take over from the trigger: copy the lines that its line budget left over, then end as the job did.

        Raises:
            BatchJobsError: As from `execute`.
            AirflowException: As from `execute`.
        """
        from airflow_batch_jobs.task.handover import Outcome

        return self._conclude(context, Outcome.from_event(event))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after the trigger. If that has crashed, take its wait up again, three times at most.

        Raises:
            TaskDeferred: A new trigger waits.
            TaskDeferralError: The trigger has crashed too often.
        """
        from airflow.sdk.exceptions import TaskDeferralError

        from airflow_batch_jobs.task import crash, log, stop

        told = next_kwargs or {}
        resume: Any = super()  # of BaseOperator, or of BaseSensorOperator, which turns errors into skips
        if not crash.has_happened(next_method, told) or (plan := self._last_plan(context)) is None:
            return resume.resume_execution(next_method, next_kwargs, context)
        cause = crash.cause(told)
        again = crash.taken_up_again(plan, datetime.now(tz=UTC))
        if again is None:
            error = (
                f"The trigger has crashed {plan.resumed + 1} times, the last time with {cause}. "
                f"{self._give_up(context, plan.job_id, stop.TRIGGER_CRASHED, TaskDeferralError())}"
            )
            return resume.resume_execution(next_method, {**told, "error": error}, context)
        log.problem(
            f"The trigger crashed ({cause}). The wait for the job goes on at {again.begins_at:%H:%M:%S} UTC, "
            f"resumption {again.resumed} of {len(crash.PAUSE_SECONDS)}."
        )
        log.note(f"The traceback of that trigger: {''.join(told.get('traceback') or ())}")
        with self._or_given_up(context, plan.job_id):
            outcome = self._wait_for_job(context, again)
        return self._conclude(context, outcome)

    def on_kill(self) -> None:
        """Note that the task is being stopped. Runs in a signal handler, so what that means is decided elsewhere."""
        self._killed = True
        if self._waiting is not None:
            self._waiting.kill()

    def _plan(self, job_id: str, submitted_at: datetime | None = None) -> WaitPlan:
        """Return what to wait for.

        Args:
            job_id: The job.
            submitted_at: When it was submitted, if that was just now: AWS may not know it yet.
        """
        from airflow_batch_jobs.config import Settings
        from airflow_batch_jobs.task.handover import WaitPlan

        return WaitPlan(
            job_id=job_id,
            poll_interval=self.poll_interval or Settings.read().poll_interval,
            copy_logs=self.copy_logs,
            terminate_on_kill=self.terminate_on_kill,
            deadline=None if self._limit is None else datetime.now(tz=UTC) + self._limit,
            submitted_at=submitted_at,
        )

    def _last_plan(self, context: Context) -> WaitPlan | None:
        """Return the plan of the wait that this attempt has begun; None if its job is not known.

        If the store does not have it, as for a wait that an older version began, the wait starts over.
        """
        from airflow_batch_jobs.errors import RecordUnavailableError
        from airflow_batch_jobs.task import log
        from airflow_batch_jobs.task.record import TaskStateRecords, TaskStateWaits

        store, ti = context["task_state_store"], context["ti"]
        try:
            self._is_recorded = TaskStateRecords(store).read() is not None
            if (plan := TaskStateWaits(store, ti.try_number).read()) is not None:
                return plan
        except RecordUnavailableError as error:
            log.note(f"{error} The wait starts over with its full time.")
        job_id = self._job_waited_for(ti)
        return None if job_id is None else self._plan(job_id)

    def _job_waited_for(self, ti: Any) -> str | None:
        """Return the id of the job that this attempt waits for; None if it is not known."""
        raise NotImplementedError

    @contextmanager
    def _or_given_up(self, context: Context, job_id: str) -> Iterator[None]:
        """Give the job up if something goes wrong in the block: the task that waits for the job fails then."""
        from airflow_batch_jobs.errors import JobNotFoundError, StaleAttemptError, TaskEvictedError
        from airflow_batch_jobs.task import log, stop

        try:
            yield
        except (StaleAttemptError, TaskEvictedError):  # somebody else has it
            raise
        except Exception as error:
            if isinstance(error, JobNotFoundError) and not self._has_submitted:
                raise
            log.problem(self._give_up(context, job_id, stop.TASK_FAILED, error))
            raise

    def _give_up(self, context: Context, job_id: str, reason: str, error: BaseException) -> str:
        """Do with the job what has to be done before the task fails without the job's end, and say what that is.

        Args:
            context: The task's.
            job_id: The job.
            reason: What becomes the job's statusReason if it is terminated.
            error: What the task fails with.
        """
        del context, reason, error
        return f"The job keeps running: {job_id}"

    def _is_retried(self, context: Context, error: BaseException) -> bool:
        """Tell whether Airflow will try the task again after an error: one that it does not leaves no job running.

        Asks the task's policy as Airflow does afterwards.
        """
        from airflow.sdk import RetryAction

        from airflow_batch_jobs.task.stop import retry_left

        ti: Any = context["ti"]
        if not retry_left(ti):
            return False
        if self.retry_policy is None:
            return True
        try:
            decision = self.retry_policy.evaluate(error, ti.try_number, ti.max_tries, context)
        except Exception:  # noqa: BLE001 - a user's policy can raise anything; Airflow goes on without it then
            return True
        return decision.action is not RetryAction.FAIL

    def _wait_for_job(self, context: Context, plan: WaitPlan) -> Outcome:
        """Wait in the triggerer, which ends this process, or here.

        Raises:
            TaskDeferred: The wait continues in the triggerer, and the task in `execute_complete`.
            AirflowTaskTerminated: A user stopped the task; the job is terminated if that is wanted.
            TaskEvictedError: The worker was told to stop for another reason.
        """
        # A task that got SIGTERM meanwhile waits here, where the signal is handled.
        if self.deferrable and not self._killed:
            self._defer(context, plan)
        return self._wait_here(context, plan)

    def _defer(self, context: Context, plan: WaitPlan) -> None:
        """Have a trigger wait. If it crashes it is gone with all that it knew, so the plan is kept.

        Raises:
            TaskDeferred: In any case but the next.
            StaleAttemptError: Another attempt has taken over.
        """
        from airflow.sdk.exceptions import TaskDeferred

        from airflow_batch_jobs.errors import RecordUnavailableError
        from airflow_batch_jobs.task import log
        from airflow_batch_jobs.task.record import TaskStateWaits
        from airflow_batch_jobs.task.submitting import key_of
        from airflow_batch_jobs.triggers import BatchJobTrigger

        ti = context["ti"]
        try:
            TaskStateWaits(context["task_state_store"], ti.try_number).write(plan)
        except RecordUnavailableError as error:
            log.note(f"{error} Should the trigger crash, the wait starts over with its full time.")
        trigger = BatchJobTrigger(
            **plan.to_dict(),
            finish_in_triggerer=self._may_finish_in_triggerer(),
            try_number=ti.try_number,
            max_tries=ti.max_tries,
            loop_index=key_of(context).loop_index,
            **self._connection.to_dict(),
        )
        raise TaskDeferred(trigger=trigger, method_name="execute_complete")

    def _may_finish_in_triggerer(self) -> bool:
        """Tell whether the triggerer may end a success: if that is wanted, and nothing has to run on a worker.

        Airflow registers no asset events for a task that ends there, and runs neither `post_execute` nor listeners. A
        result is read where the DAG's code is, which has its class.
        """
        from airflow.sdk import BaseOperator

        from airflow_batch_jobs.config import Settings

        task: Any = self
        wanted = Settings.read().finish_in_triggerer if self.finish_in_triggerer is None else self.finish_in_triggerer
        has_more_to_do = (
            self._result_model is not None
            or bool(task.outlets)
            or not task.do_xcom_push
            or task._post_execute_hook is not None  # noqa: SLF001 - has no public name
            or type(task).post_execute is not BaseOperator.post_execute
        )
        return wanted and not has_more_to_do

    def _wait_here(self, context: Context, plan: WaitPlan) -> Outcome:
        from airflow_batch_jobs.errors import TaskEvictedError
        from airflow_batch_jobs.task.on_worker import WorkerWait
        from airflow_batch_jobs.task.pushed_job import PushedJob
        from airflow_batch_jobs.task.submitting import key_of, loop_region_of

        ti: Any = context["ti"]
        wait = WorkerWait(
            plan,
            self._clients,
            key_of(context),
            attempt=PushedJob(ti).attempt,
            retry_left=self._is_retried(context, TaskEvictedError(plan.job_id, runs_on=True)),
            loop_region=loop_region_of(context),
            carrier=ti.context_carrier,
            recorded_as=ti.id if self._is_recorded else None,
        )
        with self._passing_kill_to(wait):
            return wait.run()

    @contextmanager
    def _passing_kill_to(self, waiting: WorkerWait | RestCopy | TaskResult) -> Iterator[None]:
        """Pass SIGTERM on during the block, also one that has come before it."""
        self._waiting = waiting
        try:
            if self._killed:
                waiting.kill()
            yield
        finally:
            self._waiting = None

    def _conclude(self, context: Context, outcome: Outcome) -> Any:
        """Copy the rest of the log, push what is known about the job, and end as it did.

        Returns:
            The job's result if the task has a model of it, otherwise the job's id.

        Raises:
            ResultError: The job has succeeded, and its result is missing or does not fit.
            TaskEvictedError: The worker was told to stop before the result was read.
            JobFailedError: The job has failed.
            JobNotFoundError: AWS does not know the job.
            AwsError: AWS refused to describe it.
            AirflowTaskTerminated: A user has stopped the task meanwhile.
            BaseException: The deadline has passed, see `_time_is_up`.
        """
        from airflow_batch_jobs.task import log
        from airflow_batch_jobs.task.log_rest import MOST_SECONDS, RestCopy
        from airflow_batch_jobs.task.pushed_job import PushedJob
        from airflow_batch_jobs.task.submitting import key_of, loop_region_of
        from airflow_batch_jobs.task.supervisor import extend_execution_timeout

        ti = context["ti"]
        with self._or_given_up(context, outcome.job_id):
            outcome.raise_for_error()
        execution_timeout.disarm()  # it is for the job, which has ended
        if self.execution_timeout is not None:
            extend_execution_timeout(MOST_SECONDS)
        copy = RestCopy(outcome, self._clients, key_of(context), loop_region=loop_region_of(context))
        with self._passing_kill_to(copy):
            copy.run()
        PushedJob(ti).push_end(outcome.job)
        if outcome.timed_out and not outcome.succeeded:
            raise self._time_is_up(outcome.job_id)
        outcome.raise_for_status()
        log.note(outcome.summary)
        if (model := self._result_model) is None:
            return outcome.job_id
        return self._result_of(context, outcome.job_id, model)

    def _result_of(self, context: Context, job_id: str, model: type[BaseModel]) -> Any:
        from airflow_batch_jobs.task.result import MOST_SECONDS, TaskResult
        from airflow_batch_jobs.task.submitting import key_of, loop_region_of
        from airflow_batch_jobs.task.supervisor import extend_execution_timeout

        self.job_has_succeeded = True
        if self.execution_timeout is not None:
            extend_execution_timeout(MOST_SECONDS)
        key, loop_region = key_of(context), loop_region_of(context)
        result = TaskResult(job_id, model, self._clients, key, loop_region=loop_region)
        with self._passing_kill_to(result):
            found = result.read()
        self._push_fields(context["ti"], found, model)
        return found

    def _push_fields(self, ti: Any, result: Any, model: type[BaseModel]) -> None:
        """Push each field of a result, since `task.output["field"]` is Airflow's way to say an XCom of that name."""
        from airflow_batch_jobs.batch.result.model import fields_of

        if getattr(self, "do_xcom_push", True) and isinstance(result, dict):
            for name, value in fields_of(result, model).items():
                with execution_timeout.held():
                    ti.xcom_push(name, value)

    def _time_is_up(self, job_id: str) -> BaseException:
        """Return the exception that ends the task when its deadline passes before the job ends."""
        raise NotImplementedError
