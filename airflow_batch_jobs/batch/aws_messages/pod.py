"""Why a pod on EKS was not made, not taken by its node, or put out of it: Kubernetes' own sentences."""

from __future__ import annotations

from airflow_batch_jobs.batch.aws_messages.sign import sign
from airflow_batch_jobs.batch.cause import Cause, Outlook

#: A full disk, in the messages of an eviction: that of the pod, or that of its node.
DISK_FULL = (
    r"low on resource: (?:ephemeral-storage|inodes)|ephemeral local storage usage exceeds"
    r"|local ephemeral storage limit|usage of EmptyDir volume"
)
#: Evictions and disruptions that nothing in the pod is to blame for, as they begin.
DISRUPTED = (
    r"\A(?:NodeLost|NodeShutdown|NodeNotReady|Preempted|Preempting|TaintManagerEviction|EvictionByEvictionAPI"
    r"|DeletionBy(?:TaintManager|PodGC)|PreemptionBy(?:Kube)?Scheduler|TerminationByKubelet)\b"
    r"|\APod was terminated in response to imminent node shutdown|\ATaint manager: |\APodGC: node no longer exists"
    rf"|\A(?!.*(?:{DISK_FULL}))(?:Evicted\b|The node (?:was low on resource|had condition)\b)"
)
#: One word: a name, mostly in quotes.
_NAME = r"\S{1,300}"

POD = (
    sign(
        Cause.SECRETS,
        Outlook.LASTS,
        rf"\bsecret {_NAME} not found|\bfind key {_NAME} in secret\b|non-existent secret key",
        "A secret of {container} does not exist in its namespace",
        "Create it in the cluster, or correct the name and the key in the definition.",
    ),
    sign(
        Cause.RESOURCE_SETUP,
        Outlook.LASTS,
        rf"\b(?:service ?account|configmap|persistentvolumeclaim) {_NAME} not found"
        rf"|\bfind key {_NAME} in configmap\b|non-existent config key",
        "Its namespace lacks a ServiceAccount, ConfigMap or volume claim of its pod",
        "Create it in the cluster, or correct the name and the key in the definition.",
    ),
    sign(
        Cause.CAPACITY,
        Outlook.PASSES,
        r"\bforbidden: exceeded quota",
        "The quota of its namespace was used up",
        "Run it again when other pods of the namespace have ended, or raise its ResourceQuota.",
    ),
    sign(
        Cause.REQUEST_REFUSED,
        Outlook.PASSES,
        r"failed calling webhook|failed to call webhook",
        "An admission webhook of the cluster did not answer, so it has no pod",
        "Run it again; if it goes on, look at the webhook that the reason names.",
    ),
    sign(
        Cause.REQUEST_REFUSED,
        Outlook.LASTS,
        rf"admission webhook {_NAME} denied the request|\bpods? {_NAME} is (?:forbidden|invalid)\b",
        "The cluster refused its pod",
        "Change in the definition what the reason names, or the policy of the cluster.",
    ),
)

NOT_TAKEN = (
    sign(
        Cause.RESOURCE_SETUP,
        Outlook.PASSES,
        r"UnexpectedAdmissionError|\bAllocate failed due to|Predicate NodeAffinity failed|\ANodeAffinity\b"
        r"|\bPod was rejected\b",
        "Its node did not take its pod, so it never started",
        "Run it again, so that it gets another node; if it goes on, look at the node's labels and device plugins.",
    ),
)
