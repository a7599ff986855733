"""The operations of AWS Batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local.limits import stop_problems, tag_problems
from airflow_batch_jobs.local.listing import MOST_RESULTS, check_list_request, page, page_of_jobs, wanted
from airflow_batch_jobs.local.wire import client_exception

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

    from airflow_batch_jobs.local.call import Call, Operations
    from airflow_batch_jobs.local.clock import Timeline
    from airflow_batch_jobs.local.definitions import Definitions
    from airflow_batch_jobs.local.describe import Describer
    from airflow_batch_jobs.local.jobs import Job, Jobs
    from airflow_batch_jobs.local.lifecycle import Lifecycle
    from airflow_batch_jobs.local.pages import Place
    from airflow_batch_jobs.local.queues import Queues
    from airflow_batch_jobs.local.submit import Submitter

#: TerminateJobs and CancelJobs take at most this many jobs.
_MOST_STOPPED = 50
#: GetJobQueueSnapshot shows at most this many jobs.
_FRONT_OF_QUEUE = 100


class Batch:
    """AWS Batch: definitions, queues and jobs."""

    def __init__(
        self,
        *,
        timeline: Timeline,
        definitions: Definitions,
        queues: Queues,
        jobs: Jobs,
        lifecycle: Lifecycle,
        submitter: Submitter,
        describer: Describer,
        chance: Random,
    ) -> None:
        self._timeline = timeline
        self._definitions = definitions
        self._queues = queues
        self._jobs = jobs
        self._lifecycle = lifecycle
        self._submitter = submitter
        self._describer = describer
        self._chance = chance
        self.operations: Operations = {
            "RegisterJobDefinition": self.register_job_definition,
            "DeregisterJobDefinition": self.deregister_job_definition,
            "DescribeJobDefinitions": self.describe_job_definitions,
            "CreateJobQueue": self.create_job_queue,
            "DescribeJobQueues": self.describe_job_queues,
            "GetJobQueueSnapshot": self.get_job_queue_snapshot,
            "SubmitJob": self.submit_job,
            "DescribeJobs": self.describe_jobs,
            "ListJobs": self.list_jobs,
            "CancelJob": self.cancel_job,
            "CancelJobs": self.cancel_jobs,
            "TerminateJob": self.terminate_job,
            "TerminateJobs": self.terminate_jobs,
            "TagResource": self.tag_resource,
            "UntagResource": self.untag_resource,
            "ListTagsForResource": self.list_tags_for_resource,
        }

    def register_job_definition(self, call: Call) -> dict[str, Any]:
        """Add the next revision of a definition."""
        definition = self._definitions.register(call.parameters, call.size_bytes, call.first_revision)
        return {
            "jobDefinitionName": definition.name,
            "jobDefinitionArn": definition.arn,
            "revision": definition.revision,
        }

    def deregister_job_definition(self, call: Call) -> dict[str, Any]:
        """Make a revision INACTIVE."""
        reference = call.parameters["jobDefinition"]
        definition = self._definitions.find(reference)
        if definition is None or ":" not in reference.rpartition("/")[2]:
            raise client_exception(f"JobDefinition {reference} does not exist: name:revision or an ARN is needed")
        definition.is_active = False
        return {}

    def describe_job_definitions(self, call: Call) -> dict[str, Any]:
        """Describe the definitions that are named, or those with a name and a status, the newest revisions first."""
        request = call.parameters
        references = request.get("jobDefinitions", [])
        status = request.get("status", "")
        if status not in {"", "ACTIVE", "INACTIVE"}:
            raise client_exception(f"Job definition status {status} is not valid: ACTIVE or INACTIVE")
        if not references:
            every = self._definitions.newest_first(request.get("jobDefinitionName", ""), status)
            shown, token = page("DescribeJobDefinitions", every, request, lambda definition: definition.place)
            return {"jobDefinitions": [one.describe() for one in shown], **token}
        _check_alone("jobDefinitions", request)
        for reference in references:
            if ":" not in reference.rpartition("/")[2]:
                raise client_exception(f"Job definition {reference} is not an ARN or name:revision")
        found = [self._definitions.find(reference) for reference in references]
        return {"jobDefinitions": [one.describe() for one in found if one]}

    def create_job_queue(self, call: Call) -> dict[str, Any]:
        """Add a queue."""
        queue = self._queues.create(call.parameters)
        return {"jobQueueName": queue.name, "jobQueueArn": queue.arn}

    def describe_job_queues(self, call: Call) -> dict[str, Any]:
        """Describe all queues, or those that are named."""
        request = call.parameters
        references = request.get("jobQueues", [])
        if not references:
            shown, token = page("DescribeJobQueues", self._queues.all(), request, lambda queue: (queue.number,))
            return {"jobQueues": [one.describe() for one in shown], **token}
        _check_alone("jobQueues", request)
        found = [self._queues.find(reference) for reference in references]
        return {"jobQueues": [one.describe() for one in found if one]}

    def get_job_queue_snapshot(self, call: Call) -> dict[str, Any]:
        """Show the first RUNNABLE jobs of a queue."""
        queue = self._queues.get(call.parameters["jobQueue"])
        front = self._lifecycle.runnable.front(queue.arn, _FRONT_OF_QUEUE)
        jobs = [{"jobArn": job.arn, "earliestTimeAtPosition": since} for job, since in front]
        return {"frontOfQueue": {"jobs": jobs, "lastUpdatedAt": self._timeline.now_ms()}}

    def submit_job(self, call: Call) -> dict[str, Any]:
        """Start a job."""
        job = self._submitter.make_job(call.parameters, call.size_bytes)
        self._lifecycle.submit(job)
        return {"jobArn": job.arn, "jobName": job.name, "jobId": job.id}

    def describe_jobs(self, call: Call) -> bytes:
        """Describe the jobs that are named and known."""
        ids = call.parameters["jobs"]
        if len(ids) > MOST_RESULTS:
            raise client_exception(f"Maximum number of jobs supported is {MOST_RESULTS}")
        return self._describer.details_json(self._known(ids, call))

    def _known(self, ids: list[str], call: Call) -> Iterator[tuple[Job, int | None]]:
        for job_id in dict.fromkeys(ids):
            found = self._jobs.find_node(job_id)
            if found is None or not self._is_shown(found[0], call):
                continue
            if not call.changes.omit_share or self._chance.random() >= call.changes.omit_share:
                yield found

    def list_jobs(self, call: Call) -> dict[str, Any]:
        """List the jobs of a queue, newest first, or an array job's children, or a multi-node job's nodes."""
        request = call.parameters
        check_list_request(request)
        rows: Iterator[tuple[Job, int | None]]
        if request.get("jobQueue"):
            rows = ((job, None) for job in self._jobs.newest_first(self._queues.get(request["jobQueue"]).arn))
        elif request.get("arrayJobId"):
            rows = ((job, None) for job in self._get(request["arrayJobId"]).children)
        else:
            parent = self._get(request["multiNodeJobId"])
            rows = ((parent, node) for node in range(parent.node_count))
        is_wanted = wanted(request)
        shown, token = page_of_jobs(
            (row for row in rows if is_wanted(row[0], row[0].status_of(row[1])) and self._is_shown(row[0], call)),
            request,
            _place,
        )
        return {"jobSummaryList": [self._describer.summary(job, node) for job, node in shown], **token}

    def cancel_job(self, call: Call) -> dict[str, Any]:
        """Cancel a job that has not begun to start; an id that is not known counts as done."""
        for job in self._to_stop([call.parameters["jobId"]], call):
            self._lifecycle.cancel(job, call.parameters["reason"])
        return {}

    def cancel_jobs(self, call: Call) -> dict[str, Any]:
        """Cancel several jobs."""
        for job in self._to_stop(call.parameters["jobs"], call):
            self._lifecycle.cancel(job, call.parameters["reason"])
        return {"successful": call.parameters["jobs"], "errors": []}

    def terminate_job(self, call: Call) -> dict[str, Any]:
        """End a job, whatever its state; an id that is not known counts as done."""
        for job in self._to_stop([call.parameters["jobId"]], call):
            self._lifecycle.terminate(job, call.parameters["reason"])
        return {}

    def terminate_jobs(self, call: Call) -> dict[str, Any]:
        """End several jobs."""
        for job in self._to_stop(call.parameters["jobs"], call):
            self._lifecycle.terminate(job, call.parameters["reason"])
        return {"successful": call.parameters["jobs"], "errors": []}

    def tag_resource(self, call: Call) -> dict[str, Any]:
        """Add tags to a job, a definition or a queue."""
        tags = self._tags(call)
        for problem in tag_problems({**tags, **call.parameters["tags"]}):
            raise client_exception(problem)
        tags |= call.parameters["tags"]
        return {}

    def untag_resource(self, call: Call) -> dict[str, Any]:
        """Remove tags from a job, a definition or a queue."""
        tags = self._tags(call)
        for key in call.parameters["tagKeys"]:
            tags.pop(key, None)
        return {}

    def list_tags_for_resource(self, call: Call) -> dict[str, Any]:
        """Show the tags of a job, a definition or a queue."""
        return {"tags": self._tags(call)}

    def _is_shown(self, job: Job, call: Call) -> bool:
        age_seconds = self._timeline.now() - job.created_at / 1000
        return not call.changes.lag_seconds or age_seconds >= call.changes.lag_seconds

    def _get(self, job_id: str) -> Job:
        job = self._jobs.find(job_id)
        if job is None:
            raise client_exception(f"Job {job_id} not found")
        return job

    def _to_stop(self, ids: list[str], call: Call) -> list[Job]:
        """Return the jobs that a call stops: those that are known. A node has no end of its own to be told."""
        if len(ids) > _MOST_STOPPED:
            raise client_exception(f"Maximum number of jobs supported is {_MOST_STOPPED}")
        for problem in stop_problems(ids, call.parameters["reason"]):
            raise client_exception(problem)
        return [job for job in (self._jobs.find(job_id) for job_id in ids if "#" not in job_id) if job]

    def _tags(self, call: Call) -> dict[str, str]:
        """Return the tags of the resource that a call names, to be changed in place."""
        arn = call.parameters["resourceArn"]
        job = self._jobs.find(arn.rpartition("/")[2])
        if job and job.arn == arn and job.parent is None:
            job.written = None
            return job.tags
        found = self._queues.find(arn) or self._definitions.find(arn)
        if found is None or found.arn != arn:
            raise client_exception(f"Resource {arn} not found")
        return found.tags


def _place(row: tuple[Job, int | None]) -> Place:
    """Return a row's place in ListJobs: a queue has its newest jobs first, a job its parts in their order."""
    job, node = row
    if node is not None:
        return (node,)
    return (-job.number,) if job.index is None else (job.index,)


def _check_alone(key: str, request: Mapping[str, Any]) -> None:
    """Refuse more than a hundred names, and names beside other parameters."""
    for other in ("jobDefinitionName", "maxResults", "nextToken", "status"):
        if other in request:
            raise client_exception(f"{_title(key)} and {_title(other)} cannot both be set")
    if len(request[key]) > MOST_RESULTS:
        raise client_exception(f"Maximum number of {key} supported is {MOST_RESULTS}")


def _title(key: str) -> str:
    return key[:1].upper() + key[1:]
