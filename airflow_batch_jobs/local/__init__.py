"""A local AWS: Batch, CloudWatch Logs and STS over HTTP, for trying things out and for tests.

It is a development tool. Jobs run as processes on this machine, or follow a timetable without one; boto3 works against
it unmodified, with `endpoint_url` and the access key that is printed when it starts. Routes, required members, bounds
and enumerations come from the service models of the installed botocore.

::

    with LocalAws() as aws:                                     # in a thread of this process
        batch = aws.clients()("batch")                          # a boto3 client
        reference = aws.register("hello", ["echo", "hi"])       # "hello:1"
        job_id = batch.submit_job(jobName="j", jobQueue="default", jobDefinition=reference)["jobId"]
        aws.wait_for_status(job_id)

    with LocalAws(is_frozen=True) as aws:                       # time passes only by `advance`
        aws.script(definition="hello", running=3600, lines=100, attempts=[1, 0])
        aws.fault("DescribeJobs", "throttle", share=0.3)
        aws.advance(7200)
        aws.requests("DescribeJobs")                            # what reached it

    with start_process(slots=8) as aws: ...                     # the same, in a process of its own
    run_local(port=4444)                                        # in the foreground, until Ctrl-C

How it is protected: it listens on 127.0.0.1 unless told otherwise; every request needs the access key, a random one at
each start, before more than its first bytes are read; requests from web pages are refused; jobs inherit nothing of its
environment but PATH and LANG. Whoever has the key can run any command as this user.

Where it differs from AWS
-------------------------

What it accepts, AWS accepts, and what AWS documents as refused is refused with AWS's error code; the texts are AWS's
where these are known, and similar where they are not. `tests/local/moto.md` compares it with moto.

It serves, of Batch: RegisterJobDefinition, DeregisterJobDefinition, DescribeJobDefinitions, CreateJobQueue,
DescribeJobQueues, GetJobQueueSnapshot, SubmitJob, DescribeJobs, ListJobs, CancelJob, CancelJobs, TerminateJob,
TerminateJobs, TagResource, UntagResource, ListTagsForResource; of Logs: FilterLogEvents, GetLogEvents,
DescribeLogStreams; of STS: GetCallerIdentity, AssumeRole. Any other operation is an UnknownOperationException that
names it.

Access
    Only the access key is checked: signatures, regions, session tokens and IAM policies are not, and a session policy
    has no effect. Any role of any
    account may be assumed. There is one account with one set of jobs, whatever region a client names; an ARN of another
    account or region names nothing.
Running
    The image is ignored, and the job's first log line says so; the command is looked up on this machine, and without
    one the job fails. There is no isolation, no memory limit, no volumes, no secrets: `vcpus`, `memory`, `ulimits`,
    `linuxParameters`, `user` and the like are checked and shown but not applied. A job's working directory and HOME is
    an empty directory of its own, removed at its end. What a process started ends with it, unless it left its process
    group. After a kill -9 of the endpoint its jobs' processes keep running.
Scheduling
    A job takes one slot, even if it has many containers or nodes. All queues share one line, first come, first served:
    priority, fair share and compute environments are ignored, and a queue needs none of these. Jobs pass through their
    states in fractions of a second. `jobStateTimeLimitActions` and consumable resources have no effect. A queue's
    snapshot tells of no utilization.
Containers and nodes
    All containers of a job start at once (their `dependsOn` is checked, then ignored). A multi-node job is retried as a
    whole, its main node's address is 127.0.0.1, and on a node that is not the main one the end of an essential
    container does not end the others. A pod's containers are processes too, init containers are left out, and their
    output is lost, as is that of any log driver but `awslogs`.
Definitions
    The revisions of a definition begin at 1, or where the header `x-local-first-revision` of its first
    RegisterJobDefinition says.
Jobs
    Finished jobs are forgotten by number, not by age.
Logs
    Events are readable at once, unless a script or a fault delays them. A log group exists from its first stream on.
    Line ends and empty lines are not kept; a line over 1 MiB becomes several events. A `filterPattern` may have terms
    and phrases; JSON, space-delimited and regular expression patterns are refused. Beyond a total size, the oldest
    streams are forgotten. Page tokens do not expire by themselves.

Where AWS does not document what it does, this way was taken:

- TerminateJob and CancelJob take an unknown id, as TerminateJobs and CancelJobs are documented to; a node of a
  multi-node job (`id#n`) is none that can be stopped.
- ListJobs and DescribeJobDefinitions have the newest first, also without a filter.
- A page's token is refused, as one that is none, in a call of another operation, stream or selection; not in one of
  another size or span of time.
- ListJobs with a filter takes a `maxResults` of up to 1,000 and gives 100.
- A dependency of type SEQUENTIAL with a job id is one as any other, and one on a node is one on its job.
- Of node ranges that overlap, the smallest one around a node counts, of equal ones the last; an override of nodes must
  have the range of one of the definition's. Nodes are all on EKS, or none is.
- The attempts of a multi-node job on EKS are its main node's pods, as they are its main node's tasks on ECS.
- A node that is stopped because the main node has ended FAILED if its exit code says so.
- vCPUs on EC2 are whole numbers. Of several containers on EC2, none has to name its sizes.
- Characters of overrides are counted as the JSON of command and environment that ECS gets from Batch.
- Session policies are too large if their text has more than 2,048 characters.
- An empty time range of events is empty, not refused. How terms are matched says `filter_pattern.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_batch_jobs.local.access import Access
    from airflow_batch_jobs.local.control import Control, LocalControl
    from airflow_batch_jobs.local.run import run_local, start_process
    from airflow_batch_jobs.local.server import LocalAws

__all__ = ["Access", "Control", "LocalAws", "LocalControl", "run_local", "start_process"]

_MODULES = {
    "Access": "access",
    "Control": "control",
    "LocalAws": "server",
    "LocalControl": "control",
    "run_local": "run",
    "start_process": "run",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
