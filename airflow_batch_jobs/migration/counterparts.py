"""Counterparts: where each parameter of the Amazon provider's BatchOperator and BatchSensor went.

`docs/from-batch-operator.md` says the same in prose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterpart:
    """This package's counterpart of one of the provider's classes.

    Attributes:
        name: Our class.
        kept: Parameters with the same name and meaning here.
        renamed: Our name for a parameter.
        former: Those of the renamed that only older versions of the provider have.
        options: The field of SubmitJob that a parameter becomes, in `submit_options`.
        dropped: Parameters that have no counterpart, with what to do about a value; empty for nothing.
        added: Parameters that only our class has.
        gone: Attributes that our class does not have, besides those of the parameters.
        airflow: Airflow's own parameters.
        required: Parameters that a call must have, if `default_args` does not.
    """

    name: str
    kept: frozenset[str]
    renamed: Mapping[str, str]
    former: frozenset[str] = frozenset()
    options: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, str]
    added: frozenset[str]
    gone: frozenset[str]
    airflow: frozenset[str]
    required: frozenset[str]

    @property
    def parameters(self) -> frozenset[str]:
        """All of the provider's parameters."""
        return self.kept | {*self.renamed, *self.options, *self.dropped}

    @property
    def known(self) -> frozenset[str]:
        """All parameters that the provider's class, ours or Airflow knows."""
        return self.parameters | {*self.renamed.values()} | self.added | self.airflow

    @property
    def absent(self) -> frozenset[str]:
        """The attributes of the provider's class that ours does not have."""
        return self.gone | {*self.renamed, *self.options, *self.dropped}

    def became(self, name: str) -> str:
        """Say what became of a parameter, in a subordinate clause; empty if there is nothing to say."""
        if name in self.renamed:
            return f"it is called {self.renamed[name]}"
        if name in self.options:
            return f"it is {self.options[name]} in submit_options"
        return ""

    def refusal(self, foreign: Iterable[str], given: AbstractSet[str], missing: AbstractSet[str] = frozenset()) -> str:
        """Say what became of the provider's parameters in a call of our class; empty if there are none of them.

        Args:
            foreign: The parameters of the call that our class does not have.
            given: All parameters of the call.
            missing: What our class cannot do without, and nobody gives.
        """
        sentences = [f"{self.name} has no {name}: {self.became(name)}" for name in foreign if self.became(name)]
        gone = (self.dropped[name] or f"{name}= was dropped" for name in foreign if name in self.dropped)
        sentences += [text.replace("was dropped", "is not taken") for text in gone]
        lacks_queue = "job_queue" in (self.required - given if sentences else missing)
        if lacks_queue and "queue" in given:
            sentences.append("The queue of AWS Batch is job_queue; queue is Airflow's own, for executors")
        return ". ".join(sentences)


_AWS = frozenset({"aws_conn_id", "region_name", "verify", "botocore_config"})
#: Methods that older operators had from the provider's client.
_CLIENT = frozenset({"check_job_success", "get_job_description", "wait_for_job"})
_ADDED = frozenset({"finish_in_triggerer", "terminate_on_kill"})
_REGION = "region= was dropped: the provider ignores it. If it was meant, use region_name="
#: The parameters of Airflow's BaseOperator.
_AIRFLOW = frozenset(
    {
        "allow_nested_operators",
        "dag",
        "default_args",
        "depends_on_past",
        "do_xcom_push",
        "doc",
        "doc_json",
        "doc_md",
        "doc_rst",
        "doc_yaml",
        "email",
        "email_on_failure",
        "email_on_retry",
        "end_date",
        "execution_timeout",
        "executor",
        "executor_config",
        "ignore_first_depends_on_past",
        "inlets",
        "logger_name",
        "map_index_template",
        "max_active_tis_per_dag",
        "max_active_tis_per_dagrun",
        "max_retry_delay",
        "multiple_outputs",
        "on_execute_callback",
        "on_failure_callback",
        "on_retry_callback",
        "on_skipped_callback",
        "on_success_callback",
        "outlets",
        "owner",
        "params",
        "pool",
        "pool_slots",
        "post_execute",
        "pre_execute",
        "priority_weight",
        "queue",
        "render_template_as_native_obj",
        "resources",
        "retries",
        "retry_delay",
        "retry_exponential_backoff",
        "retry_policy",
        "run_as_user",
        "sla",
        "start_date",
        "task_display_name",
        "task_group",
        "task_id",
        "trigger_rule",
        "wait_for_downstream",
        "wait_for_past_depends_before_skipping",
        "weight_rule",
    }
)
#: The parameters of Airflow's BaseSensorOperator besides.
_AIRFLOW_SENSOR = frozenset(
    {"exponential_backoff", "max_wait", "mode", "never_fail", "silent_fail", "soft_fail", "timeout"}
)

OPERATOR = Counterpart(
    name="BatchJobOperator",
    kept=_AWS | {"job_name", "job_queue", "container_overrides", "parameters", "deferrable", "poll_interval"},
    renamed={
        "job_definition": "definition",
        "overrides": "container_overrides",
        "wait_for_completion": "wait",
        "awslogs_enabled": "copy_logs",
    },
    former=frozenset({"overrides"}),
    options={
        "array_properties": "arrayProperties",
        "ecs_properties_override": "ecsPropertiesOverride",
        "eks_properties_override": "eksPropertiesOverride",
        "node_overrides": "nodeOverrides",
        "share_identifier": "shareIdentifier",
        "scheduling_priority_override": "schedulingPriorityOverride",
        "retry_strategy": "retryStrategy",
        "tags": "tags",
        "submit_job_timeout": "timeout",
    },
    dropped={
        "job_id": "job_id=, which BatchOperator overwrites, was dropped. If it made a dependency, write it with >>",
        "waiters": "waiters= was dropped: a custom waiter has no counterpart",
        "max_retries": "max_retries=, which limited the wait, was dropped. Limit it with execution_timeout=",
        "status_retries": "",
        "awslogs_fetch_interval": "",
        "region": _REGION,
    },
    added=_ADDED | {"submit_options"},
    gone=frozenset({"arn", "client", "hook", "jobId", "jobName", "monitor_job", *_CLIENT}),
    airflow=_AIRFLOW,
    required=frozenset({"job_definition", "job_queue"}),
)
SENSOR = Counterpart(
    name="BatchJobSensor",
    kept=_AWS | {"job_id", "deferrable"},
    renamed={"poke_interval": "poll_interval"},
    dropped={
        "max_retries": "max_retries=, which limited the deferred wait, was dropped. Limit it with timeout=",
        "region": _REGION,
    },
    added=_ADDED | {"copy_logs"},
    gone=frozenset({"hook", "poke"}),
    airflow=_AIRFLOW | _AIRFLOW_SENSOR,
    required=frozenset({"job_id"}),
)

_MODULES = "airflow.providers.amazon.aws."
_ASTRONOMER = "astronomer.providers.amazon.aws."
_CONTRIB = "airflow.contrib.operators.awsbatch_operator."
#: By the full name of the provider's class, under all names that it has had.
COUNTERPARTS = {
    f"{_MODULES}operators.batch.BatchOperator": OPERATOR,
    f"{_MODULES}operators.batch.AwsBatchOperator": OPERATOR,
    f"{_CONTRIB}AWSBatchOperator": OPERATOR,
    f"{_ASTRONOMER}operators.batch.BatchOperatorAsync": OPERATOR,
    f"{_MODULES}sensors.batch.BatchSensor": SENSOR,
    f"{_ASTRONOMER}sensors.batch.BatchSensorAsync": SENSOR,
}
#: Those that the provider still has.
PRESENT = frozenset({f"{_MODULES}operators.batch.BatchOperator", f"{_MODULES}sensors.batch.BatchSensor"})
#: What the arguments without a keyword are. Later ones are not the same in all versions; other classes take none.
POSITIONAL = dict.fromkeys(
    (f"{_MODULES}operators.batch.AwsBatchOperator", f"{_CONTRIB}AWSBatchOperator"),
    ("job_name", "job_definition", "job_queue", "overrides"),
)
#: The modules that these classes are in.
MODULES = frozenset(full_name.rpartition(".")[0] for full_name in COUNTERPARTS)
#: The names of these classes.
CLASSES = frozenset(full_name.rpartition(".")[2] for full_name in COUNTERPARTS)

PACKAGE = "airflow_batch_jobs"
#: By the full name of our class, as DAG files import it.
OURS = {
    f"{module}.{one.name}": one
    for module, one in (
        (PACKAGE, OPERATOR),
        (f"{PACKAGE}.operators", OPERATOR),
        (PACKAGE, SENSOR),
        (f"{PACKAGE}.sensors", SENSOR),
    )
}

#: The keys of the XComs in which the provider keeps its links.
LINK_KEYS = frozenset({"batch_job_details", "batch_job_definition", "batch_job_queue", "cloudwatch_events"})
#: Those that no other class of the provider's writes.
OWN_LINK_KEYS = LINK_KEYS - {"cloudwatch_events"}
#: The classes of these links, whose `key` it is.
LINKS = frozenset({"BatchJobDetailsLink", "BatchJobDefinitionLink", "BatchJobQueueLink", "CloudWatchEventsLink"})
