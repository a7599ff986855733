"""What was done to a job as a whole, as its statusReason says."""

from __future__ import annotations

from airflow_batch_jobs.batch.aws_messages.pod import DISRUPTED
from airflow_batch_jobs.batch.aws_messages.sign import sign
from airflow_batch_jobs.batch.cause import Cause, Outlook

#: Signs in the statusReason of what was done to the job: they explain whatever its containers say.
#:
#: Each is the beginning of a sentence of AWS's. The statusReason of a job that was cancelled or terminated is what its
#: user wrote, and is not looked at.
FATES = (
    sign(
        Cause.TIMEOUT,
        Outlook.UNCLEAR,
        # The others are Kubernetes', for a pod of a job on EKS.
        r"\A(?:Job attempt duration exceeded timeout|DeadlineExceeded\b|Pod was active on the node longer than)",
        "An attempt took longer than its timeout{timeout}",
        "If the log shows that the work was going on, raise `timeout.attemptDurationSeconds`.",
    ),
    sign(
        Cause.DEPENDENCY_FAILED,
        Outlook.LASTS,
        r"\ADependent job failed",
        "A job that it depends on failed",
        "See why that job failed and fix it first; this one never ran.",
    ),
    sign(
        Cause.HOST_LOST,
        Outlook.PASSES,
        r"\AHost EC2\b.*\b(?:terminated|stopped)|\A(?:Your )?Spot task was interrupted|\ASpotInterruption(?:Error)?\b"
        r"|\A(?:TerminationNotice|InfrastructureHealth)\b|\AECS is performing maintenance"
        rf"|\AInstance deregistration forced|{DISRUPTED}",
        "The host went away under the job",
        "Nothing is wrong with the job: run it again, and let AWS do so by itself with a `retryStrategy` whose "
        "`evaluateOnExit` retries on status reason `Host EC2*`, or use on-demand capacity.",
    ),
    sign(
        Cause.TERMINATED,
        Outlook.UNCLEAR,
        r"\A(?:UserInitiated\b|Task stopped by user)",
        "Its task was stopped in ECS, past AWS Batch",
        "Submit it again if the work is still wanted; CloudTrail has who called StopTask.",
    ),
    sign(
        Cause.TERMINATED,
        Outlook.LASTS,
        r"\AJobQueue\b.{0,300}\bdeleted\b",
        "Its queue was deleted, and the job with it",
        "Submit it to a queue that exists.",
    ),
)
