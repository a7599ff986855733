"""BatchJobOperator: submit a pinned definition once, wait, copy the log, return the job's result or its id."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_batch_jobs.batch.arguments import check_text
from airflow_batch_jobs.batch.definition.argument import DefinitionArgument
from airflow_batch_jobs.batch.definition.values import without_enums
from airflow_batch_jobs.batch.fault_points import reach
from airflow_batch_jobs.batch.numbers import reasonable
from airflow_batch_jobs.batch.result.model import task_model
from airflow_batch_jobs.errors import DefinitionError, RequestError
from airflow_batch_jobs.job_task import JobTask
from airflow_batch_jobs.links import JOB_LINKS
from airflow_batch_jobs.task.arguments import (
    check_arguments,
    check_literal_overrides,
    check_on_retry,
    check_rendered,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import jinja2
    from airflow.sdk import Context, XComArg
    from pydantic import BaseModel

    from airflow_batch_jobs.batch.changes.change import RequestChange
    from airflow_batch_jobs.batch.definition import JobDefinition
    from airflow_batch_jobs.batch.request import SubmitRequest
    from airflow_batch_jobs.batch.submission import Submission
    from airflow_batch_jobs.task.handover import Outcome, WaitPlan

__all__ = ["BatchJobOperator"]

#: The template fields without which AWS cannot be asked.
_CONNECTION_FIELDS = ("aws_conn_id", "region_name", "verify", "botocore_config")
#: Those that a retry may change.
_CHANGED_FIELDS = ("job_queue", "container_overrides", "submit_options")
#: Those by which an earlier attempt's job is found, so they are rendered before what may be refused.
_LOOK_FIELDS = ("job_queue", "job_name")


class BatchJobOperator(JobTask, BaseOperator):
    """Run an AWS Batch job at a pinned revision of its definition.

    Submits the job, waits in the triggerer until it has ended, shows its log lines in the task log meanwhile, and
    terminates it when the task is stopped. Returns the job's result if it has one, otherwise the job's id; the XCom
    `batch_job` has the rest.

    Does not register definitions, and never submits an unpinned one.

    Args:
        job_queue: The job queue's name or ARN. (`queue` is Airflow's own argument, for executors.)
        definition: A `JobDefinition`, a subclass of it, `name:revision`, or an ARN with a revision.
        parameters: Values that override the definition's own: literals, templates, upstream results.
        container_overrides: SubmitJob's containerOverrides, under AWS's own names.
        submit_options: Any other SubmitJob field under AWS's own name: arrayProperties, dependsOn, retryStrategy,
            timeout, tags, nodeOverrides, …
        job_name: The readable part of the job's name; None for `<dag>-<task>`.
        on_retry: What a retry changes once a job of this run has failed: `MoreMemory`, `OtherQueue`, `LongerTimeout`,
            or a `RequestChange` of your own, one after the other.
        result: The pydantic model of what the job hands back by the line `batch-job-result: {json}` of its log, which
            the task then returns; None for the `Result` of the definition's class. An array returns a list.
        wait: Whether to wait for the job's end; False returns its id after the submit.
        deferrable: Whether to wait in the triggerer; False waits in the worker, by the same code.
        poll_interval: Seconds between two looks at the job; None for `[batch_jobs] poll_interval`.
        finish_in_triggerer: Whether the triggerer may end a succeeded task, without starting another worker; None for
            `[batch_jobs] finish_in_triggerer`. Listeners do not hear of such an end. A task with a result, outlets or
            a `post_execute` is always ended by a worker.
        copy_logs: Whether the job's CloudWatch log lines go into the task log.
        terminate_on_kill: Whether stopping the task, or its `execution_timeout`, terminates the job.
        aws_conn_id: The Airflow connection; None for boto3's own search for credentials.
        region_name: The region; None for the connection's.
        verify: Whether to verify TLS certificates, or the path of a CA bundle; None for the connection's setting.
        botocore_config: Keyword arguments of botocore's Config.

    Raises:
        DefinitionError: At parse time: the definition is not pinned, a literal parameter does not fit it, or a result
            is declared that cannot be one.
        RequestError: At parse time: literal overrides have more characters than ECS takes.
        ValueError: At parse time: an argument is not of its kind; the error names it.
    """

    template_fields: Sequence[str] = (
        "definition",
        "parameters",
        "job_queue",
        "container_overrides",
        "submit_options",
        "job_name",
        *_CONNECTION_FIELDS,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "parameters": "json",
        "container_overrides": "json",
        "submit_options": "json",
        "botocore_config": "json",
    }
    operator_extra_links = JOB_LINKS
    ui_color = "#ffe0b8"
    _has_submitted = True
    #: The fields that are known only after execution has begun.
    _late_fields: ClassVar[tuple[str, ...]] = ()
    #: The task's own request, before any change; None until it is made.
    _asked: SubmitRequest | None = None
    #: What a retry has changed in the request, each as `Change.to_dict` has it.
    _changes: Sequence[dict[str, Any]] = ()
    #: Why the rendered fields make no request; raised only where one would be sent.
    _refusal: Exception | None = None

    def __init__(  # noqa: PLR0913 - each is a decision of the DAG's author
        self,
        *,
        job_queue: str,
        definition: JobDefinition | type[JobDefinition] | str,
        parameters: Mapping[str, Any] | XComArg | None = None,
        container_overrides: Mapping[str, Any] | XComArg | None = None,
        submit_options: Mapping[str, Any] | XComArg | None = None,
        job_name: str | None = None,
        on_retry: Sequence[RequestChange] = (),
        result: type[BaseModel] | None = None,
        wait: bool = True,
        deferrable: bool = True,
        poll_interval: float | None = None,
        finish_in_triggerer: bool | None = None,
        copy_logs: bool = True,
        terminate_on_kill: bool = True,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        # A template that renders to text such as "20260131" must stay text, even in a DAG that renders native objects.
        kwargs.setdefault("render_template_as_native_obj", False)
        super().__init__(**kwargs)
        self.result = result
        self.wait = wait
        self._take(definition, without_enums(parameters))
        # These have their declared types only after rendering.
        self.job_queue = without_enums(job_queue)
        self.container_overrides: Any = without_enums(container_overrides)
        self.submit_options: Any = without_enums(submit_options)
        self.job_name = without_enums(job_name)
        self.on_retry = on_retry
        self.deferrable = deferrable
        self.poll_interval = None if poll_interval is None else reasonable(poll_interval, "poll_interval")
        self.finish_in_triggerer = finish_in_triggerer
        self.copy_logs = copy_logs
        self.terminate_on_kill = terminate_on_kill
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        check_text(job_queue, "job_queue")
        check_text(job_name, "job_name", or_empty=True)
        check_arguments(self)
        with self._kept_if_mapped():
            check_literal_overrides(container_overrides, submit_options)
        check_on_retry(on_retry)

    def execute(self, context: Context) -> Any:
        """Submit the job, then wait for it.

        Args:
            context: Airflow's context of the task instance.

        Returns:
            The job's result as JSON data, if the task has a model of it; otherwise the job's id.

        Raises:
            BatchJobsError: See `airflow_batch_jobs.errors`.
            AirflowTaskTimeout: `execution_timeout` has passed.
        """
        from airflow.sdk.exceptions import AirflowTaskTimeout

        from airflow_batch_jobs.batch.changes.change import CHANGES
        from airflow_batch_jobs.batch.job_xcom import job_xcom
        from airflow_batch_jobs.task.pushed_job import PushedJob
        from airflow_batch_jobs.task.submitting import submission_for, submit

        ti, request = context["ti"], self._request()
        self._asked = request
        submission = submission_for(
            context,
            request,
            self._clients,
            job_name=None if self.job_name is None else str(self.job_name),
            is_detached=not (self.wait and self.terminate_on_kill),
            refusal=self._refusal,
            changes=self.on_retry,
        )
        try:
            submitted, job = submit(submission, is_retry=ti.try_number > ti.max_tries - (self.retries or 0) + 1)
            self._is_recorded = submitted.is_recorded
            with self._or_given_up(context, submitted.job_id):
                told = job_xcom(job, datetime.now(tz=UTC))
                if submitted.changes:
                    told[CHANGES] = [change.to_dict() for change in submitted.changes]
                    self._show_changed(submitted.request, told[CHANGES])
                PushedJob(ti).push(told)
                reach("before-deferral", ti.run_id)
                if not self.wait and not self._killed:
                    return submitted.job_id
                outcome = self._wait_for_job(context, self._plan(submitted.job_id, submitted.submitted_at))
        except AirflowTaskTimeout as error:
            if (ended := self._end_late(context, submission, error)) is None:
                raise
            outcome = ended
        return self._conclude(context, outcome)

    def _take(self, definition: Any, parameters: Any) -> None:
        """Keep what is to run, and find at parse time what can be found then: literals that do not fit it."""
        self.parameters: Any = parameters
        with self._kept_if_mapped():
            self._take_definition(definition)
            self._take_result()
            if parameters is None or isinstance(parameters, dict):
                self._definition.check(parameters or {})

    def _take_definition(self, definition: JobDefinition | type[JobDefinition] | str) -> None:
        """Keep the typed object beside its reference: Airflow renders strings, and would call a class."""
        self._definition = DefinitionArgument(without_enums(definition))
        self.definition: Any = ""
        self.definition = self._definition.reference()

    def _take_result(self) -> None:
        """Keep what the job's result is read as."""
        self._result_model = task_model(self.result, self._definition.typed, waits=self.wait)

    @contextmanager
    def _kept_if_mapped(self) -> Iterator[None]:
        """Raise what is found at parse time; a mapped task is made later, so keep it as an error of rendering is."""
        try:
            yield
        except (DefinitionError, RequestError) as error:
            if not getattr(self, "_BaseOperator__from_mapped", False):
                raise
            self._refusal = self._refusal or error

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render like every operator, then show the complete request and check it as a whole.

        The definition's own values are rendered separately from `parameters`, never merged with them first:
        `parameters` may be data from upstream, which is not a template.

        An error is kept: an earlier attempt's job is looked for all the same, and only what is sent has to be whole.
        """
        from airflow_batch_jobs.task.masking import mask_secrets

        render = super()._do_render_template_fields
        if parent is not self:
            render(parent, template_fields, context, jinja_env, seen_oids)
            return
        names = sorted(template_fields, key=lambda name: name not in _LOOK_FIELDS)
        render(self, [name for name in names if name in _CONNECTION_FIELDS], context, jinja_env, seen_oids)
        try:
            render(self, [name for name in names if name not in _CONNECTION_FIELDS], context, jinja_env, seen_oids)
            check_rendered(self)
            self._complete(lambda own: self.render_template(own, context, jinja_env, seen_oids))
        except Exception as error:  # noqa: BLE001 - a template can raise anything
            self._refusal = self._refusal or error
            mask_secrets(self.parameters, self.container_overrides, self.submit_options)

    def _complete(self, render: Any) -> None:
        """Make the typed definition from the rendered values, and show it in `definition` and `parameters`."""
        from airflow_batch_jobs.task.masking import mask_secrets

        given = {**render(self._definition.own_parameters()), **(self.parameters or {})}
        mask_secrets(given, self.container_overrides, self.submit_options)
        typed = self._definition.complete(self.definition, given)
        self.definition = typed.pinned_reference
        self.parameters = typed.to_dict()

    def _request(self) -> SubmitRequest:
        """Return the SubmitJob request made of the rendered fields, which does not yet say whose job it is.

        If they make none, what is known of it serves to look for a job.
        """
        from airflow_batch_jobs.batch.request import SubmitRequest

        if self._refusal is None:
            try:
                return SubmitRequest(
                    job_queue=self.job_queue,
                    job_definition=self.definition,
                    parameters=dict(self.parameters or {}),
                    container_overrides=dict(self.container_overrides or {}),
                    options=dict(self.submit_options or {}),
                )
            except (TypeError, ValueError) as error:  # one of them is no mapping
                self._refusal = error
        return SubmitRequest(job_queue=str(self.job_queue), job_definition=str(self.definition))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Show again what this process does not know, then take over from the trigger.

        Args:
            context: Airflow's context of the task instance.
            event: The trigger's event.

        Returns:
            As `execute`.

        Raises:
            BatchJobsError: As for `execute`.
            AirflowTaskTimeout: As for `execute`.
        """
        from airflow_batch_jobs.batch.changes.change import CHANGES

        self._show_again(event.get("rendered"), event["job"].get(CHANGES))
        return super().execute_complete(context, event)

    def changes_left(self, context: Context, job_id: str) -> list[RequestChange] | None:
        """Return which of `on_retry` would give another attempt what a job that has failed did not have.

        Args:
            context: Airflow's context of the task instance.
            job_id: The job that has failed.

        Returns:
            None if that is not known: AWS or Airflow does not tell how the generation's jobs failed.

        Raises:
            BatchJobsError: AWS or Airflow does not answer, or a change of the user's own does what it must not.
        """
        from airflow_batch_jobs.task.submitting import changes_left

        asked = self._asked or self._request()
        return changes_left(context, asked, self._clients, self.on_retry, job_id)

    def _last_plan(self, context: Context) -> WaitPlan | None:
        """Show it again, for the same reason."""
        if (plan := super()._last_plan(context)) is not None:
            self._show_again(plan.rendered, plan.on_retry)
        return plan

    def _plan(self, job_id: str, submitted_at: datetime | None = None) -> WaitPlan:
        from airflow_batch_jobs.task import rendered

        plan = super()._plan(job_id, submitted_at or datetime.now(tz=UTC))
        names = [*self._late_fields, *(_CHANGED_FIELDS if self._changes else ())]
        if not names:
            return plan
        fields = rendered.rendered_fields_of(self, self._changes)
        return replace(plan, rendered={name: fields[name] for name in names}, on_retry=list(self._changes))

    def _show_changed(self, request: SubmitRequest, changes: Sequence[dict[str, Any]]) -> None:
        """Show the request as it was sent in place of the task's own, and what was changed."""
        self.job_queue = request.job_queue
        self.container_overrides = dict(request.container_overrides) or None
        self.submit_options = dict(request.options) or None
        self._show_again(None, changes)

    def _show_again(self, fields: Mapping[str, Any] | None, changes: Sequence[dict[str, Any]] | None) -> None:
        """Show fields as an earlier process of this attempt has, and what a retry has changed.

        Airflow shows the task's own at the start of each process.
        """
        from airflow_batch_jobs.task import log

        self._show(fields or {}, self._late_fields)
        self._asked = self._asked or self._request()
        self._show(fields or {}, _CHANGED_FIELDS)
        self._changes = changes or ()
        if self._changes:
            try:
                self._send_rendered_fields()
                self.overwrite_rtif_after_execution = False  # that would take out what was changed
            except Exception as error:  # noqa: BLE001 - what the UI shows is no reason to end a job
                log.problem(f"What on_retry has changed is not among the rendered fields: {error}")

    def _show(self, fields: Mapping[str, Any], names: Iterable[str]) -> None:
        for name in names:
            setattr(self, name, fields.get(name, getattr(self, name)))

    def _send_rendered_fields(self) -> None:
        """Let the UI show the request while the task is deferred; Airflow itself sends it before or after that."""
        from airflow_batch_jobs.task import rendered

        rendered.send(rendered.rendered_fields_of(self, self._changes))

    def _time_is_up(self, job_id: str) -> BaseException:
        from airflow.sdk.exceptions import AirflowTaskTimeout

        return AirflowTaskTimeout(f"The job ran longer than the task's execution_timeout. Job: {job_id}")

    def _end_late(self, context: Context, submission: Submission, timeout: BaseException) -> Outcome | None:
        """End a job whose task's time ran out before the wait for it began, unless a retry is left that will adopt it.

        Returns:
            What became of the job; None if there is none, or it is left alone.
        """
        from airflow_batch_jobs.batch.aws import UNKNOWN_GRACE_SECONDS
        from airflow_batch_jobs.errors import AwsError
        from airflow_batch_jobs.task import log
        from airflow_batch_jobs.task.supervisor import extend_execution_timeout
        from airflow_batch_jobs.task.wait import AFTER_TIMEOUT_SECONDS

        if self._is_retried(context, timeout) or not self.terminate_on_kill:
            return None
        extend_execution_timeout(UNKNOWN_GRACE_SECONDS + AFTER_TIMEOUT_SECONDS)
        try:
            jobs = submission.unfinished()
        except AwsError as error:  # the timeout is what must be reported
            log.problem(f"A job may still be running. {error} Its name: {submission.request.job_name}")
            return None
        outcome = None
        for job in jobs:
            self._is_recorded = job.is_recorded
            plan = self._plan(job.job_id, job.submitted_at)
            outcome = self._wait_here(context, replace(plan, deadline=datetime.now(tz=UTC)))
        return outcome

    def _job_waited_for(self, ti: Any) -> str | None:
        from airflow_batch_jobs.task.pushed_job import PushedJob

        return PushedJob(ti).job_id()

    def _give_up(self, context: Context, job_id: str, reason: str, error: BaseException) -> str:
        """Terminate the job, unless a retry will adopt it or another attempt is at work already."""
        from airflow_batch_jobs.batch.operations import terminate
        from airflow_batch_jobs.errors import NO_RETRY, RUNS_ON
        from airflow_batch_jobs.task.pushed_job import PushedJob
        from airflow_batch_jobs.task.record import TaskStateRecords

        if self._is_retried(context, error):
            return RUNS_ON
        if not (self.wait and self.terminate_on_kill):
            return super()._give_up(context, job_id, reason, error)
        try:
            if TaskStateRecords(context["task_state_store"]).read() is None:  # it may be a newer attempt's by now
                return f"The job may still be running: {job_id}"
            terminate(self._clients, job_id, reason)
            PushedJob(context["ti"]).push_stop(job_id, reason)
        except Exception as refused:  # noqa: BLE001 - what ended the wait is what must be reported
            return f"The job could not be terminated and may still be running. {refused}"
        return NO_RETRY
