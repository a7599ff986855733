"""Placeholders that are not filled, and parameters that fill nothing."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_batch_jobs.batch.preflight.check import check_plan
from airflow_batch_jobs.batch.preflight.parameters import commands
from airflow_batch_jobs.batch.preflight.plan import Plan
from airflow_batch_jobs.errors import BatchJobsError, ParameterError
from tests.batch.conftest import request_for
from tests.batch.preflight.conftest import Batch, check, nodes, notes, pod, task


@pytest.mark.parametrize(
    ("command", "parameters", "told"),
    [
        (["run", "--in=Ref::word"], {"word": "x"}, "Not filled in: Ref::word in '--in=Ref::word'. AWS"),
        (
            ["sh", "-c", "cp s3://Ref::word/Ref::other.bam ."],
            {"word": "x"},
            "Ref::word, Ref::other in 'cp s3://Ref::word",
        ),
        (["Ref::word/Ref::other"], {"word": "x"}, "Ref::word, Ref::other in 'Ref::word/Ref::other'"),
        (["Ref::word.bam"], {}, "Not filled in: Ref::word in 'Ref::word.bam'"),
        (["a=Ref::word", "b=Ref::other"], {}, "Ref::word, Ref::other in 'a=Ref::word', …"),
        (["--in=Ref::never"], {}, "Ref::never in '--in=Ref::never'"),
        (["x" * 200 + "Ref::word"], {}, " … "),
    ],
)
def test_a_placeholder_inside_an_item_is_told(
    batch: Batch, command: list[str], parameters: dict[str, str], told: str
) -> None:
    """In one line; AWS documents placeholders as whole items, and the program gets this one as it stands."""
    [line] = notes(batch, "plain", container_overrides={"command": command}, parameters=parameters)
    assert told in line


@pytest.mark.parametrize(
    ("kind", "fields", "where"),
    [
        ("plain", {"container_overrides": {"environment": [{"name": "IN", "value": "s3://Ref::word/x"}]}}, "IN"),
        ("pod", {"options": pod({"env": [{"name": "IN", "value": "Ref::word"}]})}, "IN"),
        (
            "mesh",
            {"options": nodes("1:2", **task({"name": "side", "environment": [{"name": "IN", "value": "Ref::word"}]}))},
            "IN",
        ),
    ],
)
def test_a_placeholder_outside_of_the_command_is_told(
    batch: Batch, kind: str, fields: dict[str, Any], where: str
) -> None:
    """AWS fills none there, also if the command has the same one."""
    [line] = [line for line in notes(batch, kind, **fields, parameters={"word": "x"}) if "Ref::" in line]
    assert line.startswith(f"Not filled in: Ref::word in the environment variable {where}. AWS")


def test_a_placeholder_in_an_image_is_told() -> None:
    """A tag cannot be chosen with a parameter."""
    container = {"image": "align:Ref::tag", "command": ["Ref::tag"], "environment": [{"name": "A", "value": "b"}]}
    told: list[str] = []
    request = request_for("plain:1", parameters={"tag": "v2"})
    check_plan(Plan.of({"containerProperties": container}, request.to_api()), told.append)
    assert [line.partition(".")[0] for line in told] == ["Not filled in: Ref::tag in the image"]


def test_a_placeholder_that_is_a_whole_item_is_not_told(batch: Batch) -> None:
    """Nor is what only looks like one."""
    command = ["run", "Ref::word", "Ref::", "ref::word", "Re::f"]
    assert notes(batch, "plain", container_overrides={"command": command}, parameters={"word": "x"}) == []


@pytest.mark.parametrize(
    ("kind", "fields", "name"),
    [
        ("plain", {"container_overrides": {"command": ["Ref::gone"]}}, "gone"),
        ("pod", {"options": pod({"args": ["Ref::gone"]})}, "gone"),
        ("pods", {"options": nodes("2:3", **pod({"args": ["Ref::gone"]}))}, "gone"),
        ("pod", {"options": pod({"name": "second", "command": ["Ref::gone"]}, key="initContainers")}, "gone"),
        ("mesh", {"options": nodes("1:2", **task({"name": "side", "command": ["Ref::gone"]}))}, "gone"),
    ],
)
def test_a_placeholder_that_nothing_fills_is_refused_wherever_it_runs(
    batch: Batch, kind: str, fields: dict[str, Any], name: str
) -> None:
    """In an override, in a pod, and on nodes."""
    with pytest.raises(ParameterError, match=f"Ref::{name}"):
        check(batch, kind, **fields)


def test_the_commands_that_an_override_of_nodes_leaves_count() -> None:
    """An override of one range leaves the other ranges' commands as they are."""
    groups = [{"targetNodes": f"{node}", "container": {"command": ["Ref::gone"]}} for node in range(2)]
    definition = {"nodeProperties": {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": groups}}
    override = nodes("0", containerOverrides={"command": ["true"]})
    with pytest.raises(ParameterError, match="Ref::gone"):
        check_plan(Plan.of(definition, {"jobDefinition": "mpi:1", **override}))


def test_each_range_of_nodes_is_looked_at_with_its_own_override() -> None:
    """Also the nodes that follow a range within another one."""
    groups = [
        {"targetNodes": "0:", "container": {"command": ["outer", "Ref::gone"]}},
        {"targetNodes": "0:1", "container": {"command": ["inner"]}},
    ]
    definition = {"nodeProperties": {"numNodes": 4, "mainNode": 0, "nodeRangeProperties": groups}}
    inner = {"targetNodes": "0:1", "containerOverrides": {"command": ["true"]}}
    outer = {"targetNodes": "0:", "containerOverrides": {"command": ["false"]}}

    def running(*overrides: dict[str, Any]) -> list[list[str]]:
        override = {"nodeOverrides": {"nodePropertyOverrides": list(overrides)}}
        plan = Plan.of(definition, {"jobDefinition": "mpi:1", **override})
        return [next(commands(container)) for task in plan.tasks for container in task.containers]

    assert running() == [["outer", "Ref::gone"], ["inner"]]
    assert running(inner) == [["outer", "Ref::gone"], ["true"]]
    assert running(inner, outer) == running(outer, inner) == [["false"], ["true"]]


def test_a_range_whose_nodes_all_belong_to_others_is_not_looked_at() -> None:
    """No node runs what it has."""
    groups = [
        {"targetNodes": "0:", "container": {"command": ["Ref::gone"]}},
        {"targetNodes": "0:1", "container": {"command": ["first"]}},
        {"targetNodes": "2:", "container": {"command": ["last"]}},
    ]
    definition = {"nodeProperties": {"numNodes": 4, "mainNode": 0, "nodeRangeProperties": groups}}
    check_plan(Plan.of(definition, {"jobDefinition": "mpi:1"}))


def test_a_longer_name_is_another_parameter(batch: Batch) -> None:
    """`Ref::words` has nothing to do with `word`."""
    with pytest.raises(ParameterError, match=r"Parameter 'words' of \S+ is missing"):
        check(batch, "plain", container_overrides={"command": ["Ref::words"]})
    [line] = notes(batch, "plain", container_overrides={"command": ["--in=Ref::words"]})
    assert line.startswith("Not filled in: Ref::words in")


@pytest.mark.parametrize(
    ("kind", "parameters", "told"),
    [
        ("plain", {"word": "x", "wrod": "y"}, "Nothing in plain:1 uses 'wrod': such a parameter has no effect"),
        ("plain", {"wrod": "y"}, "Nothing in plain:1 uses 'wrod' (did you mean 'word'?): such"),
        ("plain", {"zzz": "y", "Word": "y"}, "uses 'Word' (did you mean 'word'?), 'zzz': such"),
        ("plain", {"other": "x"}, "uses 'other'"),  # the definition has a default for it, and no placeholder
        ("pair", {"word": "x", "other": "x", "more": "x"}, "uses 'more'"),
        ("pod", {"word": "x", "other": "x"}, "uses 'other'"),
        ("mesh", {"wort": "x"}, "uses 'wort' (did you mean 'word'?)"),
    ],
)
def test_a_parameter_that_nothing_uses_is_told(batch: Batch, kind: str, parameters: dict[str, str], told: str) -> None:
    """AWS ignores it in silence."""
    [line] = notes(batch, kind, parameters=parameters)
    assert told in line


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"container_overrides": {"command": ["Ref::sample"]}}, "'sample' of .* is missing"),
        (
            {
                "container_overrides": {
                    "command": ["Ref::word"],
                    "environment": [{"name": "PAYLOAD", "value": "x" * 9000}],
                }
            },
            "too long",
        ),
    ],
)
def test_what_may_not_be_meant_is_told_before_an_error(batch: Batch, fields: dict[str, Any], error: str) -> None:
    """It is mostly the reason: the parameter that is missing is misspelt."""
    said: list[str] = []
    plan = batch.plan(request_for("plain:1", parameters={"sampel": "1"}, **fields))
    with pytest.raises(BatchJobsError, match=error):
        check_plan(plan, said.append)
    [line] = said
    assert line.startswith("Nothing in plain:1 uses 'sampel'")


def test_a_parameter_of_a_command_that_is_replaced_is_used(batch: Batch) -> None:
    """The revision has a use for it, and a typed definition always gives it."""
    assert notes(batch, "plain", container_overrides={"command": ["true"]}, parameters={"word": "x"}) == []
